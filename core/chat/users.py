"""Who uses a workspace's chat server: each dashboard, and whatever else asks its model. The last one to leave
ends it; a training is nobody's of these and goes on.
"""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass

from core.errors import TuneboardError
from core.jobs.grace import CHAT_SERVER_GRACE
from core.jobs.launch import stop
from core.jobs.status import is_live
from core.workspace.paths import Workspace, make_folder


@dataclass
class ChatUser:
    """One that uses the server. Its lock is the system's, and gone with the process, however that ends."""

    workspace: Workspace
    _lock: int | None = None

    @classmethod
    def of(cls, workspace: Workspace) -> "ChatUser":
        """From now on; on a disk without locks nobody is known to be the last."""
        with suppress(OSError, TuneboardError):
            make_folder(workspace.chat_server, exist_ok=True)
            lock = os.open(workspace.chat_server_users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                raise
            return cls(workspace, lock)
        return cls(workspace)

    def leave(self, by: str, end: bool = False) -> None:
        """Use it no longer; ``end``: and where nobody else does, end it, which this does not wait for. Doing
        it twice is harmless."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            if end and _is_last(lock) and is_live(self.workspace.chat_server):
                with suppress(OSError, TuneboardError):  # it has just ended, or the workspace is gone
                    stop(self.workspace.chat_server, by=by, grace=CHAT_SERVER_GRACE)
        finally:
            os.close(lock)


def _is_last(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
