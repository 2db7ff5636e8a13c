"""Who else on this machine may read what is written: nobody.

A workspace holds people's data, chats and logs. Whoever wants to share one with a group says so by its
folder: ``chmod g+ws`` (the group may write, and what is made in it belongs to the group).
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

OTHERS, OTHERS_AND_GROUP = 0o007, 0o077
SHARED = stat.S_ISGID | stat.S_IWGRP


def keep_private(folder: Path) -> None:
    """From here on, this process and those it starts make what only its owner may read; for a ``folder`` that
    is shared with a group, its owner and the group."""
    os.umask(_closed_to(folder))


def close_to_others(folders: Iterable[Path]) -> None:
    """Close folders that were made when nobody looked to it. One that is not this user's stays as it is."""
    for folder in folders:
        with suppress(OSError):
            mode = stat.S_IMODE(folder.lstat().st_mode)
            closed = mode & ~_closed_to(folder)
            if closed != mode and not folder.is_symlink():
                folder.chmod(closed)


def open_to_everybody(place: Path) -> None:
    """Let everybody read a file, or a folder with all that is in it, as far as they get there: what is
    published is for others, whatever umask its owner has, and a memory stick takes its modes along.

    A disk without modes of its own (FAT, a share of another system) refuses: there everything has the same.
    """
    for path in (place, *place.rglob("*")):
        with suppress(OSError):
            path.chmod(mode_for_everybody(path))


def mode_for_everybody(path: Path) -> int:
    """0755 for a folder and for what its owner can run, else 0644. Raises OSError."""
    return 0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644


def _closed_to(folder: Path) -> int:
    """The umask of what is made in a folder: who may not see it."""
    with suppress(OSError):
        if folder.stat().st_mode & SHARED == SHARED:
            return OTHERS
    return OTHERS_AND_GROUP
