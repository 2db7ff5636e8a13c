"""One trial of a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from core.sweep.axes import Value

TrialState: TypeAlias = Literal["running", "finished", "pruned", "failed"]
# What is kept with a trial: its run, why it failed, and by which numbers it was stopped early.
RUN, WHY, STOPPED = "run", "why", "stopped"
Notes: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class SweepTrial:
    """Its number from 0 on, the ``values`` of the axes, its run's id (empty before it has one), its
    ``losses`` by place on the way (:mod:`core.sweep.pruning`), what else is kept of it, and the ``value``
    that a search goes by."""

    number: int
    state: TrialState
    values: Mapping[str, Value]
    run: str
    losses: Mapping[int, float]
    notes: Notes
    value: float | None = None
