"""A control group of the kernel's with a limit of memory, as a container or a cluster's job has one: what
takes more in it is killed by the kernel itself."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.container import ControlGroup, counted, groups

# Seconds within which the killed have left it.
PATIENCE = 20.0


class NoGroupError(Exception):
    """Why none can be made here."""


@dataclass(frozen=True)
class MemoryGroup:
    """``home`` is where this process belongs."""

    group: ControlGroup
    home: Path

    @classmethod
    def make(cls) -> "MemoryGroup":
        """A group without a limit yet. Raises NoGroupError, with the reason."""
        found = list(groups("memory"))
        if not found:
            raise NoGroupError("no memory controller is mounted")
        # Of version 2 a group with processes has none below it, but for the one on top.
        above = found[0] if found[0].version == 1 else found[-1]
        made = ControlGroup(above.folder / f"tuneboard-{os.getpid()}", above.version)
        try:
            if made.version == 2 and "memory" not in (above.folder / "cgroup.subtree_control").read_text():
                (above.folder / "cgroup.subtree_control").write_text("+memory")
            made.folder.mkdir()
        except OSError as error:
            raise NoGroupError(f"{error.strerror}: {error.filename}") from error
        return cls(made, found[0].folder)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this process starts in the block belongs to the group, and what that starts. What they held
        before is not counted, what they take is."""
        _enter(self.group.folder)
        try:
            yield
        finally:
            _enter(self.home)

    def leave_room(self, size: int) -> None:
        """It may take ``size`` more bytes than it has."""
        used = self.group.number(self.group.memory.used) or 0
        (self.group.folder / self.group.memory.limits[0]).write_text(str(used + size))

    def lift(self) -> None:
        """It may take what it wants again."""
        (self.group.folder / self.group.memory.limits[0]).write_text(
            "-1" if self.group.version == 1 else "max"
        )

    @property
    def kills(self) -> int:
        """How many of its processes the kernel has killed for memory."""
        return counted(self.group.folder / self.group.memory.kills, "oom_kill") or 0

    def remove(self) -> None:
        """End what is left in it, and take it away."""
        deadline = time.monotonic() + PATIENCE
        while left := (self.group.folder / "cgroup.procs").read_text().split():
            for pid in map(int, left):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, left
            time.sleep(0.02)
        self.group.folder.rmdir()


def _enter(folder: Path) -> None:
    (folder / "cgroup.procs").write_text(str(os.getpid()))
