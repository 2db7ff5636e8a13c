"""How far a command is, how long it will still take at its pace so far, and where it says so."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.wording import say

# Seconds of the stages on two cores without a GPU (scripts/bench forgetting): for commands that do one or two
# of them and are done before a pace is worth looking up. A whole chain is told by core.steps.expected, which
# wants a run and its rows; here only the proportion counts, until the stage's own pace is known.
COSTS = {"starter": 15, "base": 45, "train": 140, "convert": 14, "merge": 10, "ask": 35}
# Of publishing, where nothing else is known; core.publish.takes says which of them there are, and how long a
# copy of so many bytes takes. Nobody knows the line to a hub before.
PUBLISHING = {"client": 5, "bundle": 20, "llama": 10, "send": 60, "fetch": 30, "arrival": 30, "copy": 10}
# Of an import, for a model of some hundred MB; a stage that does not come to pass costs nothing.
IMPORT_COSTS = {"download": 60, "import_model": 20}
# Of healing: asking the given and the healed adapter, and the given one at several strengths.
HEALING = {"before": 60, "scale": 90, "after": 40}
# A stage's own pace weighs as much as what was known of it once this share of it was seen.
SEEN = 0.015
# What stages of a kind took here weighs as much as what is known of a later one once they were as large as
# this share of it. Of a cost that is a mere number only the proportion counts: a little says as much.
LARGE, LITTLE = 0.5, 0.03
# Kinds of work that the processor or the card does: a machine that is slower than thought at one of them is
# slower at the other too, or not. Nobody knows: half of it (its root) is believed.
COMPUTED = {"train", "answers"}
# A pace that has changed is taken to last so many times as long as it has lasted: of a moment's load nobody
# knows whether it stays, and half an hour is not told by twenty seconds of it.
LASTS = 15.0
# What waits for a line is not slowed by other programs.
LINE = "line"
# Of what a chain does before its first stage: its own start, making the rows. Seconds.
FIRST = 3.0
# No stage takes less.
MOMENT = 0.01
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
    """Seconds that a stage takes on a machine left alone: ``start`` until it comes further at all, ``work``
    from there on; ``measured`` here, in earlier runs, or guessed. Once the share ``seen`` of it is behind,
    its own pace weighs as much as that: less for what goes evenly. ``kind``: stages of one kind tell of
    each other how fast they go."""

    start: float
    work: float
    measured: bool = False
    seen: float = SEEN
    kind: str = ""

    @property
    def whole(self) -> float:
        return self.start + self.work

    def beside(self, slower: float) -> float:
        """The same beside other programs, by which everything takes so many times as long."""
        return self.whole * self.slowed(slower)

    def slowed(self, slower: float) -> float:
        """What of that concerns it."""
        return 1.0 if self.kind == LINE else slower


@dataclass(frozen=True)
class Evidence:
    """A stage that is behind, or as far as it is: what it cost, and how many times as long it took, other
    programs counted."""

    kind: str
    cost: float
    ratio: float


class Clock:
    """A command's stages by what they cost, and the seconds left at the pace so far.

    ``began`` is the command's start on the clock ``now``, in seconds; ``slower``: how many times as long
    everything takes now by other programs. The running stage is told by its own pace once it has one, by a
    new one the more the longer it lasts; those that come, by what they cost beside what others do now,
    corrected by what stages of their kind took. So a load that has gone counts no more, one of a moment
    little, and what one stage took says little of another kind. Until the next
    word of the running one the time left counts down.
    """

    def __init__(
        self,
        costs: Mapping[str, float | Cost],
        began: float | None = None,
        now: Callable[[], float] = time.monotonic,
        slower: float = 1.0,
    ) -> None:
        self.costs = {name: _cost(cost) for name, cost in costs.items()}
        self.now, self.slower = now, slower
        self.began = now() if began is None else began
        self.current, self.share, self.slowed = "", 0.0, 1.0
        self.since = self.heard = self.began
        self.first: Mark | None = None
        self.lately: Mark | None = None
        self.behind: list[Evidence] = []

    def stage(self, name: str, at: float | None = None, slowed: float = 1.0) -> None:
        """The stage ``name`` begins, ``at`` that time (by default now); ``slowed``: how many times as long it
        has taken, or will have, by other programs.

        The stage before is done; those between it and ``name`` are skipped and cost nothing.
        """
        at = self.now() if at is None else at
        if (done := self.costs.pop(self.current, None)) and done.whole:
            took = max(MOMENT, at - self.since) / done.beside(self.slowed)
            self.behind.append(Evidence(done.kind, done.whole, took))
        for skipped in list(self.costs)[: list(self.costs).index(name)] if name in self.costs else ():
            del self.costs[skipped]
        self.current, self.share, self.slowed = name, 0.0, slowed
        self.since = self.heard = at
        self.first = self.lately = None

    def reach(
        self, share: float, at: float | None = None, first: Mark | None = None, lately: Mark | None = None
    ) -> None:
        """The running stage is this far, from 0 to 1; only another share is news. ``first``: when it was
        first known how far it was, ``lately``: how far it was since when it goes about as fast as now."""
        if share != self.share:
            self.share, self.heard = min(1.0, share), self.now() if at is None else at
        self.first = first or self.first or ((self.heard, self.share) if self.share else None)
        self.lately = lately

    @property
    def fraction(self) -> float:
        """How much of the command's cost is behind, from 0 to 1."""
        behind = sum(one.cost for one in self.behind)
        whole = behind + sum(cost.whole for cost in self.costs.values())
        running = self.costs.get(self.current, NOTHING)
        return (behind + running.whole * self.share) / whole if whole else 0.0

    def seconds(self) -> float:
        """How long it still takes."""
        found = [*self.behind, *self._of_the_running()]
        later = (cost for name, cost in self.costs.items() if name != self.current)
        return self._running() + sum(cost.beside(self.slower) * _ratio(cost, found) for cost in later)

    def left(self) -> str:
        """The same as a person says it."""
        return about(self.seconds())

    def _running(self) -> float:
        """Of the running stage, or of what comes before the first one."""
        now, cost = self.now(), self.costs.get(self.current, NOTHING)
        if not self.current:
            return max(0.0, FIRST - (now - self.began)) if self.costs else 0.0
        slower = cost.slowed(self.slower) * _ratio(cost, self.behind)
        if not self.first:
            return max(0.0, cost.start * slower - (now - self.since)) + cost.work * slower
        seen = self.share - self.first[1]
        weight = seen / (seen + cost.seen)
        ahead = weight * self._ahead() + (1 - weight) * (1 - self.share) * cost.work * slower
        return max(1.0 if ahead else 0.0, ahead - max(0.0, now - self.heard))

    def _ahead(self) -> float:
        """Seconds of what is left of the running stage: as it goes now for some time, and from there on as it
        has gone on the whole."""
        left, now, on_the_whole = 1 - self.share, self._own(), self._since(self.first)
        if not (self.lately and now and on_the_whole):
            return left * now
        so_long = min(left * now, LASTS * (self.heard - self.lately[0]))
        return so_long + (left - so_long / now) * on_the_whole

    def _own(self) -> float:
        """Seconds that all of the running stage takes as it goes now; 0 before that is known."""
        return self._since(self.lately) or self._since(self.first)

    def _since(self, mark: Mark | None) -> float:
        """The same as it has gone since then."""
        if mark is None or self.share <= mark[1]:
            return 0.0
        return (self.heard - mark[0]) / (self.share - mark[1])

    def _of_the_running(self) -> Iterator[Evidence]:
        """As fast as it goes now: the load is the one of now too."""
        cost = self.costs.get(self.current, NOTHING)
        if self.first and cost.work and (own := self._own()):
            seen = cost.work * (self.share - self.first[1])
            yield Evidence(cost.kind, seen, own / (cost.work * cost.slowed(self.slower)))


def _ratio(cost: Cost, found: Sequence[Evidence]) -> float:
    """How many times as long as thought a stage will take: as those of its kind, the more of it there was,
    and beyond that half as much as what else was computed."""
    little = cost.whole * (LARGE if cost.kind else LITTLE)
    same, weight = _weighed([one for one in found if one.kind == cost.kind], little)
    apart = [one for one in found if one.kind != cost.kind and {one.kind, cost.kind} <= COMPUTED]
    other, _ = _weighed(apart, little)
    return math.exp(same + (1 - weight) * other / 2)


def _weighed(found: Sequence[Evidence], little: float) -> tuple[float, float]:
    """The logarithm of the mean ratio, less where what was seen is ``little``, and how much it weighs (0 to
    1)."""
    seen = sum(one.cost for one in found)
    said = sum(one.cost * math.log(one.ratio) for one in found)
    return said / (seen + little or 1.0), seen / (seen + little or 1.0)


NOTHING = Cost(0.0, 0.0)


def whole(costs: Mapping[str, Cost]) -> float:
    """Seconds of a chain of these stages on a machine left alone."""
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
