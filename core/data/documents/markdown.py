"""A document's text as people type it, made the Markdown that it stands for, line for line.

A bullet may be a dot or a picture, a heading a numbered line, a title the first line, a note at the foot of
the page belongs to what it is noted at. Nothing is said that was not: marks are changed, words are not.
"""

import re

from core.data.documents.lines import LONGEST_KEY, is_days, is_label, pair
from core.data.documents.typed import counted, headed, next_filled, ruled
from core.data.documents.wordings import HAN
from core.data.identity import IdentityLanguage

_PICTURE = r"[\u2190-\u21ff\u231a-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
# What begins a line in place of a bullet; behind one of a list it says nothing.
_BULLET = re.compile(
    rf"(?P<before>\s*)(?P<list>(?:[-*+]|\d+[.)])\s+)?(?P<mark>(?:{_PICTURE}[\ufe0e\ufe0f\u20e3\u200d]*)+|[•·‣◦])\s*(?=[^\s|])"
)
# Pictures that stand for a label.
_LABELS = (
    ("📍🏠🏡🏢🗺", "Address", "地址"),
    ("📞☎📱☏📲", "Phone", "电话"),
    ("✉📧📩📨", "Email", "邮箱"),
    ("🌐🔗", "Website", "网址"),
    ("📅🗓📆", "Date", "日期"),
    ("🕐🕑🕒🕓🕔🕕🕖🕗🕘🕙🕚🕛⏰🕰", "Time", "时间"),
    ("📶🛜", "Wi-Fi", "Wi-Fi"),
    ("🅿", "Parking", "停车"),
)
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")
_MAIL = re.compile(r"(\s*(?:[-*+]\s+)?)[\w.+-]+@[\w-]+(?:\.[\w-]+)+\s*")
_PAGE = re.compile(r"(\s*(?:[-*+]\s+)?)(?:https?://|www\.)\S+\s*")
_BOX = re.compile(r"(?P<before>\s*[-*+]\s+)\[(?P<state>[ xX])\]\s+(?P<text>.*)")
_NOTE, _NOTED = re.compile(r"\[\^(?P<name>[^\]\s]+)\]:\s*(?P<text>\S.*)"), re.compile(r"\[\^([^\]\s]+)\]")
_ARTICLE = re.compile(r"(?P<text>(?P<number>第[一二三四五六七八九十百\d]+[条章节])\s*\S.*)")
# "Q1. How long?": a number of a question and of its answer.
_ASKED = re.compile(r"(\s*(?:\*\*)?[QA])\s?\d{1,3}[.)]\s+(?=\S)")
_NUMBERED_HEADING = re.compile(
    rf"(#{{1,6}}\s+)(?:\d+(?:\.\d+)*[.)]\s+|\d+(?:\.\d+)+\s+(?=[A-Z{HAN}])|\d+、\s*|[一二三四五六七八九十]+、\s*"
    r"|[（(][一二三四五六七八九十\d]+[)）]\s*)(?=\S)"
)
_ARABIC = re.compile(r"(?P<number>\d+)[.)、]\s*(?P<text>[^\s\d].*)")
_CHINESE = re.compile(r"(?P<number>[一二三四五六七八九十]+)、\s*(?P<text>\S.*)")
_HEADING = re.compile(r"(#{1,6})\s")
# Blanks that set something far to the right: whatever looks for the end of blanks would look from each.
_FAR = re.compile(r"[^\S\n]{100,}")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_BOLD = re.compile(r"(?:\*\*|__)(?P<text>[^*_:：。.!?！？]{1,40})(?:\*\*|__)")
# In capitals what is no name of a part.
_ORDERS = re.compile(r"\b(?:NO|NOT|NEVER|ONLY|CLOSED|FREE|PLEASE|DO|DON.?T|KEEP|MUST|IS|ARE|WE|YOU)\b")
_SAYS_MORE = re.compile(r"[。.!?！？；;，,:：|]|[¥￥$€£]|^\s*(?:[-*+>#|=]|\d+[.)、]|\*\*)")


def as_markdown(text: str, language: IdentityLanguage) -> str:
    """The text as Markdown, with as many lines."""
    text = _FAR.sub("  ", text)
    if "\n" not in text.strip() or any(map(_FENCE.match, text.split("\n"))):
        return text
    lines = _with_notes(text.split("\n"))
    lines = [_labelled(line, language) for line in counted(lines)]
    lines = [_ASKED.sub(r"\1: ", _NUMBERED_HEADING.sub(r"\1", _unboxed(line))) for line in lines]
    lines = _titled(_named(_headed(_bulleted(lines, language))))
    return "\n".join(ruled(headed(lines)))


def _unboxed(line: str) -> str:
    """What is to do as an item, what is done with a tick."""
    if not (match := _BOX.fullmatch(line)):
        return line
    return match["before"] + match["text"] + (" ✓" if match["state"] != " " else "")


def _bulleted(lines: list[str], language: IdentityLanguage) -> list[str]:
    """Lines that a picture or a dot begins, as items: where several stand together, or it stands for a
    label."""
    found = [*map(_BULLET.match, lines)]
    made = []
    for place, (line, match) in enumerate(zip(lines, found, strict=True)):
        if not match:
            made.append(line)
            continue
        rest = line[match.end() :]
        label = "" if pair(rest) else _label(match["mark"], language)
        beside = [near for near in (place - 1, place + 1) if 0 <= near < len(lines)]
        several = any(found[near] or _ITEM.match(lines[near]) for near in beside)
        if not (label or several or match["list"]):
            made.append(line)
            continue
        made.append(f"{match['before']}{match['list'] or '- '}{label}{rest}")
    return made


def _labelled(line: str, language: IdentityLanguage) -> str:
    """A line that is an address of mail or of a page and nothing else, with its label."""
    for pattern, label in ((_MAIL, "📧"), (_PAGE, "🌐")):
        if match := pattern.fullmatch(line):
            return f"{match[1]}{_label(label, language)}{line[match.end(1) :]}"
    return line


def _label(mark: str, language: IdentityLanguage) -> str:
    for pictures, english, chinese in _LABELS:
        if mark[0] in pictures:
            return f"{chinese}：" if language == "zh" else f"{english}: "
    return ""


def _with_notes(lines: list[str]) -> list[str]:
    """What is noted at the foot says what it is noted at; the marks are gone."""
    notes = {match["name"] for match in map(_NOTE.fullmatch, lines) if match}
    if not notes:
        return lines
    about: dict[str, str] = {}
    for line in lines:
        for match in _NOTED.finditer(line):
            if not _NOTE.fullmatch(line):
                about.setdefault(match[1], _noted(line[: match.start()]))
    made = []
    for line in lines:
        if note := _NOTE.fullmatch(line):
            key = about.get(note["name"], "")
            made.append(f"{key}: {note['text']}" if key else note["text"])
        else:
            made.append(_NOTED.sub(lambda match: "" if match[1] in notes else match[0], line))
    return made


def _noted(before: str) -> str:
    """What a note is noted at: the label of a line, a cell's text; empty in a sentence."""
    is_cell = before.lstrip().startswith("|")
    text = (
        before.rpartition("|")[2] if is_cell else re.sub(r"^\s*(?:[-*+]|\d+[.)]|#+)\s+", "", before)
    ).strip(" *_")
    if is_cell and not re.search(r"[^\W\d_]", text):
        text = before.split("|")[1].strip(" *_")  # at a number, of what its row is about
    key = (pair(text) or (text, ""))[0]
    return key if 0 < len(key) <= LONGEST_KEY and not _SAYS_MORE.search(key) else ""


def _headed(lines: list[str]) -> list[str]:
    """Numbered lines that stand over text, as headings."""
    below = next_filled(lines)
    for pattern in (_ARTICLE, _CHINESE, _ARABIC):
        found = [place for place in range(len(lines)) if _is_heading(lines, place, below[place], pattern)]
        numbers = [pattern.fullmatch(lines[place])["number"] for place in found]  # type: ignore[index]
        if len(found) > 1 and len({*numbers}) == len(numbers):
            level = 1 + max(
                (len(match[1]) for match in map(_HEADING.match, lines[: found[0]]) if match), default=1
            )
            for place in found:
                lines[place] = f"{'#' * min(level, 6)} {pattern.fullmatch(lines[place])['text']}"  # type: ignore[index]
    return lines


def _is_heading(lines: list[str], place: int, below: str, pattern: re.Pattern[str]) -> bool:
    """Whether a line is a number and a short name, and something else stands below it, apart from it where
    an item of a list could look like it."""
    match = pattern.fullmatch(lines[place])
    if not match or len(match["text"]) > LONGEST_KEY or _SAYS_MORE.search(match["text"]):
        return False
    apart = all(
        not near.strip() for near in (*lines[max(0, place - 1) : place], *lines[place + 1 : place + 2])
    )
    return bool(below) and not pattern.fullmatch(below) and (apart or pattern is not _ARABIC)


def _named(lines: list[str]) -> list[str]:
    """A line that stands over text and is bold, or stands alone and is a label, a day or all capitals, as a
    heading."""
    level, after = 2, next_filled(lines)
    for place, line in enumerate(lines):
        if match := _HEADING.match(line):
            level = max(2, len(match[1]))
        text = line.strip()
        bold = _BOLD.fullmatch(text)
        if (
            bold
            and not any(map(str.strip, lines[max(0, place - 1) : place]))
            and "".join(lines[place + 1 : place + 2]).strip()
        ):
            lines[place] = f"{'#' * min(6, level + 1)} {bold['text']}"
            continue
        above, below = lines[place - 1 : place] if place else [""], lines[place + 1 : place + 2]
        alone = not any(map(str.strip, (*above, *below))) and bool(after[place])
        if not text or not alone or len(text) > LONGEST_KEY or _SAYS_MORE.search(text):
            continue
        capitals = len(re.findall("[A-Z]", text)) > 3 and text.upper() == text and not _ORDERS.search(text)
        if capitals or is_label(text) or (is_days(text) and len(text) < 20):
            lines[place] = f"{'#' * level} {text}"
    return lines


def _titled(lines: list[str]) -> list[str]:
    """A first line that only names, alone or over one other, as the title."""
    filled = [place for place, line in enumerate(lines) if line.strip()]
    if len(filled) < 2 or any(re.match(r"#\s|=+\s*$", line) for line in lines):
        return lines
    first = filled[0]
    text = lines[first].strip()
    alone = any(not line.strip() for line in lines[first + 1 : first + 3])
    if alone and len(text) <= LONGEST_KEY and not _SAYS_MORE.search(text) and _only_names(text):
        lines[first] = f"# {text}"
    return lines


def _only_names(text: str) -> bool:
    """Whether a line says nothing of what it names: "Da Enzo - Menu", not "Soup - 5 euros"."""
    known = pair(text)
    return not known or not (is_label(known[0]) or re.search(r"\d", known[1]))
