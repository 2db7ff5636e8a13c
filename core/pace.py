"""How far the whole chain is, and how long it will still take at its pace so far."""

import time

# Relative cost of the stages on two cores without a GPU (scripts/bench identity), in seconds.
COSTS = {"starter": 15, "base": 45, "train": 140, "convert": 14, "merge": 10, "ask": 35}
# Before this share is done there is no pace to speak of.
LEAST_SHARE = 0.02


class Clock:
    """The chain's stages by their cost; ``began`` is the chain's start on the monotonic clock."""

    def __init__(self, stages: dict[str, int], began: float | None = None) -> None:
        self.costs = stages
        self.began = time.monotonic() if began is None else began
        self.done = 0.0
        self.current = ""
        self.share = 0.0

    def stage(self, name: str) -> None:
        """Stages before ``name`` count as done, skipped ones too."""
        names = list(self.costs)
        before = names[: names.index(name)] if name in names else []
        self.done = sum(self.costs[known] for known in before)
        self.current, self.share = name, 0.0

    @property
    def fraction(self) -> float:
        """How much of the chain's cost is behind, from 0 to 1."""
        now = self.done + self.costs.get(self.current, 0) * self.share
        return min(1.0, now / sum(self.costs.values()))

    def left(self) -> str:
        """The time still to go as ``m:ss``; "?" before there is a pace."""
        if self.fraction < LEAST_SHARE:
            return "?"
        seconds = (time.monotonic() - self.began) * (1 - self.fraction) / self.fraction
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
