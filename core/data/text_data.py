"""Which text is data and no document: a dialogue, what people said to each other, a log, a program."""

import re
from collections.abc import Mapping
from typing import Literal

from core.data.drafts import pairs_in
from core.data.formats.gift import pairs_of_gift
from core.data.formats.marked import marks_of

TextKind = Literal["whatsapp", "wechat", "gift"]

# A dialogue's turns, the first row of JSON, and what Anki exports: such a text is data.
_DIALOGUE = re.compile(
    r"^#{1,4} (?:Human|User|Assistant|Instruction|Input|Response)\b\s*:|\A\s*[{\[]\s*[\"{]|\A#separator:",
    re.M,
)
# What people said to each other, or a record of things: the same few names, again and again, before a colon.
_NAMED = re.compile(r"^[*_ ]{0,4}(?P<who>[^\W\d_][^\n:：]{0,19}?)[*_ ]{0,4}[:：]")
NAMED, REPEATED, LEAST_LINES = 0.85, 2, 4
# A line of a log, and of a chat that was saved.
_DAY = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[T ]+|[A-Z][a-z]{2} +\d{1,2} )"
_LOGGED = re.compile(
    rf"^[\[(]?(?:{_DAY})?\d{{1,2}}:\d{{2}}:\d{{2}}|^{_DAY}\d{{1,2}}:\d{{2}}[\])]?\s+[^\s:：]{{1,20}}\s?[:：]"
    rf"|^[^\s:：]{{1,20}}\s+{_DAY}\d{{1,2}}:\d{{2}}$"
)
LOGGED, LEAST_MESSAGES = 0.3, 3
# What WhatsApp and Telegram export: "[12.03.24, 14:05:11] Anna: …", "3/12/24, 2:05 PM - Anna: …".
_WHATSAPP = re.compile(
    r"^\u200e?\[?\d{1,4}[./-]\d{1,2}[./-]\d{2,4},? \d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp]\.? ?[Mm]\.?)?"
    r"(?:\]| -) \S[^:]{0,40}: "
)
# What is copied or exported of WeChat: a line of who and when above each message.
_WECHAT = re.compile(
    rf"^(?:\S.{{0,30}}\s+{_DAY}\d{{1,2}}:\d{{2}}(?::\d{{2}})?|{_DAY}\d{{1,2}}:\d{{2}}(?::\d{{2}})?\s+\S.{{0,30}})$"
)
SAVED_CHATS: Mapping[TextKind, re.Pattern[str]] = {"whatsapp": _WHATSAPP, "wechat": _WECHAT}
_PROGRAM = re.compile(
    r"[;{}]$|^(?:def|class|import|from \S+ import|return|const|let|var|public|private|function|func|fn)\b"
    r"|^(?:if|for) \(|^#include|^package |^@\w"
)
PROGRAM = 0.5


def is_data(text: str) -> bool:
    """Whether a text is data; questions with their answers are facts, whatever their marks."""
    if _DIALOGUE.search(text) is not None or taken_for(text) in {"whatsapp", "gift"}:
        return True
    return not pairs_in(text) and (marks_of(text) is not None or _is_record(text))


def taken_for(text: str) -> TextKind | None:
    """What a text was saved from that is no data with marks and no document; None for any other."""
    if pairs_of_gift(text):
        return "gift"
    lines = [line.strip().replace("\u202f", " ") for line in text.splitlines() if line.strip()]
    for kind, pattern in SAVED_CHATS.items():
        if sum(map(bool, map(pattern.search, lines))) >= max(LEAST_MESSAGES, LOGGED * len(lines)):
            return kind
    return None


def _is_record(text: str) -> bool:
    """Whether a text is what people said to each other, a log or a program: its lines say something only in
    their order. One with headings is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < LEAST_LINES or any(re.match("#{1,6} ", line) for line in lines):
        return False
    named = [match["who"] for match in map(_NAMED.match, lines) if match]
    return (
        (len(named) >= NAMED * len(lines) and len(named) >= REPEATED * len(set(named)))
        or sum(map(bool, map(_LOGGED.search, lines))) >= LOGGED * len(lines)
        or sum(map(bool, map(_PROGRAM.search, lines))) >= PROGRAM * len(lines)
    )
