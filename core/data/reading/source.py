"""A data file or a folder of them, opened: any row of it without reading the others.

What was found out is kept beside the data, by the file's name, size and time, so that the next look is free.
"""

import codecs
import hashlib
import os
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from core.data.reading.archives import TEXTS, is_archive, write_members
from core.data.reading.choosing import Table, chosen_parts, label_of
from core.data.reading.containers import tables
from core.data.reading.dialogues import is_row_list
from core.data.reading.encodings import (
    MOST_EXPANSION,
    Encoding,
    most_bytes,
    opened,
    read_encoding,
    write_plain,
)
from core.data.reading.foreign_files import refuse_foreign
from core.data.reading.keeping import used
from core.data.reading.part import Part
from core.data.reading.rows import Damage, Layout, layout, loaded
from core.data.reading.structure import Spans
from core.data.reading.tables import Refused, Sheet, table_kind, write_table
from core.data.reading.turning import write_columns, write_dialogues, write_paragraphs
from core.errors import EmptyData, NoDataFiles, NoSuchFile, StorageFailed, Unreadable, reason_of
from core.wording import say
from core.workspace.data_paths import SourceCache, SourceEntry
from core.workspace.files import LFS_POINTER, read_json, write_json
from core.workspace.paths import make_folder

# Raised when the meaning of what is kept changes.
VERSION = 7
SUFFIXES = {
    ".json",
    ".jsonl",
    ".ndjson",
    ".csv",
    ".tsv",
    ".tab",
    ".parquet",
    ".pq",
    ".xlsx",
    ".xlsm",
    ".xls",
    ".ods",
}
# Of archives, too, a folder holds others than data.
ARCHIVES = {".zip"}
# Not read, but not passed over either: where they lie, the JSON files beside them only describe them.
ARROW = {".arrow", ".feather"}
DESCRIBING = {"state.json", "dataset_info.json", "dataset_dict.json"}
PACKED = {".gz", ".zst", ".bz2", ".xz"}
MOST_FILES = 10_000
# A text of more bytes that begins as JSON does is told by its first line.
LARGEST_TEXT = 1 << 26
# The bytes of a UTF-8 character behind its first.
CONTINUED = bytes(range(0x80, 0xC0))


@dataclass(frozen=True)
class Source:
    """A file, or a folder's files in the order of their names, with all their rows. ``parts`` are read;
    ``every`` has those too that are not."""

    path: Path
    parts: tuple[Part, ...]
    every: tuple[Part, ...] = ()

    @property
    def tables(self) -> list[Table]:
        """Every table there is, by the name that ``--sheet`` knows it by, and whether it is read."""
        return [
            Table(label_of(part, self.path), len(part.spans), part in self.parts, part.above)
            for part in self.every
        ]

    @cached_property
    def starts(self) -> list[int]:
        """How many rows come before each part, and in the end all of them."""
        return [0, *np.cumsum([len(part.spans) for part in self.parts]).tolist()]

    def __len__(self) -> int:
        return self.starts[-1]

    def raw(self, first: int, count: int) -> list[bytes]:
        """The bytes of ``count`` rows from ``first`` on, counted from 0."""
        found: list[bytes] = []
        for start, part in zip(self.starts, self.parts, strict=False):
            rows = range(max(0, first - start), min(len(part.spans), first + count - start))
            found += part.raw(rows) if len(rows) else []
        return found

    def at(self, rows: Sequence[int]) -> list[bytes]:
        """The bytes of any rows, counted from 0."""
        return [raw for row in rows for raw in self.raw(row, 1)]

    def where(self, row: int) -> tuple[Part, int]:
        """The part that holds a row, and the row's number in it, both from 0."""
        number = bisect_right(self.starts, row) - 1
        number = min(number, len(self.parts) - 1)
        return self.parts[number], row - self.starts[number]

    @property
    def container(self) -> str:
        return " + ".join(sorted({part.container for part in self.parts}))


def open_source(path: Path, cache: SourceCache, sheets: Sequence[str] = ()) -> Source:
    """Open a data file or a folder of them; ``sheets``: which of several tables are read, ("all",) for all,
    nothing for those that look alike. Raises NoSuchFile, Unreadable, NoDataFiles, NoSuchSheet.
    """
    try:
        files = files_of(path)
    except OSError as error:
        raise Unreadable(path=path, reason=reason_of(error)) from error
    if not files:
        raise NoDataFiles(path=path, kinds=_kinds())
    every = tuple(part for file in files for part in _open_file(file, cache))
    return Source(path, chosen_parts(every, path, sheets), every)


def files_of(path: Path) -> list[Path]:
    """A file itself, or the data files below a folder by name; hidden ones and links are left out.

    Raises Unreadable.
    """
    return _below(path) if path.is_dir() else [path]


def _below(folder: Path) -> list[Path]:
    every = list(islice(folder.rglob("*"), MOST_FILES + 1))
    if len(every) > MOST_FILES:
        raise Unreadable(path=folder, reason=say("file.large_folder", limit=MOST_FILES))
    arrow = {parent for file in every if file.suffix.lower() in ARROW for parent in file.parents}
    return [
        file
        for file in sorted(every)
        if not (file.name in DESCRIBING and file.parent in arrow)
        if is_data(file) and file.is_file() and not file.is_symlink()
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _kinds() -> str:
    """The ends of names that are data, for a sentence."""
    return " ".join(sorted(SUFFIXES))


def is_data(file: PurePath) -> bool:
    """Whether a file's name says that it holds data."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES | ARROW


def _open_file(path: Path, cache: SourceCache) -> list[Part]:
    try:
        place = cache.entry(_key(path))
        with _kept_if_read(place):
            if is_archive(path):
                return _open_archive(path, place, cache)
            return _read_known(path, place) or _examine(path, place)
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except Unreadable:
        raise
    except OSError as error:
        if error.filename and Path(error.filename) != path:
            raise StorageFailed(path=error.filename, reason=reason_of(error)) from error
        raise Unreadable(path=path, reason=reason_of(error)) from error


@contextmanager
def _kept_if_read(place: SourceEntry) -> Iterator[None]:
    """Of a file that is refused nothing stays: what a bomb has written may be large."""
    try:
        yield
    except BaseException:
        shutil.rmtree(place.folder, ignore_errors=True)
        raise


def _open_archive(path: Path, place: SourceEntry, cache: SourceCache) -> list[Part]:
    """The tables of the data files in an archive, which are written beside it once."""
    names = read_json(place.about) if place.about.exists() else None
    if names is None:
        make_folder(place.folder, exist_ok=True)
        names = write_members(path, place.members, is_data, _kinds())
        write_json(place.about, names)
    used(place.folder)
    found: list[Part] = []
    left = most_bytes(path.stat().st_size)
    for file, name in names.items():
        try:
            parts = _open_file(place.members / file, cache)
            left -= sum({part.plain: part.plain.stat().st_size for part in parts}.values())
            if left < 0:
                raise Unreadable(path=path, reason=say("file.bomb", times=MOST_EXPANSION))
        except BaseException:
            for member in names:
                _forget(place.members / member, cache)
            raise
        for part in parts:
            found.append(replace(part, path=path, name=f"{name}: {part.name}" if part.name else name))
    return found


def _forget(member: Path, cache: SourceCache) -> None:
    """What was found out about a file of an archive that is refused as a whole."""
    with suppress(FileNotFoundError):
        shutil.rmtree(cache.entry(_key(member)).folder, ignore_errors=True)


def _key(path: Path) -> str:
    found = path.stat()
    about = f"{VERSION}|{path.absolute()}|{found.st_size}|{found.st_mtime_ns}|{found.st_ino}"
    if not path.is_file():  # what comes out of a pipe is never the same
        about += os.urandom(8).hex()
    return hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _read_known(path: Path, place: SourceEntry) -> list[Part] | None:
    about = read_json(place.about) if place.about.exists() else None
    if not about or not place.spans.exists():
        return None
    plain = place.plain if about["copied"] else path
    used(place.folder)
    spans: Spans = np.load(place.spans, mmap_mode="r", allow_pickle=False)
    found, first = [], 0
    for table in about["tables"]:
        found.append(
            Part(
                path,
                plain,
                about["container"],
                Encoding(**about["encoding"]),
                spans[first : first + table["rows"]],
                {int(row): Damage(**found) for row, found in table["damage"].items()},
                [(row, Damage(**found)) for row, found in table["stray"]],
                [Refused(**found) for found in table["refused"]],
                table["name"],
                table["above"],
                table["beside"],
            )
        )
        first += table["rows"]
    return found


def _examine(path: Path, place: SourceEntry) -> list[Part]:
    if not path.exists():
        raise NoSuchFile(path=path)
    refuse_foreign(path)
    make_folder(place.folder, exist_ok=True)
    parts = _laid_out(_as_regular(path, place), path, place)
    about: dict[str, Any] = {
        "container": parts[0].container,
        "encoding": asdict(parts[0].encoding),
        "copied": parts[0].plain == place.plain,
        "tables": [
            {
                "name": part.name,
                "above": part.above,
                "beside": part.beside,
                "rows": len(part.spans),
                "damage": {row: asdict(found) for row, found in part.damage.items()},
                "stray": [(row, asdict(found)) for row, found in part.stray],
                "refused": [asdict(found) for found in part.refused],
            }
            for part in parts
        ],
    }
    with place.spans.open("wb") as out:
        np.save(out, np.concatenate([part.spans for part in parts]), allow_pickle=False)
    write_json(place.about, about)
    return parts


def _as_regular(path: Path, place: SourceEntry) -> Path:
    """A pipe's content as a file: it can be read only once."""
    if not path.is_fifo():
        return path
    with opened(path) as stream, place.given.open("wb") as out:
        shutil.copyfileobj(stream, out)
    return place.given


def _laid_out(file: Path, path: Path, place: SourceEntry) -> list[Part]:
    with opened(file) as stream:
        head = stream.read(16)
    if path.suffix.lower() in ARROW:
        raise Unreadable(path=path, reason=say("file.arrow", folder=path.parent))
    kind = table_kind(path, head)
    if kind in {"parquet", "excel"} and not head.startswith(LFS_POINTER[:16]):
        sheets = write_table(file, kind, place.plain)
        return _of_sheets(path, place.plain, kind, Encoding("", "utf-8", 0), sheets)
    encoding = read_encoding(file)
    plain, begin, whole = file, encoding.mark, True
    if not encoding.plain or file == place.given:
        whole = write_plain(file, encoding, place.plain)
        plain, begin = place.plain, _mark(place.plain)
    if kind:
        sheets = write_table(plain, kind, place.table)
        place.table.replace(place.plain)
        parts = _of_sheets(path, place.plain, kind, encoding, sheets)
    elif _is_text(path, plain, begin):
        write_paragraphs(plain.read_text(encoding="utf-8-sig", errors="replace"), place.table)
        place.table.replace(place.plain)
        parts = _of_sheets(path, place.plain, "text", encoding, [Sheet(place.plain.stat().st_size)])
    else:
        parts = _of_json(path, plain, encoding, begin, place)
    if not whole:
        parts[-1].stray.append((len(parts[-1].spans), Damage("cut_off", plain.stat().st_size)))
    return parts


def _is_text(path: Path, plain: Path, begin: int) -> bool:
    """Whether a file that is called a text is one: some are JSON lines."""
    suffixes = [suffix for suffix in path.suffixes if suffix.lower() not in PACKED]
    if not suffixes or suffixes[-1].lower() not in TEXTS:
        return False
    with plain.open("rb") as stream:
        stream.seek(begin)
        text = stream.read(LARGEST_TEXT).strip()
    if not text.startswith((b"{", b"[")):
        return True
    return loaded(text) is None and not _is_row(loaded(text.partition(b"\n")[0]))


def _is_row(value: Any) -> bool:
    """Whether a line is a row or a whole dialogue, and not a note's number in brackets."""
    return isinstance(value, dict) or is_row_list(value)


def _of_sheets(
    path: Path, plain: Path, container: str, encoding: Encoding, sheets: Sequence[Sheet]
) -> list[Part]:
    """The tables that were written into ``plain``, one after the other. Raises EmptyData for none."""
    if not sheets:
        raise EmptyData(path=path)
    with plain.open("rb") as stream:
        spans = layout(stream, plain.stat().st_size).spans
    found, start = [], 0
    for sheet in sheets:
        first, last = np.searchsorted(spans[:, 0], [start, start + sheet.size])
        name = sheet.name if len(sheets) > 1 else ""
        refused = list(sheet.refused)
        found.append(
            Part(path, plain, container, encoding, spans[first:last], {}, [], refused, name, sheet.above)
        )
        start += sheet.size
    return found


def _of_json(path: Path, plain: Path, encoding: Encoding, begin: int, place: SourceEntry) -> list[Part]:
    with plain.open("rb") as stream:
        laid_out = tables(stream, plain.stat().st_size, begin)
        if laid_out[0].kind == "messages":
            write_dialogues(stream, laid_out[0].spans, place.table)
    container = "jsonl" if laid_out[0].kind == "lines" else "json"
    if laid_out[0].kind in {"columns", "messages"}:
        if laid_out[0].kind == "messages" or write_columns(path, plain, begin, place.table):
            place.table.replace(place.plain)
            plain, begin = place.plain, 0
        with plain.open("rb") as stream:
            laid_out = [layout(stream, plain.stat().st_size, begin)]
    return [_of_layout(path, plain, container, encoding, found) for found in laid_out]


def _of_layout(path: Path, plain: Path, container: str, encoding: Encoding, found: Layout) -> Part:
    rows = (found.spans, found.damage, found.stray)
    return Part(path, plain, container, encoding, *rows, name=found.name, beside=found.beside)


def _mark(plain: Path) -> int:
    with plain.open("rb") as stream:
        return 3 if stream.read(3) == b"\xef\xbb\xbf" else 0


def line_and_column(plain: Path, places: Sequence[int]) -> dict[int, tuple[int, int]]:
    """The line and column, both from 1, of these bytes of a UTF-8 text; columns count characters."""
    found: dict[int, tuple[int, int]] = {}
    line, column, position = 1, 1, 0
    with plain.open("rb") as stream:
        if stream.read(3) == codecs.BOM_UTF8:
            position = 3
        stream.seek(position)
        for place in sorted(set(places)):
            while block := stream.read(min(1 << 20, max(0, place - position))):
                position += len(block)
                if breaks := block.count(b"\n"):
                    line, column = line + breaks, 1
                column += len(block[block.rfind(b"\n") + 1 :].translate(None, CONTINUED))
            found[place] = (line, column)
    return found
