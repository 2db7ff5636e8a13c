"""What a container may use of its machine: the limits of its control groups, of version 1 and of version 2.

A group stands below others, and each may have a limit: the smallest counts. What the system itself reports
(the number of cores, the memory) is the whole machine's, in every container.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True)
class ControlGroup:
    """One folder of limits: ``version`` says how its files are called."""

    folder: Path
    version: int

    def number(self, name: str) -> int | None:
        """The number in one of its files; None where there is none ("max")."""
        with suppress(OSError, ValueError):
            return int((self.folder / name).read_text(encoding="ascii"))
        return None


def cpu_limit(root: Path = ROOT) -> float | None:
    """How many cores' time this process may use; None without a limit. ``root`` is where ``proc`` and ``sys``
    lie."""
    return min(filter(None, map(_cores, groups("cpu", root))), default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """How many bytes this process's group may use; None without a limit (of version 1, one beyond counting
    is none)."""
    names = {1: "memory.limit_in_bytes", 2: "memory.max"}
    found = (group.number(names[group.version]) for group in groups("memory", root))
    return min((limit for limit in found if limit is not None and limit < 1 << 60), default=None)


def memory_used(root: Path = ROOT) -> int | None:
    """Bytes that the limited group uses and that the kernel could not have back; None without a limit."""
    if (limit := memory_limit(root)) is None:
        return None
    used = {1: "memory.usage_in_bytes", 2: "memory.current"}
    maximum = {1: "memory.limit_in_bytes", 2: "memory.max"}
    for group in groups("memory", root):
        if group.number(maximum[group.version]) == limit:
            return max(0, (group.number(used[group.version]) or 0) - _files_unused(group))
    return None


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
                own = top / below if (top / below).is_dir() else top
                yield from (ControlGroup(f, version) for f in (own, *own.parents) if f.is_relative_to(top))


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


def _files_unused(group: ControlGroup) -> int:
    """What of a group's memory is only files that were read and are not in use."""
    name = "total_inactive_file " if group.version == 1 else "inactive_file "
    with suppress(OSError, ValueError):
        lines = (group.folder / "memory.stat").read_text(encoding="ascii").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(name))
    return 0
