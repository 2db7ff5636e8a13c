"""Which state files are in, without reading them: what was read of them holds as long as it is the same.

A file's state is its size, inode, and times of its last change: of its content, and of anything about it,
which nobody can set back. Two changes within one tick of the file system's clock may leave the same times,
so what was read of a file counts only once its last change is longer ago than any clock ticks.
"""

import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

# The coarsest clock of a file system that a workspace may lie on, FAT's, in nanoseconds.
TICK = 2_000_000_000
# Four numbers for each file: when it was changed, and when anything about it, in nanoseconds since the epoch
# by the clock of its file system; its bytes and its inode. All are 0 where there is none.
States: TypeAlias = list[int]
NO_FILE = (0, 0, 0, 0)


def states_of(folder: str, names: Iterable[str]) -> States:
    """The states of files in a folder; an empty name is the folder itself, others begin with the separator.
    Raises OSError for what cannot be looked at."""
    found: States = []
    for name in names:
        try:
            about = os.stat(folder + name)  # noqa: PTH116 (a hundred thousand of them: no Path for each)
        except (FileNotFoundError, NotADirectoryError):
            found += NO_FILE
        else:
            found += (about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino)
    return found


def number_of(states: States) -> int:
    """One number for the states, the same in every process: only the hashes of texts are salted."""
    return hash(tuple(states))


def changed_last(states: States) -> int:
    """When the last change was, 0 where no file is there."""
    return max((*states[0::4], *states[1::4]), default=0)


def clock_ahead(folder: Path) -> int:
    """How far the clock of a folder's file system, which may be a server's, is ahead of this machine's, in
    nanoseconds; 0 where nothing can be written to find out."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime_ns - time.time_ns()
    except OSError:
        return 0
