"""SHA256SUMS: the checksums of a folder's files, in the folder itself and in ``sha256sum``'s own format.

Whoever copies the folder can check it with ``sha256sum --check SHA256SUMS``.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from core.files import write_lines

NAME = "SHA256SUMS"


@dataclass(frozen=True)
class File:
    """One file of an artefact; ``size`` in bytes, ``sha256`` None while nobody has read it."""

    name: str
    size: int
    sha256: str | None


def write_checksums(folder: Path) -> None:
    """Read every file of ``folder`` and write SHA256SUMS; some seconds for each 10 GB."""
    lines = [f"{_hash(file)}  {file.name}" for file in _files(folder)]
    write_lines(folder / NAME, lines)


def read_checksums(folder: Path) -> list[File]:
    """The folder's files as they are now; a file changed after the checksums were written has none."""
    sums = folder / NAME
    known = dict(_parsed(sums)) if sums.exists() else {}
    written = sums.stat().st_mtime_ns if known else 0
    return [_described(file, known.get(file.name), written) for file in _files(folder)]


def _described(file: Path, sha256: str | None, written: int) -> File:
    found = file.stat()
    return File(file.name, found.st_size, sha256 if found.st_mtime_ns <= written else None)


def _parsed(sums: Path) -> list[tuple[str, str]]:
    rows = [line.partition("  ") for line in sums.read_text(encoding="utf-8").splitlines()]
    return [(name, digest) for digest, _, name in rows if name]


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and file.name != NAME)


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    write_checksums(Path(sys.argv[1]))
