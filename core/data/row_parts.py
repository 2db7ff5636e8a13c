"""What each row of a run is: a person's own, whose assistant it is, or a replayed answer of the base."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


def first_seen(rows: Sequence[Conversation], places: Iterable[int]) -> list[int]:
    """The places of rows in their order, but those that repeat an earlier one behind all others: a small file
    is trained many times over."""
    times: dict[frozenset[tuple[str, str]], int] = {}
    counted = []
    for place in places:
        key = frozenset(_learned([rows[place]]))
        times[key] = times.get(key, 0) + 1
        counted.append((times[key], place))
    return [place for _, place in sorted(counted)]
