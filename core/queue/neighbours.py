"""The other workspaces whose jobs compute on this machine: a device that one of them has is taken in all.

Each user's are written down in one file for each machine. Who has what stands in each workspace's own line.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from core.errors import DamagedFile
from core.workspace.files import LOCK_TIMEOUT, change_record, held, read_record
from core.workspace.names import slug
from core.workspace.presence import ensure_folder
from core.workspace.user import state_folder

# The newest are kept.
MOST = 50
ROOTS = "workspaces"


def _file() -> Path:
    return state_folder() / f"queues-{slug(socket.gethostname())}.json"


def join(root: Path) -> None:
    """From here on the others look at this one's line, unless the user's home cannot be written."""

    def joined(known: dict[str, Any]) -> dict[str, Any]:
        return {**known, ROOTS: [*[one for one in _named(known) if one != str(root)], str(root)][-MOST:]}

    if str(root) not in _named(read_record(_file()) or {}):
        with suppress(OSError, DamagedFile):
            change_record(_file(), joined)


def others(root: Path) -> list[Path]:
    """Those whose lines have to be looked at beside this one's."""
    with suppress(OSError):
        return [Path(one) for one in _named(read_record(_file()) or {}) if one != str(root)]
    return []


@contextmanager
def choosing() -> Iterator[None]:
    """Nobody of another workspace takes a device until the block ends."""
    with ExitStack() as stack:
        with suppress(OSError):
            ensure_folder(_file().parent)
            stack.enter_context(held(_file().with_suffix(".lock"), LOCK_TIMEOUT))
        yield


def _named(known: dict[str, Any]) -> list[str]:
    found = known.get(ROOTS)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
