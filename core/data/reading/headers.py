"""The row of a table that names its columns, though titles, remarks and blank rows may stand above it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.formats.shapes import shape_of

# So many rows may stand above the header.
MOST_ABOVE = 20
# Rows below a header that tell whether it is one.
LOOKED_BELOW = 10
_QUESTION = re.compile(r"[?？؟]\s*$")
_REMARK = re.compile(r"\s*(#|//|;;)")

Cells = Sequence[str]


@dataclass(frozen=True)
class Header:
    """``row``: its number, from 0; ``names``: the columns' names in their order, no two alike; ``known``:
    whether a format has such names; ``above``: what stands over it. ``written``: whether the table has it;
    where it has none ``row`` is the first of its rows, and its columns are called as they are meant."""

    row: int
    names: tuple[str, ...]
    known: bool
    above: str = ""
    written: bool = True

    @property
    def first(self) -> int:
        """The number of the first row that is no header."""
        return self.row + 1 if self.written else self.row


def find_header(rows: Sequence[Cells]) -> Header | None:
    """The header among the first rows of a table: one whose names are those of a known format, else the first
    that is as wide as what stands below it, else the first that holds anything."""
    filled = [number for number, cells in enumerate(rows[: MOST_ABOVE + 1]) if any(map(str.strip, cells))]
    wide = [number for number in filled if _is_wide(rows, number)]
    known = [number for number in wide if shape_of(dict.fromkeys(_named(rows[number]), "x"))]
    single = [number for number in filled if not _REMARK.match("".join(rows[number]))]
    found = next(iter((*known, *wide, *single, *filled)), None)
    if found is None:
        return None
    above = " ".join(
        " ".join(filter(None, map(str.strip, rows[number]))) for number in filled if number < found
    )
    if not known and is_of_questions(rows[found:]):
        return without_header(found, len(rows[found]), above[:200])
    return Header(found, unique(rows[found]), found in known, above[:200])


def without_header(row: int, width: int, above: str = "") -> Header:
    """What a table of questions and answers has for a header that names nothing."""
    names = ["question", "answer", *[""] * width][: max(width, 2)]
    return Header(row, unique(names), True, above, written=False)


def is_of_questions(rows: Sequence[Cells]) -> bool:
    """Whether a table begins with a question and its answer in place of names: most rows do so too."""
    filled = [cells for cells in rows[: LOOKED_BELOW + 1] if any(map(str.strip, cells))]
    asking = [len(cells) > 1 and _QUESTION.search(cells[0]) and cells[1].strip() for cells in filled]
    return bool(asking[0]) and not _QUESTION.search(filled[0][1]) and 2 * sum(map(bool, asking)) > len(asking)


def unique(cells: Cells) -> tuple[str, ...]:
    """Names of columns: one without a name has its number, the second of one name too."""
    names: dict[str, None] = {}
    for number, cell in enumerate(cells, 1):
        own = cell.strip() or f"column {number}"
        names[own if own not in names else f"{own} ({number})"] = None
    return tuple(names)


def _named(cells: Cells) -> list[str]:
    return [cell.strip() for cell in cells if cell.strip()]


def _is_wide(rows: Sequence[Cells], number: int) -> bool:
    """Whether a row has several names, and most rows below it fill as many columns as it or fewer."""
    names = _named(rows[number])
    remark = _REMARK.match(rows[number][0]) and len(names[0]) > 1
    if len(names) < 2 or remark:
        return False
    width = _width(rows[number])
    below = [found for cells in rows[number + 1 : number + 1 + LOOKED_BELOW] if (found := _width(cells))]
    if not below:
        return not any(any(map(str.strip, cells)) for cells in rows[:number])
    return 2 * sum(1 < found <= width for found in below) >= len(below)


def _width(cells: Cells) -> int:
    """Columns up to the last one that holds anything."""
    return max((number for number, cell in enumerate(cells, 1) if cell.strip()), default=0)
