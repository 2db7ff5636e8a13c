"""What each row of a run is: a person's own, whose assistant it is, or a replayed answer of the base."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.data.conversations import Conversation

Part = Literal["own", "identity", "replay"]
PARTS: tuple[Part, ...] = ("own", "identity", "replay")


@dataclass(frozen=True)
class TaughtRows:
    """The conversations that a run teaches: a person's ``own``, and those that say whose the assistant is."""

    own: tuple[Conversation, ...]
    identity: tuple[Conversation, ...]

    def examples(self, count: int) -> list[Conversation]:
        """Some of a person's own from the first to the last, no two of which say the same."""
        distinct = list({row[-1].output: row for row in reversed(self.own)}.values())[::-1]
        count = min(count, len(distinct))
        return [distinct[place * len(distinct) // count] for place in range(count)]


@dataclass(frozen=True)
class PlacedRows:
    """What each of a run's rows is, in their order; and of each part the places of its rows that say
    something else than an earlier one, with the number of rows that say the same."""

    parts: Sequence[Part] = ()
    distinct: Mapping[Part, Mapping[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Conversation], source: TaughtRows) -> "PlacedRows":
        """Of rows by what was taught."""
        parts = parts_of(rows, source)
        each = {part: [place for place, one in enumerate(parts) if one == part] for part in PARTS}
        return cls(parts, {part: distinct(rows, places) for part, places in each.items()})


def parts_of(rows: Iterable[Conversation], source: TaughtRows) -> list[Part]:
    """What each row is, by what is learned of it: a taught conversation may stand in it behind other turns,
    which are only read, or in parts."""
    own, identity = _learned(source.own), _learned(source.identity)
    found: list[Part] = []
    for row in rows:
        said = _learned([row])
        found.append("own" if said <= own else "identity" if said <= identity else "replay")
    return found


def _learned(rows: Iterable[Conversation]) -> set[tuple[str, str]]:
    return {(turn.input, turn.output) for row in rows for turn in row if turn.trained}


def distinct(rows: Sequence[Conversation], places: Iterable[int]) -> dict[int, int]:
    """The places of rows that teach what no earlier one does, and how many rows teach the same: a small file
    is trained many times over."""
    first: dict[frozenset[tuple[str, str]], int] = {}
    times: dict[int, int] = {}
    for place in places:
        known = first.setdefault(frozenset(_learned([rows[place]])), place)
        times[known] = times.get(known, 0) + 1
    return times
