"""What of a file is not trained: rows and parts that are left out, and keys that nobody reads."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.data.checking.report import Findings
from core.data.findings import KINDS, Finding
from core.data.formats.fields import shortened
from core.data.formats.harmless import is_harmless
from core.data.formats.messages import Assembled
from core.data.reading.source import Source
from core.wording import say

# Characters of an unread key's value that a sentence shows.
LONGEST_EXAMPLE = 120
# What is left out where it is a whole row.
ROW = "row"
MESSAGE = "message"
# Findings that leave out a part of a row that is trained.
PARTS = tuple(code for code, kind in KINDS.items() if kind.left_out and kind.usable)


@dataclass(frozen=True)
class Omission:
    """Rows, or a part of so many ``rows``, that are not trained: ``what`` it is in the file, and ``why``."""

    what: str
    rows: int
    example: str
    why: str

    @property
    def named(self) -> str:
        """What it is, in the language of whoever asked; a key of the file as it stands there."""
        return say(f"omission.{self.what}") if self.what in (MESSAGE, ROW) else self.what

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Unused:
    """A key that nobody reads and of which nobody knows what it means; ``rows`` have it."""

    key: str
    rows: int
    example: str

    def values(self, of: int, longest: int = LONGEST_EXAMPLE) -> dict[str, Any]:
        """What the sentence ``data.unread`` says of it in a file of so many rows."""
        share = f"{self.rows / max(1, of):.0%}"
        return {**asdict(self), "share": share, "example": shortened(self.example, longest)}

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Accounts:
    """A file's accounts, row by row; ``usable`` of its ``rows`` can be trained. ``unread``: rows and first
    value of each key that nobody read; ``beside``: those of them that stand beside the rows."""

    rows: int = 0
    usable: int = 0
    found: Findings = field(default_factory=Findings)
    unread: dict[str, tuple[int, str]] = field(default_factory=dict)
    harmless: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)

    def add(self, number: int, made: Assembled) -> None:
        """Account for one row, which counts from 1."""
        self.rows += 1
        self.usable += all(KINDS[fault.code].usable for fault in made.faults)
        self.found.add(Finding(number, place, code, values) for place, code, values in made.faults)
        self.harmless.update(made.harmless)
        count_unread(self.unread, made)

    def add_beside(self, source: Source) -> None:
        """Account for what stands beside the rows, in the object that holds them: it concerns all of them."""
        unread, harmless = beside(source)
        self.unread.update({key: value for key, value in unread.items() if key not in self.unread})
        self.harmless.update(harmless)
        self.beside.update(unread)

    @property
    def unused(self) -> list[Unused]:
        return unused(self.unread)

    @property
    def left_out(self) -> list[Omission]:
        return left_out(self.found)

    @property
    def parts(self) -> list[Omission]:
        """What is left out of rows that are trained."""
        return left_out(self.found, PARTS)

    @property
    def undecided(self) -> list[Unused]:
        """What a person has to decide before it is trained: keys that nobody reads, rejected answers."""
        rejected = [
            Unused(one.what, one.rows, one.example) for one in left_out(self.found, ("rejected_left_out",))
        ]
        return [*rejected, *self.unused]


def beside(source: Source) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """The keys beside a source's rows: those that nobody reads; and the harmless ones."""
    unread: dict[str, tuple[int, str]] = {}
    harmless: list[str] = []
    for part in source.parts:
        for key, value in part.beside.items():
            if is_harmless(key, value):
                harmless.append(key)
            elif value not in (None, "", [], {}):
                rows, example = unread.get(key) or (0, shortened(value))
                unread[key] = (rows + len(part.spans), example)
    return unread, harmless


def count_unread(found: dict[str, tuple[int, str]], made: Assembled) -> None:
    """Count a row's keys that nobody read: how many rows have each, and what stands there first."""
    for key, value in dict(reversed(made.unread)).items():
        rows, example = found.get(key) or (0, shortened(value))
        found[key] = (rows + 1, example)


def unused(unread: Mapping[str, tuple[int, str]]) -> list[Unused]:
    """Keys that nobody read, those of most rows first."""
    found = [Unused(key, rows, example) for key, (rows, example) in unread.items()]
    return sorted(found, key=lambda one: -one.rows)


def left_out(found: Findings, codes: Iterable[str] | None = None) -> list[Omission]:
    """What findings leave out, by code and by what they name: whole rows first."""
    made: dict[tuple[str, str], list[Finding]] = {}
    for finding in found.listed:
        kind = KINDS[finding.code]
        if finding.code in codes if codes else kind.left_out or not kind.usable:
            named = str(finding.values.get("found", "")) if kind.left_out else ""
            made.setdefault((finding.code, named), []).append(finding)
    ordered = sorted(made.items(), key=lambda item: (KINDS[item[0][0]].usable, -len(item[1])))
    return [_left_out(code, named, some, found) for (code, named), some in ordered]


def _left_out(code: str, named: str, some: list[Finding], found: Findings) -> Omission:
    rows = len({finding.row for finding in some})
    listed = sum(finding.code == code for finding in found.listed)
    if found.counts[code] > listed:  # the first ones are listed, all of them counted
        rows = rows * found.counts[code] // listed
    first = some[0]
    what = named or (MESSAGE if KINDS[code].usable else ROW)
    return Omission(what, rows, str(first.values.get("example") or f"{first.row}"), first.message())
