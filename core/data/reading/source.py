"""A data file or a folder of them, opened: any row of it without reading the others.

What was found out is kept beside the data, by the file's name, size and time, so that the next look is free.
"""

import codecs
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from core.data.reading.encodings import Encoding, opened, read_encoding, write_plain
from core.data.reading.keeping import used
from core.data.reading.rows import Damage, Layout, layout
from core.data.reading.structure import Spans
from core.data.reading.tables import Refused, table_kind, write_table
from core.errors import EmptyData, NoSuchFile, StorageFailed, Unreadable, reason_of
from core.wording import say
from core.workspace.files import read_json, write_json
from core.workspace.paths import SourceCache, SourceEntry, make_folder

# Raised when the meaning of what is kept changes.
VERSION = 1
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
PACKED = {".gz", ".zst", ".bz2", ".xz"}
MOST_FILES = 10_000
# The bytes of a UTF-8 character behind its first.
CONTINUED = bytes(range(0x80, 0xC0))


@dataclass(frozen=True)
class Part:
    """One file. ``plain``: the UTF-8 text its rows are read from (itself, where it is that); ``spans``: the
    (start, end) of each row there in bytes. ``container`` is json, jsonl, csv, tsv, parquet or excel."""

    path: Path
    plain: Path
    container: str
    encoding: Encoding
    spans: Spans
    damage: dict[int, Damage] = field(default_factory=dict)
    stray: list[tuple[int, Damage]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def raw(self, rows: Sequence[int] | range) -> Iterator[bytes]:
        """The bytes of these rows, counted from 0."""
        with self.plain.open("rb") as stream:
            for start, end in self.spans[list(rows)].tolist():
                stream.seek(start)
                yield stream.read(end - start)


@dataclass(frozen=True)
class Source:
    """A file, or a folder's files in the order of their names, with all their rows."""

    path: Path
    parts: tuple[Part, ...]

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
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        number = min(number, len(self.parts) - 1)
        return self.parts[number], row - self.starts[number]

    @property
    def container(self) -> str:
        return " + ".join(sorted({part.container for part in self.parts}))


def open_source(path: Path, cache: SourceCache) -> Source:
    """Open a data file or a folder of them. Raises NoSuchFile, Unreadable, EmptyData (no file in it)."""
    try:
        files = files_of(path)
    except OSError as error:
        raise Unreadable(path=path, reason=reason_of(error)) from error
    if not files:
        raise EmptyData(path=path)
    return Source(path, tuple(_open_file(file, cache) for file in files))


def files_of(path: Path) -> list[Path]:
    """A file itself, or the data files below a folder by name; hidden ones and links are left out.

    Raises Unreadable.
    """
    return _below(path) if path.is_dir() else [path]


def _below(folder: Path) -> list[Path]:
    every = list(islice(folder.rglob("*"), MOST_FILES + 1))
    if len(every) > MOST_FILES:
        raise Unreadable(path=folder, reason=say("file.large_folder", limit=MOST_FILES))
    return [
        file
        for file in sorted(every)
        if _is_data(file) and file.is_file() and not file.is_symlink()
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _is_data(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def _open_file(path: Path, cache: SourceCache) -> Part:
    try:
        place = cache.entry(_key(path))
        known = _read_known(path, place)
        return known or _examine(path, place)
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except Unreadable:
        raise
    except OSError as error:
        if error.filename and Path(error.filename) != path:
            raise StorageFailed(path=error.filename, reason=reason_of(error)) from error
        raise Unreadable(path=path, reason=reason_of(error)) from error


def _key(path: Path) -> str:
    found = path.stat()
    about = f"{VERSION}|{path.absolute()}|{found.st_size}|{found.st_mtime_ns}|{found.st_ino}"
    if not path.is_file():  # what comes out of a pipe is never the same
        about += os.urandom(8).hex()
    return hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _read_known(path: Path, place: SourceEntry) -> Part | None:
    about = read_json(place.about) if place.about.exists() else None
    if not about or not place.spans.exists():
        return None
    plain = place.plain if about["copied"] else path
    used(place.folder)
    return Part(
        path,
        plain,
        about["container"],
        Encoding(**about["encoding"]),
        np.load(place.spans, mmap_mode="r", allow_pickle=False),
        {int(row): Damage(**found) for row, found in about["damage"].items()},
        [(row, Damage(**found)) for row, found in about["stray"]],
        [Refused(**found) for found in about["refused"]],
    )


def _examine(path: Path, place: SourceEntry) -> Part:
    if not path.exists():
        raise NoSuchFile(path=path)
    make_folder(place.folder, exist_ok=True)
    part = _laid_out(_as_regular(path, place), path, place)
    about: dict[str, Any] = {
        "container": part.container,
        "encoding": asdict(part.encoding),
        "copied": part.plain == place.plain,
        "damage": {row: asdict(found) for row, found in part.damage.items()},
        "stray": [(row, asdict(found)) for row, found in part.stray],
        "refused": [asdict(found) for found in part.refused],
    }
    with place.spans.open("wb") as out:
        np.save(out, part.spans, allow_pickle=False)
    write_json(place.about, about)
    return part


def _as_regular(path: Path, place: SourceEntry) -> Path:
    """A pipe's content as a file: it can be read only once."""
    if not path.is_fifo():
        return path
    with opened(path) as stream, place.given.open("wb") as out:
        shutil.copyfileobj(stream, out)
    return place.given


def _laid_out(file: Path, path: Path, place: SourceEntry) -> Part:
    with opened(file) as stream:
        head = stream.read(16)
    kind = table_kind(path, head)
    if kind in {"parquet", "excel"}:
        refused = write_table(file, kind, place.plain)
        return _part(path, place.plain, kind, Encoding("", "utf-8", 0), refused=refused)
    encoding = read_encoding(file)
    plain, begin, whole = file, encoding.mark, True
    if not encoding.plain or file == place.given:
        whole = write_plain(file, encoding, place.plain)
        plain, begin = place.plain, _mark(place.plain)
    refused = []
    if kind:
        refused = write_table(plain, kind, place.table)
        place.table.replace(place.plain)
        plain, begin = place.plain, 0
    part = _part(path, plain, kind or "", encoding, begin, refused)
    if not whole:
        part.stray.append((len(part.spans), Damage("cut_off", plain.stat().st_size)))
    return part


def _mark(plain: Path) -> int:
    with plain.open("rb") as stream:
        return 3 if stream.read(3) == b"\xef\xbb\xbf" else 0


def _part(
    path: Path,
    plain: Path,
    container: str,
    encoding: Encoding,
    begin: int = 0,
    refused: list[Refused] | None = None,
) -> Part:
    with plain.open("rb") as stream:
        found: Layout = layout(stream, plain.stat().st_size, begin)
    container = container or ("jsonl" if found.kind == "lines" else "json")
    return Part(path, plain, container, encoding, found.spans, found.damage, found.stray, refused or [])


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
