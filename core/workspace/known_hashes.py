"""The SHA-256 of large files, each read once for each state of it and then remembered in the workspace.

A state is a file's size, inode, and times of its last change: of its content, and of anything about it, which
nobody can set back. Reading takes a second for each gigabyte or two, as the disk is: whoever waits for it is
told how far it is.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from core.workspace.checksums import hashed
from core.workspace.files import locked, read_record, write_json
from core.workspace.paths import Workspace

# Who is told how much of the files is read, from 0 to 1; and seconds until the first word, and between two.
_TELL: ContextVar[Callable[[float], None] | None] = ContextVar("tell", default=None)
PATIENCE = 1.0


@contextmanager
def reading_told(tell: Callable[[float], None]) -> Iterator[None]:
    """Who waits inside for files that are read is told by ``tell``; of what is read at once, nothing."""
    before = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(before)


def known_hashes(workspace: Workspace, files: Iterable[Path]) -> dict[Path, str]:
    """The hashes of those of the ``files`` that are there. Raises OSError for one that cannot be read."""
    states = {file: state for file in files if (state := _state(file)) is not None}
    known = read_record(workspace.hashes) or {}
    found = {file: digest for file, state in states.items() if (digest := _kept(known.get(str(file)), state))}
    unread = {file: state for file, state in states.items() if file not in found}
    digests = _read(unread)
    new = {str(file): [*state, digests[file]] for file, state in unread.items()}
    if new:
        with suppress(OSError), locked(workspace.hashes):  # where nothing can be written it is read again
            write_json(workspace.hashes, _still_there({**(read_record(workspace.hashes) or {}), **new}))
    return {file: found.get(file) or digests[file] for file in states}


def _kept(before: object, state: list[int]) -> str:
    """The hash that is remembered for this state of a file; empty where there is none."""
    fits = isinstance(before, list) and before[:-1] == state and before[-1:]
    return str(before[-1]) if fits else ""  # type: ignore[index]


def _read(files: Mapping[Path, list[int]]) -> dict[Path, str]:
    whole, done, tell = sum(size for size, *_ in files.values()), 0, _TELL.get()
    due = time.monotonic() + PATIENCE

    def read(count: int) -> None:
        nonlocal done, due
        done += count
        if tell and time.monotonic() >= due:
            due = time.monotonic() + PATIENCE
            tell(min(1.0, done / whole))

    return {file: hashed(file, read) for file in files}


def _state(file: Path) -> list[int] | None:
    with suppress(FileNotFoundError):
        about = file.stat()
        return [about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns]
    return None


def _still_there(known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if Path(name).exists()}
