"""What a container may use of its machine: the limits of its control groups, of version 1 and of version 2.

A group stands below others, and each may have a limit: the smallest counts. What the system itself reports
(the number of cores, the memory) is the whole machine's, in every container.
"""

import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
# A limit of version 1 that is none: beyond counting.
UNLIMITED = 1 << 60


@dataclass(frozen=True)
class MemoryFiles:
    """What a version calls its files about memory, and a line of ``memory.stat``: the files of a disk that
    were read and are not in use. Of the ``limits`` the first is that above which the kernel kills; above
    another one it lets nobody get on."""

    limits: tuple[str, ...]
    used: str
    kills: str
    unused: str


MEMORY = {
    1: MemoryFiles(
        ("memory.limit_in_bytes",), "memory.usage_in_bytes", "memory.oom_control", "total_inactive_file"
    ),
    2: MemoryFiles(("memory.max", "memory.high"), "memory.current", "memory.events", "inactive_file"),
}


@dataclass(frozen=True)
class ControlGroup:
    """One folder of limits: ``version`` says how its files are called."""

    folder: Path
    version: int

    @property
    def memory(self) -> MemoryFiles:
        return MEMORY[self.version]

    def number(self, name: str) -> int | None:
        """The number in one of its files; None where there is none ("max")."""
        with suppress(OSError, ValueError):
            return int((self.folder / name).read_text(encoding="ascii"))
        return None

    def memory_limit(self) -> int | None:
        """Bytes that it may use at most; None without a limit."""
        found = map(self.number, self.memory.limits)
        return min((limit for limit in found if limit is not None and limit < UNLIMITED), default=None)


def cpu_limit(root: Path = ROOT) -> float | None:
    """How many cores' time this process may use; None without a limit. ``root`` is where ``proc`` and ``sys``
    lie."""
    return min(filter(None, map(_cores, groups("cpu", root))), default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """How many bytes this process's group may use; None without a limit."""
    return min((limit for limit, _ in _memory_limits(root)), default=None)


def memory_used(root: Path = ROOT) -> int | None:
    """Bytes that the limited group uses and that the kernel could not have back; None without a limit."""
    found = min(_memory_limits(root), key=lambda one: one[0], default=None)
    if found is None:
        return None
    _, group = found
    unused = counted(group.folder / "memory.stat", group.memory.unused)
    return max(0, (group.number(group.memory.used) or 0) - (unused or 0))


def oom_kills(root: Path = ROOT) -> int:
    """How often the kernel has killed for memory in this process's group since that was made: it says so only
    in its counters, never in a program's log.

    Of the nearest group that counts; where none does (a machine without a memory controller) the whole
    machine's number, 0 where that is unknown as well.
    """
    files = (group.folder / group.memory.kills for group in groups("memory", root))
    found = (counted(file, "oom_kill") for file in (*files, root / "proc/vmstat"))
    return next((kills for kills in found if kills is not None), 0)


def counted(file: Path, name: str) -> int | None:
    """The number after ``name`` in a file of lines such as ``oom_kill 3``; None where it has none."""
    with suppress(OSError, ValueError):
        for line in file.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return None


def _memory_limits(root: Path) -> Iterator[tuple[int, ControlGroup]]:
    for group in groups("memory", root):
        if (limit := group.memory_limit()) is not None:
            yield limit, group


def groups(controller: str, root: Path = ROOT) -> Iterator[ControlGroup]:
    """The groups that limit this process, its own first, then those above it as far as they can be seen.

    Inside a container the path may be the host's while the mount shows only the container's own group.
    """
    with suppress(OSError, ValueError):  # none, or written by another kind of system
        membership = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        for version, path in _memberships(membership, controller):
            for base, point in _mounts(mounts, version, controller):
                top = root / point.lstrip("/")
                below = Path(path).relative_to(base) if Path(path).is_relative_to(base) else Path()
                own = top / below if _may_be_there(top / below) else top
                yield from (ControlGroup(f, version) for f in (own, *own.parents) if f.is_relative_to(top))


def _may_be_there(folder: Path) -> bool:
    """Of a group below one that may not be entered nobody can tell; those above it count all the same."""
    try:
        return stat.S_ISDIR(folder.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _memberships(text: str, controller: str) -> Iterator[tuple[int, str]]:
    """(version, path of the group) of each line of ``/proc/self/cgroup`` that is about the controller."""
    for line in text.splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0" and not controllers:
            yield 2, path
        elif controller in controllers.split(","):
            yield 1, path


def _mounts(text: str, version: int, controller: str) -> Iterator[tuple[str, str]]:
    """(group that is mounted, where) by ``/proc/self/mountinfo`` (proc(5))."""
    for line in text.splitlines():
        about, _, of = line.partition(" - ")
        kind, _, options = (*of.split(), "", "", "")[:3]
        if (kind == "cgroup2" and version == 2) or (
            kind == "cgroup" and version == 1 and controller in options.split(",")
        ):
            base, point = about.split()[3:5]
            yield base, point.encode().decode("unicode_escape")


def _cores(group: ControlGroup) -> float | None:
    if group.version == 1:
        quota, period = group.number("cpu.cfs_quota_us"), group.number("cpu.cfs_period_us")
    else:
        quota = period = None
        with suppress(OSError, ValueError):
            quota, period = map(int, (group.folder / "cpu.max").read_text(encoding="ascii").split())
    return quota / period if quota and period and quota > 0 else None
