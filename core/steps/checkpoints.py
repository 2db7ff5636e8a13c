"""The checkpoints of a work_dir: what mmengine names after iterations or epochs, as a file or a folder.

torch 2.13 loads a file with a flipped bit as if nothing had happened, and says no more of half a file than
that it is no ZIP: whether a checkpoint is whole is found out here, by its checksums, before anybody takes it.
A page, which only shows it, does not wait for that (:func:`read_large_ones_beside`).
"""

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

from core.jobs.curves import epoch_ends, read_curve
from core.workspace.checksums import hashed
from core.workspace.files import Stamp, is_endless, stamp

NAMES = ("iter_*.pth", "epoch_*.pth")
_NAME = re.compile(r"(iter|epoch)_(\d+)\.pth")
# DeepSpeed 0.18.9's: of each process its part of the optimizer; from stage 3 on of the model as well.
_MODEL, _OPTIMIZER = "_model_states.pt", "_optim_states.pt"
_RANK = re.compile(r"zero_pp_rank_(\d+)_")
# How a file of torch before 1.6 begins. It has no checksums: what it lacks is found when it is loaded.
_BEFORE_ZIP = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Bytes read at once, and how many states of checkpoints are remembered.
_BLOCK, _REMEMBERED = 1 << 20, 1024
# A page waits until so much is read, a tenth of a second.
_SMALL = 64 << 20


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


def whole(work_dir: Path) -> list[Trained]:
    """The checkpoints that can be taken, the oldest first."""
    return [one for one in checkpoints(work_dir) if is_whole(one.checkpoint)]


def is_whole(checkpoint: Path, sure: bool = False) -> bool:
    """Whether everything of a checkpoint is there and undamaged. All of it is read, at a gigabyte a second,
    the first time that this process asks for this state of its files; then it is remembered. ``sure``: it is
    to be taken, so that even the dashboard waits until it is read."""
    files = _files(checkpoint)
    if checkpoint.is_dir() and not _is_complete([file.name for file in files]):
        return False
    return bool(files) and all(_READER.undamaged(file, sure) for file in files)


def read_large_ones_beside() -> None:
    """In this process a large checkpoint is read in the background, and meanwhile taken for whole where its
    file is not cut off. For the dashboard: a page that waited would not be drawn for minutes."""
    _READER.beside = True


class _Reader:
    """Reads each state of a file once, whoever asks, and remembers whether it is undamaged."""

    def __init__(self) -> None:
        self.beside = False
        self._lock = threading.Lock()
        self._found: dict[Stamp, Future[bool]] = {}

    def undamaged(self, file: Path, sure: bool) -> bool:
        state = stamp(file)
        waits = sure or not self.beside or not state or state[0][2] <= _SMALL
        with self._lock:
            is_new = state not in self._found
            found = self._remember(state) if is_new else self._found[state]
        if is_new and waits:
            self._read(state, found)
        elif is_new:
            reading = threading.Thread(target=self._read, args=(state, found), daemon=True)
            reading.start()
        return found.result() if waits or found.done() else is_zipfile(file) or _is_before_zip(file)

    def _remember(self, state: Stamp) -> Future[bool]:
        while len(self._found) >= _REMEMBERED:
            del self._found[next(iter(self._found))]
        self._found[state] = Future()
        return self._found[state]

    def _read(self, state: Stamp, found: Future[bool]) -> None:
        try:
            found.set_result(_undamaged(state))
        except BaseException as error:  # whoever waits is told; who asks again reads it again
            self._found.pop(state, None)
            found.set_exception(error)


_READER = _Reader()


def _files(checkpoint: Path) -> list[Path]:
    return sorted(checkpoint.glob("*.pt")) if checkpoint.is_dir() else [checkpoint]


def _is_complete(names: Sequence[str]) -> bool:
    """Whether a DeepSpeed folder has model and optimizer, and of none of its processes a part is missing."""
    models, optimizers = ([name for name in names if name.endswith(kind)] for kind in (_MODEL, _OPTIMIZER))
    parts, models_parts = (
        {int(one[1]) for one in map(_RANK.search, some) if one} for some in (optimizers, models)
    )
    in_order = parts == set(range(len(parts))) and models_parts <= parts
    return bool(models and optimizers) and in_order and (not models_parts or models_parts == parts)


def written_by(checkpoint: Path) -> int | None:
    """How many processes wrote a DeepSpeed folder, which no other number of them can go on from; None of a
    file, which any number can."""
    if not checkpoint.is_dir():
        return None
    return sum(file.name.endswith(_OPTIMIZER) for file in _files(checkpoint))


def _is_before_zip(file: Path) -> bool:
    """Whether torch before 1.6 wrote it."""
    with suppress(OSError), file.open("rb") as stream:
        return stream.read(len(_BEFORE_ZIP)) == _BEFORE_ZIP
    return False


def _undamaged(state: Stamp) -> bool:
    """Whether the one file of this state has what its own checksums say; False where it cannot be read.

    torch stores without compressing: what says otherwise, or more than it has room for, is not torch's.
    """
    try:
        file = Path(state[0][0])
        if is_endless(file):
            return False
        if not is_zipfile(file):
            return _is_before_zip(file)
        with ZipFile(file) as archive:
            parts = archive.infolist()
            if any(part.compress_type != ZIP_STORED for part in parts):
                return False
            if sum(part.file_size for part in parts) > file.stat().st_size:
                return False
            for part in parts:
                with archive.open(part) as stream:  # says at its end whether the checksum is right
                    while stream.read(_BLOCK):
                        pass
    except (BadZipFile, OSError, EOFError, LookupError, ValueError, RuntimeError):
        return False
    return True


def content_hash(checkpoint: Path) -> str:
    """Tells what one checkpoint has trained from what any other has, without reading gigabytes: a zip file's
    directory has a checksum of each tensor in it."""
    digest = hashlib.sha256()
    for file in _files(checkpoint):
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
