"""CSV, TSV, Parquet and workbooks as JSON lines: one object a row, its columns by name.

DuckDB and calamine read them, what is packed in a child process with limits: a file of some kilobytes may
hold gigabytes. A row of a text table that does not fit is left out and told. A workbook gives
every sheet of it; blank rows, and a header that is repeated among the rows, are no rows.
"""

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from python_calamine import CalamineError, CalamineWorkbook

from core.data.reading.encodings import MOST_EXPANSION, most_bytes
from core.data.reading.headers import LOOKED_BELOW, MOST_ABOVE, find_header, without_header
from core.errors import Unreadable
from core.limited.call import ChildFailed, Limits, OutOfMemory, OutOfTime, TooMuchWritten, call
from core.wording import say

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
} | dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "excel")
# What Anki writes above the cards that it exports: notes of fields, of which none is named.
CARDS = b"#separator:"
_CARDS_SAID = re.compile(r"#separator:(?P<name>\w+|.)\r?\n(?:#.*\r?\n)*", re.IGNORECASE)
_NAMED_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "colon": ":", "space": " "}
MEMORY = "512MB"
# What may be taken for a packed table: processor time at the least and for each megabyte of it, and memory: a
# workbook's sheet is read as a whole.
SECONDS, SECONDS_A_MEGABYTE, WORKBOOK_MEMORY = 20, 2, 4 << 30
# No conversation has as many; each name is written again in every row.
MOST_COLUMNS = 2000
LONGEST_HEAD = 1 << 16
DELIMITERS = ",;\t|"
# Excel's own remark on the first line of a text table.
_SEPARATOR_SAID = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
READ_CSV = """
SELECT * FROM read_csv($source, header = $header, auto_detect = false, quote = '"', escape = '"',
  delim = $delimiter, columns = $columns, skip = $skip, store_rejects = true,
  rejects_limit = 10000, max_line_size = 16777216)
"""


@dataclass(frozen=True)
class Refused:
    """A row of a text table that could not be read: its line, counted from 1, and what DuckDB says."""

    line: int
    detail: str


def table_kind(path: Path, head: bytes) -> str | None:
    """Which table a file is, by its first bytes where they tell, else by the end of its name."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(CARDS):
        return "cards"
    suffixes = [
        suffix.lower() for suffix in path.suffixes if suffix.lower() not in {".gz", ".zst", ".bz2", ".xz"}
    ]
    return KINDS.get(suffixes[-1]) if suffixes else None


@dataclass(frozen=True)
class Sheet:
    """One table of a file as it was written: how many bytes its rows take, what stood above its header, and
    the rows that do not fit. ``name``: of a workbook's sheet."""

    size: int
    name: str = ""
    above: str = ""
    refused: tuple[Refused, ...] = ()


def write_table(path: Path, kind: str, target: Path) -> list[Sheet]:
    """Write the rows of a file's tables into ``target`` as JSON lines, one table after the other. Raises
    Unreadable."""
    size = path.stat().st_size
    if kind in PACKED:
        limits = Limits(SECONDS + SECONDS_A_MEGABYTE * size / 1e6, WORKBOOK_MEMORY, most_bytes(size))
        try:
            return [
                Sheet(**sheet)
                for sheet in call(PACKED[kind], str(path.absolute()), str(target), limits=limits)
            ]
        except ChildFailed as error:
            raise Unreadable(path=path, reason=_why(error, kind, limits)) from error
    above, refused = _write_by_duckdb(path, kind, target, most_bytes(size))
    return [Sheet(target.stat().st_size, above=above, refused=tuple(refused))]


def _why(error: ChildFailed, kind: str, limits: Limits) -> str:
    if isinstance(error, TooMuchWritten):
        return say("file.bomb", times=MOST_EXPANSION)
    if isinstance(error, OutOfTime):
        return say("file.slow_table", seconds=round(limits.seconds))
    if isinstance(error, OutOfMemory):
        return say("file.large_table", limit=round(limits.memory / 1e9))
    return say("file.no_table", kind=kind, detail=str(error))


def write_parquet(path: str, target: str) -> list[dict[str, Any]]:
    """As :func:`write_table`, in the process that calls it, with JSON for result."""
    _write_by_duckdb(Path(path), "parquet", Path(target))
    return [asdict(Sheet(Path(target).stat().st_size))]


def write_workbook(path: str, target: str) -> list[dict[str, Any]]:
    """As :func:`write_table`, in the process that calls it, with JSON for result."""
    return [asdict(sheet) for sheet in _write_workbook(Path(path), Path(target))]


# Kinds that a child reads.
PACKED = {"parquet": write_parquet, "excel": write_workbook}


def _write_by_duckdb(
    path: Path, kind: str, target: Path, most: int | None = None
) -> tuple[str, list[Refused]]:
    """Files are named to DuckDB by number: it takes brackets and stars of a name for a pattern."""
    import duckdb  # a quarter of a second, which only a table pays

    descriptor = os.open(path, os.O_RDONLY)
    source = f"/proc/self/fd/{descriptor}"
    try:
        with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2}) as connection:
            if kind == "parquet":
                _write_lines(
                    connection.execute("SELECT * FROM read_parquet($source)", {"source": source}), target
                )
                return "", []
            head = _head(path, kind)
            if len(head.names) > MOST_COLUMNS:
                reason = say("file.many_columns", count=len(head.names), limit=MOST_COLUMNS)
                raise Unreadable(path=path, reason=reason)
            columns = dict.fromkeys(head.names, "VARCHAR")
            values = {"source": source, "delimiter": head.delimiter, "columns": columns, "skip": head.lines}
            values["header"] = head.written
            if not _write_lines(connection.execute(READ_CSV, values), target, most):
                raise Unreadable(path=path, reason=say("file.bomb", times=MOST_EXPANSION))
            return head.above, _refused(connection)
    except (duckdb.Error, csv.Error, UnicodeDecodeError) as error:
        reason = say("file.no_table", kind=kind, detail=str(error).splitlines()[0][:200])
        raise Unreadable(path=path, reason=reason) from error
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _Head:
    """How a text table begins: what stands between its cells, its columns' names, and the ``lines`` above
    them (one that a quoted cell spreads over several counts once), which say ``above``. ``written``: whether
    they stand there."""

    delimiter: str
    names: tuple[str, ...]
    lines: int = 0
    above: str = ""
    written: bool = True


def _head(path: Path, kind: str) -> _Head:
    """Read here and not guessed from all rows, of which some may be broken. Raises csv.Error."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        sample = stream.read(LONGEST_HEAD)
    if kind == "cards":
        return _head_of_cards(sample)
    said = _SEPARATOR_SAID.match(sample)
    lines = sample.count("\n", 0, said.end()) if said else 0
    sample = sample[said.end() :] if said else sample
    given = "\t" if kind == "tsv" else said[1] if said else ""
    found, wrong = [], csv.Error("empty")
    for delimiter in given or DELIMITERS:
        try:  # what is no table by one delimiter is one by another: a quoted cell ends before its own
            found += [head] if (head := _head_by(sample, delimiter, lines)) else []
        except csv.Error as error:
            wrong = error
    if not found:
        raise wrong
    return max(found, key=lambda head: head[0])[1]


def _head_of_cards(sample: str) -> _Head:
    said = _CARDS_SAID.match(sample)
    delimiter = _NAMED_SEPARATORS.get(said["name"].lower(), said["name"]) if said else "\t"
    lines = sample.count("\n", 0, said.end()) if said else 1
    cards = csv.reader(io.StringIO(sample[said.end() :] if said else "", newline=""), delimiter=delimiter)
    width = max((len(cells) for cells in islice(cards, LOOKED_BELOW)), default=2)
    return _Head(delimiter, without_header(0, width).names, lines, written=False)


def _head_by(sample: str, delimiter: str, lines: int) -> tuple[tuple[bool, float, int], _Head] | None:
    """The head as this delimiter would have it, and how well the first rows fit it; None for none."""
    records: list[list[str]] = []
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True)
    while len(records) <= MOST_ABOVE + LOOKED_BELOW:
        try:
            records.append(next(reader))
        except StopIteration:
            break
        except csv.Error:
            if not any(map(any, records)):
                raise
            break
    header = find_header(records)
    if header is None:
        return None
    below = [len(cells) for cells in records[header.first : -1] or records[header.first :] if any(cells)]
    fitting = sum(width == len(header.names) for width in below) / len(below) if below else 1.0
    head = _Head(delimiter, header.names, lines + header.row, header.above, header.written)
    # A delimiter that parts nothing fits any text: it comes last.
    return (header.known, fitting if len(header.names) > 1 else -1.0, -header.row), head


def _write_lines(reader: Any, target: Path, most: int | None = None) -> bool:
    """Columns whose names are equal but for case keep their own names, as DuckDB tells them. False as soon as
    ``most`` bytes are written."""
    names = [column[0] for column in reader.description]
    header = tuple(names)
    with target.open("wb") as out:
        while row := reader.fetchone():
            if row != header and any(cell is not None and cell != "" for cell in row):
                cells = map(_with_plain_ends, row)
                out.write(orjson.dumps(dict(zip(names, cells, strict=True)), default=str) + b"\n")
                if most is not None and out.tell() > most:
                    return False
    return True


def _refused(connection: Any) -> list[Refused]:
    found = connection.execute(
        "SELECT line, any_value(error_message) FROM reject_errors GROUP BY line ORDER BY line"
    ).fetchall()
    return [Refused(int(line), str(detail).splitlines()[0][:200]) for line, detail in found]


def _write_workbook(path: Path, target: Path) -> list[Sheet]:
    """Every sheet of the workbook that holds anything, in their order."""
    sheets = []
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        with target.open("wb") as out:
            for name in workbook.sheet_names:
                size = out.tell()
                above = _write_sheet(workbook.get_sheet_by_name(name).iter_rows(), out)
                if above is not None:
                    sheets.append(Sheet(out.tell() - size, name, above))
    except (CalamineError, ValueError, IndexError) as error:
        reason = say("file.no_table", kind="excel", detail=str(error)[:200])
        raise Unreadable(path=path, reason=reason) from error
    return sheets


def _write_sheet(rows: Iterator[list[Any]], out: BinaryIO) -> str | None:
    """Write a sheet's rows; what stands above its header, None where it has none (a chart, an empty page)."""
    first = [[_as_text(cell) for cell in cells] for cells in islice(rows, MOST_ABOVE + LOOKED_BELOW + 1)]
    header = find_header(first)
    if header is None:
        return None
    named = [bool(cell.strip()) or not header.written for cell in first[header.row]]
    for cells in chain(first[header.first :], ([_as_text(cell) for cell in cells] for cells in rows)):
        filled = {name: cell for name, cell in zip(header.names, cells, strict=False) if cell != ""}
        if any(cell != name for name, cell in filled.items()):
            pairs = zip(header.names, cells, named, strict=False)
            row = {name: cell for name, cell, has_name in pairs if has_name or cell != ""}
            out.write(orjson.dumps(row) + b"\n")
    return header.above


def _as_text(cell: Any) -> str:
    """A cell as a person typed it: Excel keeps 42 as 42.0."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return _with_plain_ends(cell) if isinstance(cell, str) else str(cell)


def _with_plain_ends(cell: Any) -> Any:
    """A cell whose lines end as everywhere, and not as Windows ends them: nobody means to teach that."""
    return cell.replace("\r\n", "\n") if isinstance(cell, str) else cell
