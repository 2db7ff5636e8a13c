"""Whether the kernel killed for memory: it says so only in its counters, never in a program's log."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def oom_kills() -> int:
    """How often the kernel has killed for memory in this process's cgroup since that was made.

    Where the cgroup does not count (a machine without a memory controller) the whole machine's number.
    """
    with suppress(OSError):
        membership = Path("/proc/self/cgroup").read_text(encoding="utf-8")
        for counter in counters(membership):
            with suppress(OSError):
                return parse_counter(counter.read_text(encoding="ascii"))
    with suppress(OSError):
        return parse_counter(Path("/proc/vmstat").read_text(encoding="ascii"))
    return 0


def counters(membership: str) -> Iterator[Path]:
    """Where the counter may stand, by the text of ``/proc/self/cgroup``: version 1, then version 2.

    Inside a container the path may be the host's while the mount shows only the container's own group.
    """
    for line in membership.splitlines():
        hierarchy, controllers, group = line.split(":", 2)
        group = group.strip("/")
        if "memory" in controllers.split(","):
            yield CGROUPS / "memory" / group / "memory.oom_control"
            yield CGROUPS / "memory" / "memory.oom_control"
        elif hierarchy == "0" and not controllers:
            yield CGROUPS / group / "memory.events"
            yield CGROUPS / "memory.events"


def parse_counter(text: str) -> int:
    """The number after ``oom_kill`` in ``memory.events``, ``memory.oom_control`` or ``/proc/vmstat``."""
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))
