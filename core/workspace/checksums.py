"""SHA256SUMS: the checksums of a folder's files, in the folder itself and in ``sha256sum``'s own format.

Whoever copies the folder can check it with ``sha256sum --check SHA256SUMS``.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.workspace.files import write_lines

NAME = "SHA256SUMS"
BLOCK = 1 << 20


@dataclass(frozen=True)
class File:
    """One file of an artefact, by its name below the folder; ``size`` in bytes.

    ``sha256`` is None while nobody has read it.
    """

    name: str
    size: int
    sha256: str | None


def line(digest: str, name: str) -> str:
    """As ``sha256sum`` writes it."""
    return f"{digest}  {name}"


def write_checksums(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Read every file below ``folder`` and write SHA256SUMS; some seconds for each 10 GB.

    ``known`` are checksums by name that need not be computed again.
    """
    known = known or {}
    names = {_name(file, folder): file for file in _files(folder)}
    lines = [line(known.get(name) or hashed(file), name) for name, file in names.items()]
    write_lines(folder / NAME, lines)


def read_checksums(folder: Path, sums: Path | None = None) -> list[File]:
    """The folder's files as they are now; a file changed after the checksums were written has none. ``sums``:
    where these stand, if not on top; it names files as they are seen from there."""
    sums = sums or folder / NAME
    known = dict(_parsed(sums)) if sums.exists() else {}
    written = sums.stat().st_mtime_ns if known else 0
    files = [(file, file.stat()) for file in _files(folder) if file != sums]
    return [
        File(
            _name(file, folder),
            found.st_size,
            known.get(_seen_from(file, sums.parent)) if found.st_mtime_ns <= written else None,
        )
        for file, found in files
    ]


def hashed(file: Path, read: Callable[[int], None] = lambda _: None) -> str:
    """The SHA-256 of a file, in hexadecimal; ``read`` is told of each block how many bytes it has."""
    digest = hashlib.sha256()
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
            read(len(block))
    return digest.hexdigest()


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _seen_from(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()


def _parsed(sums: Path) -> list[tuple[str, str]]:
    rows = [line.partition("  ") for line in sums.read_text(encoding="utf-8").splitlines()]
    return [(name, digest) for digest, _, name in rows if name]


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / NAME)


if __name__ == "__main__":
    write_checksums(Path(sys.argv[1]))
