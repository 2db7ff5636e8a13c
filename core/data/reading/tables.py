"""CSV, TSV, Parquet and Excel as JSON lines: one object a row, its columns by name.

DuckDB and calamine read them; a row of a text table that does not fit is left out and told.
"""

import csv
import io
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import orjson
from python_calamine import CalamineError, CalamineWorkbook

from core.errors import Unreadable
from core.wording import say

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
} | dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "excel")
# An Excel file is a ZIP whose pages expand in memory.
LARGEST_PAGES = 300_000_000
MEMORY = "512MB"
LONGEST_HEAD = 1 << 16
READ_CSV = """
SELECT * FROM read_csv($source, header = true, auto_detect = false, quote = '"', escape = '"',
  delim = $delimiter, columns = $columns, store_rejects = true,
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
    suffixes = [
        suffix.lower() for suffix in path.suffixes if suffix.lower() not in {".gz", ".zst", ".bz2", ".xz"}
    ]
    return KINDS.get(suffixes[-1]) if suffixes else None


def write_table(path: Path, kind: str, target: Path) -> list[Refused]:
    """Write a table's rows into ``target`` as JSON lines. Raises Unreadable."""
    if kind == "excel":
        _write_excel(path, target)
        return []
    return _write_by_duckdb(path, kind, target)


def _write_by_duckdb(path: Path, kind: str, target: Path) -> list[Refused]:
    """Files are named to DuckDB by number: it takes brackets and stars of a name for a pattern."""
    descriptor = os.open(path, os.O_RDONLY)
    source = f"/proc/self/fd/{descriptor}"
    try:
        with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2}) as connection:
            if kind == "parquet":
                _write_lines(
                    connection.execute("SELECT * FROM read_parquet($source)", {"source": source}), target
                )
                return []
            head = _head(path, kind)
            values = {"source": source, "delimiter": head.delimiter, "columns": head.columns}
            _write_lines(connection.execute(READ_CSV, values), target)
            return _refused(connection)
    except (duckdb.Error, csv.Error, UnicodeDecodeError) as error:
        reason = say("file.no_table", kind=kind, detail=str(error).splitlines()[0][:200])
        raise Unreadable(path=path, reason=reason) from error
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _Head:
    """What the first row of a text table tells: what stands between cells, and the columns' names."""

    delimiter: str
    columns: dict[str, str]


def _head(path: Path, kind: str) -> _Head:
    """Read here and not guessed from all rows, of which some may be broken. Raises csv.Error."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        sample = stream.read(LONGEST_HEAD)
    first = re.sub(r'"[^"]*"', "", sample).partition("\n")[0]
    delimiter = "\t" if kind == "tsv" else max(",;\t|", key=first.count)
    names = next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True), [])
    if not names:
        raise csv.Error("empty")
    columns: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        own = name.strip() or f"column {number}"
        columns[own if own not in columns else f"{own} ({number})"] = "VARCHAR"
    return _Head(delimiter, columns)


def _write_lines(reader: Any, target: Path) -> None:
    """Columns whose names are equal but for case keep their own names, as DuckDB tells them."""
    names = [column[0] for column in reader.description]
    with target.open("wb") as out:
        while rows := reader.fetchmany(4096):
            lines = [orjson.dumps(dict(zip(names, row, strict=True)), default=str) for row in rows]
            out.write(b"\n".join(lines) + b"\n")


def _refused(connection: duckdb.DuckDBPyConnection) -> list[Refused]:
    found = connection.execute(
        "SELECT line, any_value(error_message) FROM reject_errors GROUP BY line ORDER BY line"
    ).fetchall()
    return [Refused(int(line), str(detail).splitlines()[0][:200]) for line, detail in found]


def _write_excel(path: Path, target: Path) -> None:
    """The first page of the workbook; its first row names the columns."""
    _refuse_bomb(path)
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        rows = iter(workbook.get_sheet_by_index(0).iter_rows())
        names = [str(cell) for cell in next(rows, [])]
    except (CalamineError, OSError, ValueError, IndexError) as error:
        reason = say("file.no_table", kind="excel", detail=str(error)[:200])
        raise Unreadable(path=path, reason=reason) from error
    with target.open("wb") as out:
        out.writelines(orjson.dumps(row, default=str) + b"\n" for row in _excel_rows(names, rows))


def _excel_rows(names: list[str], rows: Iterator[list[Any]]) -> Iterator[dict[str, Any]]:
    for cells in rows:
        if any(cell != "" for cell in cells):
            yield {name: _as_text(cell) for name, cell in zip(names, cells, strict=False) if name}


def _as_text(cell: Any) -> str:
    """A cell as a person typed it: Excel keeps 42 as 42.0."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell if isinstance(cell, str) else str(cell)


def _refuse_bomb(path: Path) -> None:
    """Raises Unreadable for a workbook whose pages would fill the memory; sizes in a ZIP can lie, so they
    are counted."""
    if not zipfile.is_zipfile(path):
        return
    left = LARGEST_PAGES
    try:
        with zipfile.ZipFile(path) as pages:
            for name in pages.infolist():
                with pages.open(name) as page:
                    while left > 0 and (block := page.read(1 << 20)):
                        left -= len(block)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise Unreadable(path=path, reason=say("file.damaged_archive", kind="excel")) from error
    if left <= 0:
        raise Unreadable(path=path, reason=say("file.large_workbook", limit=LARGEST_PAGES // 1_000_000))
