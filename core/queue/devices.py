"""What a job computes on: how many devices, of which kind; and what it was given."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["cpu", "gpu"]
CPU = "cpu"
# What holds devices says so to whatever it starts, which then waits for none: who holds them, and their
# names.
HELD_VARIABLE = "TUNEBOARD_DEVICES"


@dataclass(frozen=True)
class Devices:
    """What a job takes as long as it runs: ``count`` GPUs, all of them or none; or the processor, which is
    one device whatever the count. Without ``waits`` it takes them at once, though others have them.
    ``named``: the names of those it wants and no others; empty for any."""

    count: int = 1
    kind: Kind = "cpu"
    waits: bool = True
    named: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Devices":
        """What :meth:`as_json` gave, also of an earlier version."""
        return cls(**{**found, "named": tuple(found.get("named", ()))})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Held:
    """What was taken: by the ticket of whom, and the devices' names (``cpu``, ``gpu:0``)."""

    ticket: str
    devices: tuple[str, ...]

    def as_text(self) -> str:
        """As :data:`HELD_VARIABLE` has it."""
        return " ".join([self.ticket, *self.devices])


def held_already(environment: Mapping[str, str]) -> Held | None:
    """What whoever started this process holds; None where this one has to wait for itself. A scheduler that
    has allotted a whole machine sets the variable to its own name."""
    ticket, *devices = environment.get(HELD_VARIABLE, "").split() or [""]
    return Held(ticket, tuple(devices)) if ticket else None


def chosen(
    devices: Devices, here: Sequence[str], taken: Mapping[str, int], at_once: bool
) -> list[str] | None:
    """Those of a kind's devices ``here`` that a job gets: the first that are free, all it needs or None.
    ``taken``: how many jobs have each; ``at_once``: where too few are free, those that fewest have. Of those
    that are wanted by name, one that is not here is not waited for."""
    here = [name for name in here if name in devices.named] or here
    needed = min(devices.count, len(here))
    free = [name for name in here if not taken.get(name)]
    if len(free) >= needed:
        return free[:needed]
    return sorted(here, key=lambda name: taken.get(name, 0))[:needed] if at_once else None
