"""Which devices this machine has, and how a program is told which of them are its own.

NVML numbers cards as the bus does, and so does CUDA where it is asked to.
"""

import os
from collections.abc import Sequence

from core.machine import this_machine
from core.queue.devices import CPU, Devices, Kind

PREFIX = "gpu:"
VISIBLE = "CUDA_VISIBLE_DEVICES"


def computing(count: int = 1, hidden: bool = False, cards: Sequence[int] = ()) -> Devices:
    """What a job takes that computes here: ``count`` GPUs, where there are any that are not ``hidden`` from
    it, else the processor. ``cards``: the numbers of those it wants; none for any."""
    if hidden or not this_machine().gpus:
        return Devices()
    return Devices(count, "gpu", named=tuple(f"{PREFIX}{card}" for card in cards))


def on_a_card() -> Devices | None:
    """What a job takes that lives beside others: a GPU, a free one if there is one; nothing without GPUs."""
    return Devices(1, "gpu", waits=False) if this_machine().gpus else None


def here(kind: Kind) -> list[str]:
    """The names of this machine's devices of a kind, in their order."""
    return [CPU] if kind == CPU else [PREFIX + entry for entry in _entries()]


def only(devices: Sequence[str]) -> dict[str, str]:
    """The variables by which a program sees these GPUs and no others; none where it may see all there are."""
    entries = [name.removeprefix(PREFIX) for name in devices if name.startswith(PREFIX)]
    return seeing(entries) if entries and len(entries) < len(_entries()) else {}


def seeing(entries: Sequence[object]) -> dict[str, str]:
    """The variables by which a program sees the GPUs of these numbers (or a slice by its name), in this
    order."""
    return {VISIBLE: ",".join(map(str, entries)), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _entries() -> list[str]:
    """Each GPU by its number; a slice of one (MIG) by its own name, for several have one number."""
    named = [entry.strip() for entry in (os.environ.get(VISIBLE) or "").split(",")]
    slices = dict(enumerate(named))
    return [
        entry if (entry := slices.get(place, "")).startswith("MIG-") else str(gpu.index)
        for place, gpu in enumerate(this_machine().gpus)
    ]
