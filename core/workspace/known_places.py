"""Where this user's workspaces lie that are not on the system's own disk.

A command that starts while such a disk is not mounted finds an empty folder in its place, or none, as where
nobody ever had a workspace: only what was written down elsewhere tells the one from the other.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import DamagedFile
from core.workspace.files import change_record, read_record
from core.workspace.user import state_folder

# The newest are kept.
MOST = 100


def known_places() -> Path:
    """The file of them."""
    return state_folder() / "workspaces.json"


def remember(root: Path, mount: Path) -> None:
    """Write down where the disk of a workspace is mounted. A user without a home, or whose disk is full, goes
    without."""
    before = mount_known(root)
    if before == mount or (before is None and mount == Path(mount.anchor)):
        return

    def added(known: dict[str, Any]) -> dict[str, Any]:
        return dict([*(known | {str(root): str(mount)}).items()][-MOST:])

    with suppress(OSError, DamagedFile):
        change_record(known_places(), added)


def mount_known(root: Path) -> Path | None:
    """Where the disk of the workspace was mounted that was in this folder the last time."""
    with suppress(OSError):
        found = (read_record(known_places()) or {}).get(str(root))
        return Path(found) if isinstance(found, str) else None
    return None
