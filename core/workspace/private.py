"""Who else on this machine may read what is written: nobody.

A workspace holds people's data, chats and logs. Whoever wants to share one with a group says so by its
folder: ``chmod g+ws`` (the group may write, and what is made in it belongs to the group).
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# The person's own, for what is published to a folder of theirs; a job's tools inherit it.
UMASK_VARIABLE = "TUNEBOARD_UMASK"
OTHERS, OTHERS_AND_GROUP = 0o007, 0o077
SHARED = stat.S_ISGID | stat.S_IWGRP


def keep_private(folder: Path) -> None:
    """From here on, this process and those it starts make what only its owner may read; for a ``folder`` that
    is shared with a group, its owner and the group."""
    before = os.umask(_closed_to(folder))
    os.environ.setdefault(UMASK_VARIABLE, f"{before:o}")


def close_to_others(folders: Iterable[Path]) -> None:
    """Close folders that were made when nobody looked to it. One that is not this user's stays as it is."""
    for folder in folders:
        with suppress(OSError):
            mode = stat.S_IMODE(folder.lstat().st_mode)
            closed = mode & ~_closed_to(folder)
            if closed != mode and not folder.is_symlink():
                folder.chmod(closed)


def as_anybody_would(place: Path) -> None:
    """Give what lies outside of the workspace the modes that its owner's own programs would have given it.

    A disk without modes of its own (FAT, a share of another system) refuses: there everything has the same.
    """
    own = 0o022
    with suppress(ValueError):  # somebody's own, of whatever form
        own = int(os.environ.get(UMASK_VARIABLE, ""), 8)
    for path in (place, *place.rglob("*")):
        with suppress(OSError):
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod((0o777 if runs else 0o666) & ~own)


def _closed_to(folder: Path) -> int:
    """The umask of what is made in a folder: who may not see it."""
    with suppress(OSError):
        if folder.stat().st_mode & SHARED == SHARED:
            return OTHERS
    return OTHERS_AND_GROUP
