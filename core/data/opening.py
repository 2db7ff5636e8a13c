"""A data file of any known format, opened: its rows by page, and all of them as conversations."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import with_config

from core.data.accounting import Accounts, Unused
from core.data.complaints import complaint
from core.data.conversations import Conversation
from core.data.documents.files import read_markdown
from core.data.findings import KINDS, Finding
from core.data.formats.columns import columns_of
from core.data.formats.fields import REJECTED, Fault
from core.data.formats.messages import Assembled
from core.data.formats.names import plain
from core.data.formats.reading import COLUMN_ROLES, Detected, Format, chosen_format, detect, read_row
from core.data.formats.shapes import FORMATS
from core.data.placing import of_the_text, placed
from core.data.reading.archives import TEXTS, texts_in
from core.data.reading.parse import parse_row
from core.data.reading.source import Source, line_and_column, open_source
from core.data.text_data import TextKind, taken_for
from core.data.unknown import unknown_rows
from core.errors import (
    EmptyData,
    InputError,
    InvalidOption,
    NoSuchColumn,
    NotConversations,
    NotJson,
    NoUsableRow,
    UnknownRows,
    UnreadKeys,
)
from core.pace import Progress
from core.wording import say
from core.workspace.data_paths import SourceCache

SHOWN_PROBLEMS = 5
# A text of more bytes is looked at no second time.
LARGEST_TOLD = 3_000_000
# The rows that tell the format: the first ones and some of all the others.
LOOKED, LOOKED_FURTHER = 200, 50
BLOCK = 2048


@with_config(extra="forbid")
@dataclass(frozen=True)
class Reading:
    """What a person said about a file: its format and which column is what; nothing to have it detected.

    ``ignore``: keys that may be left out, or ``("*",)`` for all of them; ``thoughts``: whether a model's
    thoughts are kept before its answers, None where the model that is trained decides. ``sheets``: which of a
    file's tables are read, see :func:`open_source`.
    """

    format: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    thoughts: bool | None = None
    sheets: tuple[str, ...] = ()

    @property
    def mapping(self) -> dict[str, str]:
        return dict(self.columns)


@dataclass(frozen=True)
class Row:
    """One row as a person wants to see it. ``text`` is what stands in the file, ``number`` counts from 1."""

    number: int
    text: str
    conversation: Conversation
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Opened:
    """An open file; ``format`` is None when nothing tells how its rows are read."""

    source: Source
    detected: Detected
    format: Format | None

    @property
    def reason(self) -> str:
        """Why the rows are read as they are, in a sentence."""
        if self.format and self.format.certain:
            return say("format.reason.mapped" if self.format.mapping else "format.reason.chosen")
        said = [self.detected.reason, _told_of_text(self.source.path), texts_told(self.source.path)]
        return say("row.separator").join(filter(None, said))

    def page(self, first: int, count: int) -> list[Row]:
        """``count`` rows from ``first`` on, counted from 0."""
        raw = self.source.raw(first, count)
        return [self._row(number, data) for number, data in enumerate(raw, first + 1)]

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """Any rows by their numbers, counted from 1; those that are not there are left out."""
        known = [number for number in numbers if 1 <= number <= len(self.source)]
        return [self._row(number, data) for number in known for data in self.source.raw(number - 1, 1)]

    def assembled(self) -> Iterator[tuple[int, Assembled]]:
        """Every row's number, from 1, with its turns and faults."""
        for first in range(0, len(self.source), BLOCK):
            for number, data in enumerate(self.source.raw(first, BLOCK), first + 1):
                yield number, self._read(data)

    def accounts(self, most: int) -> Accounts:
        """The accounts of the first ``most`` rows."""
        made = Accounts()
        for number, data in enumerate(self.source.raw(0, most), 1):
            made.add(number, self._read(data))
        made.add_beside(self.source)
        return made

    def _read(self, raw: bytes) -> Assembled:
        parsed = parse_row(raw)
        if parsed.fault and not KINDS[parsed.fault.code].usable:
            return Assembled(faults=[parsed.fault])
        return read_row(parsed.value, self.format or Format(FORMATS[0]))

    def _row(self, number: int, raw: bytes) -> Row:
        made = self._read(raw)
        found = tuple(self.findings(number, made))
        return Row(number, raw.decode("utf-8", "replace"), made.conversation, found)

    def findings(self, number: int, made: Assembled) -> list[Finding]:
        """What was found in a row, each with its place in the file."""
        return list(placed(self.source, [Finding(number, *fault) for fault in made.faults]))


def saved_from(path: Path) -> TextKind | None:
    """What a text was saved from; None for any other file."""
    with suppress(InputError, OSError):
        if path.suffix.lower() in TEXTS and path.stat().st_size <= LARGEST_TOLD:
            return taken_for(read_markdown(path))
    return None


def _told_of_text(path: Path) -> str:
    """What a text was saved from and how that is read, in a sentence's part; empty for any other file."""
    return say(f"text.taken.{kind}") if (kind := saved_from(path)) else ""


def texts_told(path: Path) -> str:
    """Which texts of an archive are not read, in a sentence's part; empty for none."""
    texts = texts_in(path)
    shown = [*texts[:SHOWN_PROBLEMS], *(["…"] if len(texts) > SHOWN_PROBLEMS else [])]
    return say("file.texts_inside", count=len(texts), names=say("row.list").join(shown)) if texts else ""


def open_data(path: Path, cache: SourceCache, reading: Reading | None = None) -> Opened:
    """Open a file, or a folder of them. Raises NoSuchFile, NoSuchColumn, NoSuchSheet, Unreadable,
    EmptyData."""
    reading = reading or Reading()
    source = open_source(path, cache, reading.sheets)
    step = max(1, len(source) // LOOKED_FURTHER)
    looked = [*range(min(LOOKED, len(source))), *range(LOOKED, len(source), step)]
    values = [parse_row(raw) for raw in source.at(looked)]
    detected = detect(one.value for one in values if one.fault is None or KINDS[one.fault.code].usable)
    # What this program mended has its own columns.
    rows = [one.value for one in values if isinstance(one.value, dict) and "conversation" not in one.value]
    missing = [name for name in reading.mapping.values() if not any(name in row for row in rows)]
    if missing and rows:
        names, columns = say("row.list").join(missing), say("row.list").join(detected.columns) or "–"
        raise NoSuchColumn(path=path, names=names, columns=columns)
    chosen = chosen_format(detected, reading.format, reading.mapping, bool(reading.thoughts))
    return Opened(source, detected, chosen)


@dataclass(frozen=True)
class Usable:
    """What can be trained of a file, and what was left out: of a row its first fault, and text between the
    rows, each with its place. ``accounts``: what of the others is not trained."""

    conversations: list[Conversation]
    left_out: list[Finding]
    accounts: Accounts = field(default_factory=Accounts)

    @property
    def rows_left_out(self) -> int:
        return sum(not finding.usable for finding in self.left_out)


def read_conversations(
    path: Path, reading: Reading | None = None, cache: SourceCache | None = None
) -> list[Conversation]:
    """All conversations of a file without a fault; raises as :func:`read_whole`."""
    return read_whole(path, reading, cache).conversations


def read_whole(path: Path, reading: Reading | None = None, cache: SourceCache | None = None) -> Usable:
    """A file without a fault. Raises NoSuchFile, NoSuchColumn, Unreadable, NotJson, NotConversations (every
    fault counted), NoUsableRow, EmptyData, UnreadKeys (those that ``reading`` does not ignore)."""
    with _cache(cache) as kept:
        opened = open_data(path, kept, reading)
        _refuse_broken_text(opened.source)
        read, problems, accounts = _read_all(opened)
        unfit = [one for one in of_the_text(opened.source) if not one.usable]  # a table's rows
        problems = [*((one.row, Fault(one.field, one.code, one.values)) for one in unfit), *problems]
        if problems:
            raise _refusal(opened, problems, len(read))
    if not read:
        raise EmptyData(path=path)
    refuse_undecided(path, accounts, reading or Reading(), opened.detected)
    return Usable(read, [], accounts)


def read_usable(path: Path, reading: Reading | None = None, cache: SourceCache | None = None) -> Usable:
    """The conversations of a file's rows that have no fault; the others are left out and named. Raises
    NoSuchFile, NoSuchColumn, Unreadable, NoUsableRow, EmptyData, UnreadKeys."""
    with _cache(cache) as kept:
        opened = open_data(path, kept, reading)
        read, problems, accounts = _read_all(opened)
        first = dict(reversed(problems))
        faults = [Finding(number, *fault) for number, fault in first.items()]
        found = [*of_the_text(opened.source), *placed(opened.source, faults)]
        found.sort(key=lambda finding: finding.row)
        if not read:
            if not problems and not found:
                raise EmptyData(path=path)
            raise none_usable(path, found)
        refuse_undecided(path, accounts, reading or Reading(), opened.detected)
        return Usable(read, found, accounts)


def _read_all(opened: Opened) -> tuple[list[Conversation], list[tuple[int, Any]], Accounts]:
    """The conversations of the rows that can be trained, every fault of the others with its row, and the
    file's accounts."""
    read: list[Conversation] = []
    accounts = Accounts()
    problems: list[tuple[int, Any]] = []
    for number, made in opened.assembled():
        wrong = [fault for fault in made.faults if not KINDS[fault.code].usable]
        problems += [(number, fault) for fault in wrong]
        if not wrong:
            read.append(made.conversation)
        accounts.add(number, made)
    accounts.add_beside(opened.source)
    return read, problems, accounts


@contextmanager
def _cache(given: SourceCache | None) -> Iterator[SourceCache]:
    """The cache that was given, else one for as long as a file is read."""
    if given is not None:
        yield given
        return
    with TemporaryDirectory(prefix="tuneboard-") as folder:
        yield SourceCache(Path(folder))


# Formats whose columns a person may name instead.
_TABLES = ("pairs", "alpaca")


def refuse_undecided(path: Path, accounts: Accounts, reading: Reading, detected: Detected) -> None:
    """Raises UnreadKeys for keys that nobody reads, unless a person ignores them or chose the columns."""
    open_ones = [one for one in accounts.undecided if one.key not in reading.ignore]
    if not open_ones or reading.columns or "*" in reading.ignore:
        return
    shown = [say("data.unread", **one.values(accounts.rows)) for one in open_ones[:SHOWN_PROBLEMS]]
    more = len(open_ones) - SHOWN_PROBLEMS
    keys = say("row.separator").join(shown + ([say("row.more", count=more)] if more > 0 else []))
    options = " ".join(f"--ignore {shlex.quote(one.key)}" for one in open_ones)
    raise UnreadKeys(path=path, keys=keys, options=options, how=_how(open_ones, accounts, detected))


def _how(unread: Sequence[Unused], accounts: Accounts, detected: Detected) -> str:
    """What else may be done about keys that nobody reads than to ignore them, in a sentence."""
    if any(plain(one.key) in REJECTED for one in unread):
        return say("unread.rejected")
    if beside := [one.key for one in unread if one.key in accounts.beside]:
        return say("unread.beside", keys=say("row.list").join(beside), count=len(beside))
    found = columns_of(detected.columns)
    named = next((one.key for one in unread if one.key in detected.columns), None)
    if found is None or named is None or detected.format is None or detected.format.name not in _TABLES:
        return say("unread.inside")
    asked = found.main if found.asked == (found.main,) else ""
    if not asked:
        return say("unread.inside")
    words = (f"user={asked}", f"assistant={found.answer}", f"context={named}")
    return say("unread.columns", options=" ".join(f"--column {shlex.quote(word)}" for word in words))


def _refuse_broken_text(source: Source) -> None:
    """Raises NotJson for what is wrong between rows."""
    for part in source.parts:
        for _, damage in part.stray[:1]:
            detail = damage.detail or say("json.end")
            raise _not_json(part.path, part.plain, damage.at, detail)


def _refusal(
    opened: Opened, problems: Sequence[tuple[int, Any]], usable: int
) -> NotJson | NotConversations | NoUsableRow | UnknownRows:
    """The error for a file's faults: where its JSON breaks, else what its first rows have; ``usable`` rows
    have none."""
    for number, fault in problems:
        part, row = opened.source.where(number - 1)
        if fault.code == "broken_json":
            return _not_json(
                part.path, part.plain, int(part.spans[row, 0]) + fault.values["at"], fault.values["detail"]
            )
    path = opened.source.path
    if not usable:
        return unknown_rows(opened.source) if opened.format is None else _no_usable_row(path, problems)
    return NotConversations(path=path, count=len(problems), usable=usable, problems=_shown(problems))


def none_usable(path: Path, found: Sequence[Finding]) -> NoUsableRow:
    """The error for a file none of whose rows can be trained, for what was found in them."""
    wrong = [one for one in found if not one.usable]
    return _no_usable_row(path, [(one.row, (one.field, one.code, one.values)) for one in wrong or found])


def _no_usable_row(path: Path, problems: Sequence[tuple[int, Any]]) -> NoUsableRow:
    return NoUsableRow(path=path, count=len({number for number, _ in problems}), problems=_shown(problems))


def _not_json(path: Path, plain: Path, at: int, detail: str) -> NotJson:
    line, column = line_and_column(plain, [at])[at]
    return NotJson(path=path, line=line, column=column, detail=complaint(detail))


def _shown(problems: Sequence[tuple[int, Any]]) -> str:
    shown = []
    for number, (place, code, values) in problems[:SHOWN_PROBLEMS]:
        message = Finding(number, place, code, values).message()
        key = "row.problem_at" if place else "row.problem"
        shown.append(say(key, row=number, field=place, message=message))
    more = len(problems) - SHOWN_PROBLEMS
    return say("row.separator").join(shown + ([say("row.more", count=more)] if more > 0 else []))


def say_left_out(path: Path | str, found: Sequence[Finding], progress: Progress) -> None:
    """How many rows were left out of a file, or only what stands between them, and the first of it."""
    rows = len({one.row for one in found if not one.usable})
    problems = _shown([(one.row, (one.field, one.code, one.values)) for one in found])
    key = "data.left_out" if rows else "data.left_out_text"
    progress.say(key, path=path, count=rows, problems=problems)


def reading_of(
    format_name: str | None,
    columns: Sequence[str],
    ignore: Sequence[str] = (),
    thoughts: bool | None = None,
    sheets: Sequence[str] = (),
) -> Reading:
    """What ``--format``, ``--column role=name``, ``--ignore KEY``, ``--keep-thoughts`` and ``--sheet NAME``
    say. Raises InvalidOption."""
    pairs: dict[str, str] = {}
    for column in columns:
        role, equals, name = column.partition("=")
        role = COLUMN_NAMES.get(role.strip().lower(), role.strip())
        if not equals or role not in COLUMN_ROLES or not name:
            raise _wrong_column(column)
        pairs[role] = name
    if pairs and "assistant" not in pairs:
        raise _wrong_column(" ".join(columns))
    return Reading(format_name, tuple(sorted(pairs.items())), tuple(ignore), thoughts, tuple(sheets))


# Other words for the same roles.
COLUMN_NAMES = {
    **dict.fromkeys(("input", "prompt", "question", "instruction", "query", "human"), "user"),
    **dict.fromkeys(("output", "response", "answer", "completion", "gpt"), "assistant"),
}


def _wrong_column(given: str) -> InvalidOption:
    roles = say("row.list").join(COLUMN_ROLES)
    return InvalidOption(
        message=say("cli.wrong.column", value=given, roles=roles), help="scripts/run data check --help"
    )
