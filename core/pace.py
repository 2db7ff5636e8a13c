"""How far a command is, how long it will still take at its pace so far, and where it says so."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from core.wording import say

# Seconds of the stages on two cores without a GPU (scripts/bench forgetting): for commands that do one or two
# of them and are done before a pace is worth looking up. A whole chain is told by core.steps.expected, which
# wants a run and its rows; here only the proportion counts, until the stage's own pace is known.
COSTS = {"starter": 15, "base": 45, "train": 140, "convert": 14, "merge": 10, "ask": 35}
# Of publishing; nobody knows the line to a hub before.
PUBLISHING = {"client": 5, "bundle": 20, "llama": 10, "send": 60, "fetch": 30, "arrival": 30}
# Of an import, for a model of some hundred MB; a stage that does not come to pass costs nothing.
IMPORT_COSTS = {"download": 60, "import_model": 20}
# Of healing: asking the given and the healed adapter, and the given one at several strengths.
HEALING = {"before": 60, "scale": 90, "after": 40}
# What was measured here before weighs as much as this share of the command itself, a guess so much.
TRUST, GUESSED = 0.1, 0.03
# A stage's own pace weighs as much as what was known of it once this share of it was seen.
SEEN = 0.015
# How much longer than thought a start may say that the rest will take.
SLOWEST_START = 3.0
# Of what a chain does before its first stage: its own start, making the rows. Seconds.
FIRST = 3.0
# A point of a stage's way: when, and how far it was (0 to 1).
Mark = tuple[float, float]


class Progress(Protocol):
    """Where a command says what it does."""

    def stage(self, name: str) -> None:
        """The stage ``name`` begins."""

    def update(self, share: float, note: str) -> None:
        """The running stage is this far, from 0 to 1."""

    def say(self, key: str, **values: object) -> None:
        """A sentence a person should read, by its key in ``locales/``."""


@dataclass(frozen=True)
class Cost:
    """Seconds that a stage takes: ``start`` until it comes further at all, ``work`` from there on;
    ``measured`` here, in earlier runs, or guessed. Once the share ``seen`` of it is behind, its own pace
    weighs as much as that: less for what goes evenly."""

    start: float
    work: float
    measured: bool = False
    seen: float = SEEN

    @property
    def whole(self) -> float:
        return self.start + self.work

    @property
    def trust(self) -> float:
        return self.whole * (TRUST if self.measured else GUESSED)


class Clock:
    """A command's stages by what they cost, and the seconds left at the pace so far.

    ``began`` is the command's start on the clock ``now``, in seconds. What is known of the stages beforehand
    is corrected by what those behind took; a stage that counts how far it is has a pace of its own, which
    soon weighs more. Until the next word of it, the time left counts down.
    """

    def __init__(
        self,
        costs: Mapping[str, float | Cost],
        began: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.costs = {name: _cost(cost) for name, cost in costs.items()}
        self.trust = sum(cost.trust for cost in self.costs.values())
        self.now = now
        self.began = now() if began is None else began
        self.current, self.share = "", 0.0
        self.since = self.heard = self.began
        self.first: Mark | None = None
        self.lately: Mark | None = None
        # Of the stages behind: what they cost, and what they took.
        self.behind = self.took = 0.0

    def stage(self, name: str, at: float | None = None) -> None:
        """The stage ``name`` begins, ``at`` that time (by default now).

        The stage before is done; those between it and ``name`` are skipped and cost nothing.
        """
        at = self.now() if at is None else at
        if done := self.costs.pop(self.current, None):
            self.behind += done.whole
            self.took += max(0.0, at - self.since)
        for skipped in list(self.costs)[: list(self.costs).index(name)] if name in self.costs else ():
            del self.costs[skipped]
        self.current, self.share = name, 0.0
        self.since = self.heard = at
        self.first = self.lately = None

    def reach(
        self, share: float, at: float | None = None, first: Mark | None = None, lately: Mark | None = None
    ) -> None:
        """The running stage is this far, from 0 to 1; only another share is news. ``first``: when it was
        first known how far it was, ``lately``: how far it was a little while ago."""
        if share != self.share:
            self.share, self.heard = min(1.0, share), self.now() if at is None else at
        self.first = first or self.first or ((self.heard, self.share) if self.share else None)
        self.lately = lately

    @property
    def fraction(self) -> float:
        """How much of the command's cost is behind, from 0 to 1."""
        whole = self.behind + sum(cost.whole for cost in self.costs.values())
        running = self.costs.get(self.current, NOTHING)
        return (self.behind + running.whole * self.share) / whole if whole else 0.0

    def seconds(self) -> float:
        """How long it still takes."""
        later = sum(cost.whole for name, cost in self.costs.items() if name != self.current)
        return self._running() + later * self._speed()

    def left(self) -> str:
        """The same as a person says it."""
        return about(self.seconds())

    def _speed(self) -> float:
        """How long things take here now, by what was known of them."""
        took, cost = self.took + self.trust, self.behind + self.trust
        running = self.costs.get(self.current, NOTHING)
        started = (self.first[0] if self.first else self.now()) - self.since
        if self.first or started > running.start:  # it begins more slowly than thought: so may the rest go
            took += min(max(0.0, started), SLOWEST_START * running.start)
            cost += running.start
        if self.first:
            took += max(0.0, self.heard - self.first[0])
            cost += running.work * (self.share - self.first[1])
        return took / cost if cost else 1.0

    def _running(self) -> float:
        """Of the running stage, or of what comes before the first one."""
        now, cost = self.now(), self.costs.get(self.current, NOTHING)
        if not self.current:
            return max(0.0, FIRST - (now - self.began)) if self.costs else 0.0
        known = cost.work * self._speed()
        if not self.first:
            return max(0.0, cost.start * self._speed() - (now - self.since)) + known
        seen = self.share - self.first[1]
        weight = seen / (seen + cost.seen)
        ahead = (1 - self.share) * (weight * self._own(seen) + (1 - weight) * known)
        return max(1.0 if ahead else 0.0, ahead - max(0.0, now - self.heard))

    def _own(self, seen: float) -> float:
        """Seconds that all of the running stage takes at its own pace; what comes next goes as it went
        lately, what is far away as it went on the whole."""
        if self.first is None or not seen:
            return 0.0
        whole = (self.heard - self.first[0]) / seen
        if not self.lately or self.share <= self.lately[1]:
            return whole
        window = self.heard - self.lately[0]
        recent = window / (self.share - self.lately[1])
        near = window / (window + (1 - self.share) * whole) if window else 0.0
        return near * recent + (1 - near) * whole


NOTHING = Cost(0.0, 0.0)


def whole(costs: Mapping[str, Cost]) -> float:
    """Seconds of a chain of these stages."""
    return FIRST + sum(cost.whole for cost in costs.values())


def _cost(cost: float | Cost) -> Cost:
    return cost if isinstance(cost, Cost) else Cost(0.0, cost)


def about(seconds: float) -> str:
    """A time as a person says it who does not know it better: "about 40 seconds", "about 3 minutes"."""
    if seconds < 95:
        return say("about.seconds", count=max(10, 10 * round(seconds / 10)))
    if seconds < 95 * 60:
        minutes = round(seconds / 60)
        return say("about.minutes", count=minutes if minutes < 20 else 5 * round(minutes / 5))
    hours = seconds / 3600
    return say("about.hours", count=f"{round(2 * hours) / 2:g}" if hours < 10 else round(hours))
