"""The checkpoints of a work_dir: what mmengine names after iterations or epochs, as a file or a folder."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile, is_zipfile

from core.jobs.curves import epoch_ends, read_curve
from core.workspace.checksums import hashed

NAMES = ("iter_*.pth", "epoch_*.pth")
_NAME = re.compile(r"(iter|epoch)_(\d+)\.pth")


@dataclass(frozen=True)
class Trained:
    """A checkpoint and the iteration it was written at."""

    checkpoint: Path
    iteration: int


def checkpoints(work_dir: Path) -> list[Trained]:
    """Checkpoints (``iter_N.pth`` or ``epoch_N.pth``: a file, or with DeepSpeed a folder), the oldest first.

    Of one named after an epoch the log says the iteration, to its last logged one; where the log is gone,
    the epochs are taken to be equally long.
    """
    named = list(_named(work_dir))
    at = _iterations(work_dir, [number for kind, number, _ in named if kind == "epoch"])
    found = [Trained(path, at[number] if kind == "epoch" else number) for kind, number, path in named]
    return sorted(found, key=lambda one: (one.iteration, one.checkpoint.name))


def is_whole(checkpoint: Path) -> bool:
    """torch writes a zip file, whose directory is at its end: half a file has none. DeepSpeed's checkpoint is
    a folder of such files."""
    files = list(checkpoint.glob("*.pt")) if checkpoint.is_dir() else [checkpoint]
    return bool(files) and all(map(is_zipfile, files))


def content_hash(checkpoint: Path) -> str:
    """Tells what one checkpoint has trained from what any other has, without reading gigabytes: a zip file's
    directory has a checksum of each tensor in it."""
    files = sorted(checkpoint.glob("*.pt")) if checkpoint.is_dir() else [checkpoint]
    digest = hashlib.sha256()
    for file in files:
        digest.update(repr(_content(file)).encode())
    return digest.hexdigest()[:16]


def _content(file: Path) -> object:
    if not is_zipfile(file):
        return hashed(file)
    with ZipFile(file) as parts:
        return [(part.filename.partition("/")[2], part.file_size, part.CRC) for part in parts.infolist()]


def _named(work_dir: Path) -> Iterator[tuple[str, int, Path]]:
    for path in work_dir.glob("*_*.pth"):
        if match := _NAME.fullmatch(path.name):
            yield match[1], int(match[2]), path


def _iterations(work_dir: Path, epochs: list[int]) -> dict[int, int]:
    """The iteration at which each of these epochs ended."""
    if not epochs:
        return {}
    known = epoch_ends(work_dir)
    if all(epoch in known for epoch in epochs):
        return known
    points = read_curve(work_dir).points
    length = points[-1].iter / max(epochs) if points else 1.0
    return {epoch: known.get(epoch) or max(1, round(epoch * length)) for epoch in epochs}
