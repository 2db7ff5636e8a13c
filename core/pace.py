"""How far a command is, how long it will still take at its pace so far, and where it says so."""

import time
from collections.abc import Mapping
from typing import Protocol

# Relative cost of the stages on two cores without a GPU (scripts/bench identity), in seconds.
COSTS = {"starter": 15, "base": 45, "train": 140, "convert": 14, "merge": 10, "ask": 35}
# Of publishing; nobody knows the line to a hub before.
PUBLISHING = {"client": 5, "bundle": 20, "llama": 10, "send": 60, "fetch": 30, "arrival": 30}
# Of an import, for a model of some hundred MB; a stage that does not come to pass costs nothing.
IMPORT_COSTS = {"download": 60, "import_model": 20}
# Before this share is done there is no pace to speak of.
LEAST_SHARE = 0.02


class Progress(Protocol):
    """Where a command says what it does."""

    def stage(self, name: str) -> None:
        """The stage ``name`` begins."""

    def update(self, share: float, note: str) -> None:
        """The running stage is this far, from 0 to 1."""

    def say(self, key: str, **values: object) -> None:
        """A sentence a person should read, by its key in ``locales/``."""


class Clock:
    """A command's stages by their cost; ``began`` is its start on the monotonic clock."""

    def __init__(self, costs: Mapping[str, int], began: float | None = None) -> None:
        self.costs = dict(costs)
        self.began = time.monotonic() if began is None else began
        self.done = 0.0
        self.current = ""
        self.share = 0.0

    def stage(self, name: str) -> None:
        """The stage before is done; those between it and ``name`` are skipped and cost nothing."""
        self.done += self.costs.pop(self.current, 0)
        for skipped in list(self.costs)[: list(self.costs).index(name)] if name in self.costs else ():
            del self.costs[skipped]
        self.current, self.share = name, 0.0

    @property
    def fraction(self) -> float:
        """How much of the command's cost is behind, from 0 to 1."""
        whole = self.done + sum(self.costs.values())
        now = self.done + self.costs.get(self.current, 0) * min(1.0, self.share)
        return now / whole if whole else 0.0

    def left(self) -> str:
        """The time still to go as ``m:ss``; "?" before there is a pace."""
        if self.fraction < LEAST_SHARE:
            return "?"
        seconds = (time.monotonic() - self.began) * (1 - self.fraction) / self.fraction
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
