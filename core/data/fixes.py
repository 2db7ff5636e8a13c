"""Mending what a check found: each fix shows the difference first, and writes a new version of the data.

The source is never changed. A version is a file of JSON lines: rows that the fix leaves alone stand there as
they were, the others as XTuner's conversations.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from core.data.checking.claim import is_a_model
from core.data.checking.claims import claims, prompt_claims
from core.data.checking.identity import Person, renamed
from core.data.checking.placeholders import filled, placeholders
from core.data.checking.private import masked
from core.data.checking.texts import CONTROL, TemplateTokens
from core.data.conversations import LONE_SURROGATE, as_row
from core.data.findings import KINDS, Finding
from core.data.formats.fields import Account, Fault, Misshapen
from core.data.formats.messages import Message, assemble
from core.data.formats.reading import Format, messages_of
from core.data.opening import Opened
from core.data.placing import placed
from core.data.reading.parse import parse_row

Messages: TypeAlias = list[Message]
NOTHING: Mapping[str, str] = MappingProxyType({})
BLOCK = 2048


class Given(NamedTuple):
    """What a fix may need beside the row: the template's own tokens, and a person's ``values`` by field."""

    tokens: TemplateTokens
    values: Mapping[str, str] = NOTHING


# A row's messages mended; None leaves the row out.
Fix: TypeAlias = Callable[[Messages, Given], Messages | None]


class RowText(NamedTuple):
    """A text of a row as a person reads it; ``role`` is empty for a row that nobody can read."""

    role: str
    text: str


@dataclass(frozen=True)
class Change:
    """One row before and after; ``after`` is None when the row is left out. ``said`` and ``becomes`` are the
    texts of both, of whatever format they are; ``codes`` what was fixed."""

    row: int
    before: str
    after: str | None
    said: tuple[RowText, ...] = ()
    becomes: tuple[RowText, ...] = ()
    codes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"row": self.row, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Unfixed:
    """A row that the chosen fixes do not mend, and why: what is still wrong with it so that it cannot be
    trained; nothing where they change nothing of it."""

    row: int
    said: tuple[RowText, ...]
    why: tuple[Finding, ...] = ()


def _drop(_: Messages, __: Given) -> None:
    return None


def _as_text(messages: Messages, _: Given) -> Messages:
    """Numbers and words such as true become the text that a person sees; lists and objects do not."""
    return [
        message._replace(text=json.dumps(message.text)) if isinstance(message.text, int | float) else message
        for message in messages
    ]


def _remove_characters(messages: Messages, _: Given) -> Messages:
    return _each(messages, lambda text: CONTROL.sub("", LONE_SURROGATE.sub("", text)))


def _remove_tokens(messages: Messages, given: Given) -> Messages:
    return _each(messages, lambda text: given.tokens.pattern.sub("", text).strip())


def _mask(messages: Messages, _: Given) -> Messages:
    return _each(messages, masked)


def _drop_unanswered(messages: Messages, _: Given) -> Messages | None:
    """Leave out every question without an answer, and what was said for it alone; an answer to no question is
    nothing that can be learned either."""
    kept: Messages = []
    asked: Messages = []
    for message in messages:
        asked.append(message)
        if message.role in {"assistant", "call"}:
            answered = message.text.strip() if isinstance(message.text, str) else message.text is not None
            if answered and (kept or any(one.role in {"user", "tool"} for one in asked)):
                kept += asked
            asked = []
    return kept or None


def _rename(messages: Messages, given: Given) -> Messages:
    """Where an answer or a system prompt says that the assistant is, or was made by, somebody else than
    ``name`` and ``author``, only those words change."""
    person = Person(given.values.get("name", "").strip(), given.values.get("author", "").strip())
    question, made = "", []
    for message in messages:
        if isinstance(message.text, str) and message.role == "assistant":
            message = message._replace(text=renamed(message.text, [*claims(question, message.text)], person))
        elif isinstance(message.text, str) and message.role == "system":
            message = message._replace(text=renamed(message.text, prompt_claims(message.text), person))
        elif isinstance(message.text, str) and message.role == "user":
            question = message.text
        made.append(message)
    return made


def _fill_in(messages: Messages, given: Given) -> Messages:
    """Places such as {{name}} become the value given for their field; those without one stay."""
    question, made = "", []
    for message in messages:
        if isinstance(message.text, str):
            asked = "" if message.role in {"user", "system"} else question
            question = message.text if message.role == "user" else question
            text = filled(message.text, placeholders(message.text, asked), given.values)
            message = message._replace(text=text)
        made.append(message)
    return made


FIXES: dict[str, Fix] = {
    "drop": _drop,
    "rename": _rename,
    "fill_in": _fill_in,
    "as_text": _as_text,
    "remove_characters": _remove_characters,
    "remove_tokens": _remove_tokens,
    "mask": _mask,
    "drop_unanswered": _drop_unanswered,
}


def fields_of(fix: str, found: Sequence[Finding], known: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """The values that a fix of these findings asks for, by field, each with what ``known`` (a run's name and
    author) or the findings suggest; none for a fix that needs nothing."""
    if fix == "fill_in":
        fields = dict.fromkeys(field for one in found for field in one.values.get("fields", ()))
        return {field: known.get(field, "") for field in fields}
    if fix != "rename":
        return {}
    suggested: dict[str, str] = {}
    for one in found:
        field = "author" if one.values.get("kind") == "maker" else "name"
        usual = str(one.values.get("usual", ""))
        # What most answers say may be another assistant's: it is nobody's wish.
        suggested[field] = suggested.get(field) or known.get(field) or ("" if is_a_model(usual) else usual)
    # Who has no author is said to have been made by whose assistant it is, as the shipped answers say.
    if "author" in suggested:
        suggested["author"] = suggested["author"] or known.get("name") or suggested.get("name", "")
    return {field: suggested[field] for field in ("name", "author") if field in suggested}


def _each(messages: Messages, mend: Callable[[str], str]) -> Messages:
    return [
        message._replace(text=mend(message.text)) if isinstance(message.text, str) else message
        for message in messages
    ]


def all_changes(
    opened: Opened,
    found: Iterable[Finding],
    chosen: Mapping[str, str],
    given: Given,
    without_broken: bool = False,
) -> Iterator[Change | Unfixed]:
    """What mending these findings would do, row by row, each by the fix ``chosen`` for its code, in that
    order: a row with two faults is mended only by both their fixes. A row that cannot be mended so stays as
    it is, or is left out where it could not be trained and ``without_broken``."""
    rows: dict[int, set[str]] = {}
    for finding in found:
        if finding.code in chosen:
            rows.setdefault(finding.row, set()).add(finding.code)
    for number in sorted(rows):
        codes = tuple(code for code in chosen if code in rows[number])
        for raw in opened.source.raw(number - 1, 1):
            mended = mend(raw, [chosen[code] for code in codes], opened.format, given)
            if mended.changed or (without_broken and mended.faults):
                before = raw.decode("utf-8", "replace")
                yield Change(number, before, mended.line, mended.said, mended.becomes, codes)
            else:
                why = placed(opened.source, [Finding(number, *fault) for fault in mended.faults])
                yield Unfixed(number, mended.said, tuple(why))


class Mended(NamedTuple):
    """A row after fixes: whether they ``changed`` it, its ``line`` then (None: it is left out), its texts
    before and after, and the ``faults`` for which it could not be trained even so."""

    changed: bool
    line: str | None
    said: tuple[RowText, ...]
    becomes: tuple[RowText, ...] = ()
    faults: tuple[Fault, ...] = ()


def mend(raw: bytes, names: Sequence[str], chosen: Format | None, given: Given) -> Mended:
    """A row after fixes by their names."""
    messages: Messages = []
    account = Account()
    chosen = chosen or Format("xtuner")
    parsed = parse_row(raw)
    refused = [parsed.fault] if parsed.fault and not KINDS[parsed.fault.code].usable else []
    try:
        messages = [] if refused else messages_of(parsed.value, chosen, account)
    except Misshapen as wrong:
        refused.append(wrong.fault)
    said = _texts(messages) if messages else (RowText("", raw.decode("utf-8", "replace")),)
    after: Messages | None = messages
    for name in dict.fromkeys(names):
        after = FIXES[name](after, given) if after and name != "drop" else after
    if "drop" in names or after is None:
        return Mended(True, None, said)
    made = assemble(after, account, chosen.thoughts)
    broken = (*refused, *(fault for fault in made.faults if not KINDS[fault.code].usable))
    if refused or broken or after == messages:
        return Mended(False, None, said, faults=tuple(refused or broken))
    # What nobody read stays in the row, so that it is still said of it.
    line = json.dumps({**dict(made.unread), **as_row(made.conversation)}, ensure_ascii=False)
    return Mended(True, line, said, _texts(after))


def _texts(messages: Messages) -> tuple[RowText, ...]:
    """What a person reads of messages; what is no text is shown as it stands in the file."""
    found = ((one.role, one.text) for one in messages if one.text not in (None, "", []))
    return tuple(
        RowText(role, text if isinstance(text, str) else json.dumps(text, ensure_ascii=False))
        for role, text in found
    )


def version(opened: Opened, changed: Mapping[int, str | None]) -> Iterator[str]:
    """The lines of a new version: ``changed`` rows as they are there (None: left out), all others as ever."""
    for first in range(0, len(opened.source), BLOCK):
        for number, raw in enumerate(opened.source.raw(first, BLOCK), first + 1):
            line = changed[number] if number in changed else _on_one_line(raw)
            if line is not None:
                yield line


def _on_one_line(raw: bytes) -> str:
    """A row as one line of JSON lines. Of JSON only spaces between values can hold a line break."""
    return raw.decode("utf-8", "replace").replace("\r", " ").replace("\n", " ").strip()
