"""Mending what a check found: each fix shows the difference first, and writes a new version of the data.

The source is never changed. A version is a file of JSON lines: rows that the fix leaves alone stand there as
they were, the others as XTuner's conversations.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from core.data.checking.claims import claims
from core.data.checking.identity import Person, renamed
from core.data.checking.placeholders import filled, placeholders
from core.data.checking.private import masked
from core.data.checking.texts import CONTROL, TemplateTokens
from core.data.conversations import LONE_SURROGATE, as_row
from core.data.findings import KINDS, Finding
from core.data.formats.fields import Account, Misshapen
from core.data.formats.messages import Message, assemble
from core.data.formats.reading import Format, messages_of
from core.data.opening import Opened
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


@dataclass(frozen=True)
class Change:
    """One row before and after; ``after`` is None when the row is left out."""

    row: int
    before: str
    after: str | None


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
    """Leave out every question without an answer, and what was said for it alone."""
    kept: Messages = []
    asked: Messages = []
    for message in messages:
        asked.append(message)
        if message.role in {"assistant", "call"}:
            if isinstance(message.text, str) and message.text.strip():
                kept += asked
            asked = []
    return kept or None


def _rename(messages: Messages, given: Given) -> Messages:
    """Where an answer says that the assistant is, or was made by, somebody else than ``name`` and ``author``,
    only those words change."""
    person = Person(given.values.get("name", "").strip(), given.values.get("author", "").strip())
    question, made = "", []
    for message in messages:
        if isinstance(message.text, str) and message.role == "assistant":
            message = message._replace(text=renamed(message.text, [*claims(question, message.text)], person))
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
        # Who has no author is said to have been made by whose assistant it is, as the shipped answers say.
        right = known.get(field) or usual or (known.get("name", "") if field == "author" else "")
        suggested[field] = suggested.get(field) or right
    return {field: suggested[field] for field in ("name", "author") if field in suggested}


def _each(messages: Messages, mend: Callable[[str], str]) -> Messages:
    return [
        message._replace(text=mend(message.text)) if isinstance(message.text, str) else message
        for message in messages
    ]


def changes(
    opened: Opened,
    found: Sequence[Finding],
    tokens: TemplateTokens,
    fix: str | None = None,
    values: Mapping[str, str] = NOTHING,
) -> Iterator[Change]:
    """What mending these findings of one code would change, row by row; rows it cannot mend are left out of
    the list, and stay as they are. ``fix``: one of :data:`FIXES`, by default the code's first."""
    name = fix or (KINDS[found[0].code].fix if found else None)
    chosen = {found[0].code: name} if name else {}
    return all_changes(opened, found, chosen, Given(tokens, values))


def all_changes(
    opened: Opened, found: Iterable[Finding], chosen: Mapping[str, str], given: Given
) -> Iterator[Change]:
    """The same for findings of several codes at once, each by the fix ``chosen`` for its code, in that order:
    a row with two faults is mended only by both their fixes."""
    rows: dict[int, set[str]] = {}
    for finding in found:
        if finding.code in chosen:
            rows.setdefault(finding.row, set()).add(finding.code)
    for number in sorted(rows):
        names = [fix for code, fix in chosen.items() if code in rows[number]]
        for raw in opened.source.raw(number - 1, 1):
            after = mended(raw, names, opened.format, given)
            if after is not Unchanged:
                yield Change(number, raw.decode("utf-8", "replace"), after)


class _Unchanged(str):
    """A row that a fix cannot mend."""


Unchanged = _Unchanged("")


def mended(raw: bytes, names: Sequence[str], chosen: Format | None, given: Given) -> str | None:
    """The line of a row after fixes by their names; None when it is left out, Unchanged when they change
    nothing or the row could not be trained even so."""
    if "drop" in names:
        return None
    messages: Messages = []
    account = Account()
    chosen = chosen or Format("xtuner")
    with suppress(Misshapen):
        messages = messages_of(parse_row(raw).value, chosen, account)
    after: Messages | None = messages
    for name in dict.fromkeys(names):
        after = FIXES[name](after, given) if after else after
    if after is None:
        return None
    made = assemble(after, account, chosen.thoughts)
    if after == messages or any(not KINDS[fault.code].usable for fault in made.faults):
        return Unchanged
    # What nobody read stays in the row, so that it is still said of it.
    return json.dumps({**dict(made.unread), **as_row(made.conversation)}, ensure_ascii=False)


def version(opened: Opened, changed: Mapping[int, str | None]) -> Iterator[str]:
    """The lines of a new version: ``changed`` rows as they are there (None: left out), all others as ever."""
    for first in range(0, len(opened.source), BLOCK):
        for number, raw in enumerate(opened.source.raw(first, BLOCK), first + 1):
            line = changed.get(number, Unchanged)
            if line is Unchanged:
                yield _on_one_line(raw)
            elif line is not None:
                yield line


def _on_one_line(raw: bytes) -> str:
    """A row as one line of JSON lines. Of JSON only spaces between values can hold a line break."""
    return raw.decode("utf-8", "replace").replace("\r", " ").replace("\n", " ").strip()
