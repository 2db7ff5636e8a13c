"""How far a command is, how long it will still take at its pace so far, and where it says so."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

# Relative cost of the stages on two cores without a GPU (scripts/bench forgetting), in seconds.
COSTS = {"starter": 15, "base": 45, "train": 140, "convert": 14, "merge": 10, "ask": 35}
# Of publishing; nobody knows the line to a hub before.
PUBLISHING = {"client": 5, "bundle": 20, "llama": 10, "send": 60, "fetch": 30, "arrival": 30}
# Of an import, for a model of some hundred MB; a stage that does not come to pass costs nothing.
IMPORT_COSTS = {"download": 60, "import_model": 20}
# Of healing: asking the given and the healed adapter, and the given one at several strengths.
HEALING = {"before": 60, "scale": 90, "after": 40}
# Before this share is done there is no pace to speak of.
LEAST_SHARE = 0.02
# What was measured here before weighs as much as this share of the command itself.
TRUST = 0.2


class Progress(Protocol):
    """Where a command says what it does."""

    def stage(self, name: str) -> None:
        """The stage ``name`` begins."""

    def update(self, share: float, note: str) -> None:
        """The running stage is this far, from 0 to 1."""

    def say(self, key: str, **values: object) -> None:
        """A sentence a person should read, by its key in ``locales/``."""


class Clock:
    """A command's stages by their cost, and the time left at the pace so far.

    ``began`` is the command's start on the clock ``now``, in seconds. The pace is measured whenever something
    is heard of the command; until the next word of it, the time left counts down. ``known`` are stages'
    seconds as they were measured here before: they take the place of the costs, and the pace begins as they
    say, instead of at nothing.
    """

    def __init__(
        self,
        costs: Mapping[str, float],
        began: float | None = None,
        now: Callable[[], float] = time.monotonic,
        known: Mapping[str, float] | None = None,
    ) -> None:
        known = known or {}
        self.costs = {stage: known.get(stage, cost) for stage, cost in costs.items()}
        self.trust = TRUST * sum(known.get(stage, 0.0) for stage in costs)
        self.now = now
        self.began = now() if began is None else began
        self.heard = self.began
        self.done = 0.0
        self.current = ""
        self.share = 0.0

    def stage(self, name: str, at: float | None = None) -> None:
        """The stage ``name`` begins, ``at`` that time (by default now).

        The stage before is done; those between it and ``name`` are skipped and cost nothing.
        """
        self.done += self.costs.pop(self.current, 0)
        for skipped in list(self.costs)[: list(self.costs).index(name)] if name in self.costs else ():
            del self.costs[skipped]
        self.current, self.share = name, 0.0
        self.heard = self.now() if at is None else at

    def reach(self, share: float, at: float | None = None) -> None:
        """The running stage is this far, from 0 to 1; only another share is news."""
        if share != self.share:
            self.share, self.heard = share, self.now() if at is None else at

    @property
    def fraction(self) -> float:
        """How much of the command's cost is behind, from 0 to 1."""
        whole = self.done + sum(self.costs.values())
        return self._behind / whole if whole else 0.0

    @property
    def _behind(self) -> float:
        return self.done + self.costs.get(self.current, 0) * min(1.0, self.share)

    def left(self) -> str:
        """The time still to go as ``m:ss``; "?" before there is a pace.

        It counts down no further than to what the stages after the running one take.
        """
        if self.fraction < LEAST_SHARE and not self.trust:
            return "?"
        pace = (max(0.0, self.heard - self.began) + self.trust) / (self._behind + self.trust)
        later = sum(cost for name, cost in self.costs.items() if name != self.current)
        ahead = self.done + self.costs.get(self.current, 0) + later - self._behind
        least = max(pace * later, 1.0 if ahead else 0.0)
        seconds = max(least, pace * ahead - max(0.0, self.now() - self.heard))
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
