"""Whether a workspace is still where it was.

The disk that it lies on may be unmounted, pulled out, or out of the network's reach. What is left then is the
empty folder that it was mounted on, or none: there nothing may be made, for it would be on another disk, and
out of sight as soon as the right one is back. A workspace has a file by which it is known; a process that has
seen it misses it when it is gone.
"""

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import WorkspaceGone, reason_of
from core.wording import say

NAME = "workspace.json"
# How a disk answers, or a network drive, that has gone away under its mount point.
GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE, errno.EHOSTDOWN, errno.ETIMEDOUT}


@dataclass(frozen=True)
class Seen:
    """What a process knows of a workspace: its id, the folder that its disk is mounted on, and which of which
    disk its own folder is (device and inode)."""

    id: str
    mount: Path
    folder: tuple[int, int]


_SEEN: dict[Path, Seen] = {}


def see(root: Path) -> str | None:
    """The id of the workspace in a folder, which this process knows from now on; None where there is none.
    Raises WorkspaceGone for a disk that does not answer any more."""
    try:
        found = _read(root)
    except OSError as error:
        raise WorkspaceGone(folder=root, reason=reason_of(error)) from error
    if found is not None:
        _SEEN.setdefault(root, Seen(found, mount_of(root), _folder(root)))
    return found


def seen(root: Path) -> Seen | None:
    """What this process knows of the workspace in a folder."""
    return _SEEN.get(root)


def why_gone(root: Path) -> str:
    """Why a workspace that this process has seen is not there now; empty for one that is, or was not seen."""
    if (known := _SEEN.get(root)) is None:
        return ""
    try:
        found = _read(root)
    except OSError as error:
        return reason_of(error)
    if found is not None:
        return "" if found in {known.id, ""} or not known.id else say("workspace.another")
    if not os.path.ismount(known.mount):
        return say("workspace.unmounted", mount=known.mount)
    same = _folder(root) == known.folder and _holds_anything(root)  # somebody has deleted that file alone
    return "" if same else say("workspace.deleted")


def ensure_folder(folder: Path) -> None:
    """Make a folder and its parents, but not in the place of a workspace that is gone. Raises
    WorkspaceGoneError, another OSError."""
    refuse_if_gone(folder)
    folder.mkdir(parents=True, exist_ok=True)


def refuse_if_gone(folder: Path) -> None:
    """Raises WorkspaceGoneError for a folder that is to be made in the place of a workspace that is gone."""
    if not folder.is_dir():
        refuse_where_gone(folder)


def refuse_where_gone(folder: Path) -> None:
    """The same of a folder that is there, for a tool may have made it in that place."""
    for root in [*_SEEN]:
        if folder.is_relative_to(root) and (reason := why_gone(root)):
            raise WorkspaceGoneError(root, reason)


class WorkspaceGoneError(FileNotFoundError):
    """As who reads or writes a file meets it: to most of them it is a disk that fails."""

    def __init__(self, root: Path, reason: str) -> None:
        super().__init__(errno.ENOENT, reason, str(root))
        self.root, self.reason = root, reason


def mount_of(folder: Path) -> Path:
    """The folder that the disk of a folder is mounted on."""
    whole = folder.absolute()
    return next(one for one in (whole, *whole.parents) if os.path.ismount(one))


def _read(root: Path) -> str | None:
    """The id; empty where the file cannot be read or is damaged: it is there. Raises OSError for a disk that
    fails."""
    try:
        found = json.loads((root / NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return ""
    except OSError as error:
        if error.errno in GONE:
            raise
        return ""
    return str(found.get("id", "")) if isinstance(found, dict) else ""


def _folder(root: Path) -> tuple[int, int]:
    with suppress(OSError):
        about = root.stat()
        return about.st_dev, about.st_ino
    return 0, 0


def _holds_anything(root: Path) -> bool:
    with suppress(OSError):
        return any(root.iterdir())
    return False
