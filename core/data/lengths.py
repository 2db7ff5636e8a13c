"""What max_length costs: how long the rows are, and where in them the trained tokens stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.data.conversations import Conversation
from core.data.encoder import Counts, Encoder, Segment

# The curve is drawn through so many lengths: more than a screen shows.
POINTS = 200


@dataclass(frozen=True)
class RowLengths:
    """``tokens`` of each row and where its first trained one is (``begins``); ``answers_at[p]``: how many
    rows have a trained token at position ``p``."""

    tokens: Counts
    begins: Counts
    answers_at: Counts

    @property
    def longest(self) -> int:
        return int(self.tokens.max(initial=0))

    @property
    def answers(self) -> int:
        """Trained tokens of all rows, nothing cut."""
        return int(self.answers_at.sum())

    def lost(self, max_length: int) -> int:
        """Trained tokens that are cut at ``max_length``."""
        return int(self.answers_at[max_length:].sum())

    def kept(self, max_length: int) -> float:
        """The share of the trained tokens that is left at ``max_length``; all of none."""
        return 1 - self.lost(max_length) / max(1, self.answers)

    def mean(self, max_length: int) -> float:
        """Tokens of a row, cut at ``max_length``."""
        return float(np.minimum(self.tokens, max_length).mean()) if len(self.tokens) else 0.0

    def trained(self, max_length: int) -> Counts:
        """The lengths of the rows that training sees: it drops those whose every trained token is cut."""
        return np.minimum(self.tokens[self.begins < max_length], max_length)

    def curve(self) -> tuple[Counts, Counts]:
        """Lengths from 1 to the longest row, and the trained tokens lost at each."""
        lengths = np.unique(np.linspace(1, max(1, self.longest), POINTS).astype(np.int64))
        kept = np.concatenate([[0], np.cumsum(self.answers_at)])
        return lengths, self.answers - kept[np.minimum(lengths, len(kept) - 1)]

    def knee(self) -> int | None:
        """The length from which on more of it saves less than its share; None where nothing can be cut.

        Kneedle (Satopää et al. 2011) on a falling curve: the point furthest below the line between its ends.
        """
        lengths, lost = self.curve()
        if len(lengths) < 3 or not lost[0]:
            return None
        across = (lengths - lengths[0]) / (lengths[-1] - lengths[0])
        down = lost / lost[0]
        below = 1 - across - down
        place = int(np.argmax(below))
        return int(lengths[place]) if below[place] > 0 else None


def measure(encoder: Encoder, conversations: Sequence[Conversation]) -> RowLengths:
    """Count the conversations' tokens with their model's tokenizer and template."""
    rows = [*encoder.segments(conversations)]
    tokens = np.array([sum(size for size, _ in row) for row in rows], np.int64)
    stretches = [_trained(row) for row in rows]
    changes = np.zeros(int(tokens.max(initial=0)) + 1, np.int64)
    for start, end in (stretch for row in stretches for stretch in row):
        changes[start] += 1
        changes[end] -= 1
    begins = np.array(
        [row[0][0] if row else size for row, size in zip(stretches, tokens, strict=True)], np.int64
    )
    return RowLengths(tokens, begins, np.cumsum(changes)[:-1])


def _trained(row: Sequence[Segment]) -> list[tuple[int, int]]:
    found, place = [], 0
    for size, trained in row:
        if trained:
            found.append((place, place + size))
        place += size
    return found
