"""Processes by identity: an id alone is reused by the system, an id with its start time is not.

Read from ``/proc`` (Linux). The start time is kept in clock ticks since boot: in seconds since the epoch,
as psutil gives it, it would move whenever the machine's clock is set, and a live job would seem lost.
Where ``/proc`` is mounted with hidepid it shows no process of another user, nor one that hides from its own.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from core.workspace.files import read_record

KILL_ROUNDS = 10


@dataclass(frozen=True)
class Identity:
    """One process of one boot of one host.

    ``ticks`` is its start in clock ticks since boot, which decides (0 where ``/proc`` hides it); ``started``
    is the same in seconds since the epoch, to be shown.
    """

    pid: int
    ticks: int
    boot: str
    host: str
    started: float

    @property
    def is_one(self) -> bool:
        """Whether its values are of the kinds that they should be: they were read from a file."""
        numbers = (self.pid, self.ticks, self.started)
        whole = isinstance(self.pid, int) and 0 < self.pid < 1 << 31
        return whole and all(isinstance(n, int | float) for n in numbers) and isinstance(self.boot, str)

    def is_same(self, other: "Identity") -> bool:
        """Whether it is the same process: its start in seconds is reckoned anew each time."""
        return replace(self, started=other.started) == other

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Entry:
    """One process as ``/proc/<pid>/stat`` describes it."""

    pid: int
    state: str
    parent: int
    group: int
    ticks: int

    @property
    def ended(self) -> bool:
        """A zombie has ended; only its parent has not looked yet."""
        return self.state in "ZX"


@cache
def boot_id() -> str:
    """Changes with every boot of this machine."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def identify(pid: int) -> Identity:
    """The identity of a live process. Raises ProcessLookupError."""
    entry = _entry(pid)
    if entry is None:
        if not _is_hidden(pid):
            raise ProcessLookupError(pid)
        return Identity(pid, 0, boot_id(), socket.gethostname(), round(time.time(), 2))
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - entry.ticks / os.sysconf("SC_CLK_TCK")
    return Identity(pid, entry.ticks, boot_id(), socket.gethostname(), round(time.time() - age, 2))


def read_identity(path: Path) -> Identity | None:
    """The identity written in a file; None when there is none, or none of a process."""
    found = read_record(path)
    with suppress(TypeError):
        identity = Identity(**found) if found else None
        return identity if identity and identity.is_one else None
    return None


def is_alive(identity: Identity) -> bool:
    """Whether that very process still runs; a zombie does not, nor one of another boot or machine.

    Of a hidden one only its number can be told, which counts: a live job must not be called lost.
    """
    if identity.boot != boot_id():
        return False
    if (entry := _entry(identity.pid)) is None:
        return identity.host == socket.gethostname() and _is_hidden(identity.pid)
    return identity.ticks in {entry.ticks, 0} and not entry.ended


def terminate_group(group: int) -> None:
    """Ask every process of a group to end; one that is halted wakes up to hear it."""
    _signal_group(group, signal.SIGTERM)
    _signal_group(group, signal.SIGCONT)


def kill_group(group: int, ancestor: int) -> None:
    """Kill a process group, and what ``ancestor`` left outside it (torchrun's workers have own sessions).

    ``ancestor`` itself is killed only as a member of the group.
    """
    for _ in range(KILL_ROUNDS):  # a process may start another one between the look and the kill
        _signal_group(group, signal.SIGKILL)
        left = [entry.pid for entry in descendants(ancestor)]
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not left and not group_alive(group):
            return
        time.sleep(0.02)


def group_alive(group: int) -> bool:
    """Whether any process of the group still runs."""
    return any(entry.group == group and not entry.ended for entry in _entries())


def descendants(ancestor: int) -> list[_Entry]:
    """The live processes below one, children's children included."""
    entries = list(_entries())
    found, parents = [], {ancestor}
    while parents:
        below = [entry for entry in entries if entry.parent in parents]
        found += below
        parents = {entry.pid for entry in below}
    return [entry for entry in found if not entry.ended]


def _is_hidden(pid: int) -> bool:
    """Whether a process that ``/proc`` does not show is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _entries() -> Iterator[_Entry]:
    for name in os.listdir("/proc"):  # noqa: PTH208 (names are wanted, not paths)
        if name.isdigit() and (entry := _entry(int(name))):
            yield entry


def _entry(pid: int) -> _Entry | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (thousands of processes are looked at)
            text = file.read().decode(errors="replace")
    except OSError:  # gone, or hidden: with hidepid=1 that is EPERM, with hidepid=2 ENOENT
        return None
    # The program's name stands in brackets and may hold brackets and spaces itself.
    fields = text.rpartition(")")[2].split()
    return _Entry(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[19]))
