"""How long rows are in tokens and what a maximal length costs, from the tokens of their turns.

A row is XTuner 0.2.0's: the first token, then for each turn its question in the template, its answer with the
suffix (or the end token) and the separator; what is past max_length is cut.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Counts: TypeAlias = npt.NDArray[np.int64]
BARS = 40


@dataclass(frozen=True)
class Around:
    """Tokens that stand around what is said: ``begin`` before a row (before every turn where answers end with
    the end token: ``ends``), ``separator`` after every turn."""

    begin: int
    ends: bool
    separator: int


@dataclass(frozen=True)
class TurnLengths:
    """``rows`` and ``answers`` in tokens, one for each row; ``starts`` and ``ends`` of each turn's answer in
    its row, the ``row`` of each turn and whether its answer is ``learned``."""

    rows: Counts
    answers: Counts
    starts: Counts
    ends: Counts
    row: Counts
    learned: npt.NDArray[np.bool_]

    @property
    def longest(self) -> int:
        return int(self.rows.max(initial=0))

    def kept(self, max_length: int) -> float:
        """The share of the answers' tokens that is left at this length; all of none."""
        return 1 - int(self.lost(max_length).sum()) / max(1, int(self.answers.sum()))

    def mean(self, max_length: int) -> float:
        """Tokens of a row, cut at this length; rows that cannot be trained have none and do not count."""
        return float(np.minimum(self.rows, max_length).sum() / max(1, np.count_nonzero(self.rows)))

    def lost(self, max_length: int) -> Counts:
        """Answer tokens that each row loses at this length."""
        cut = np.clip(self.ends - max_length, 0, self.ends - self.starts) * self.learned
        return np.bincount(self.row, cut, minlength=len(self.rows)).astype(np.int64)


def lengths(
    turns: Counts, asked: Counts, said: Counts, learned: npt.NDArray[np.bool_], around: Around
) -> TurnLengths:
    """Lengths from the number of ``turns`` of each row, every turn's tokens and whether it is learned."""
    row = np.repeat(np.arange(len(turns)), turns)
    first = np.ones(len(row), bool)
    first[1:] = row[1:] != row[:-1]
    begin = np.where(first | around.ends, around.begin, 0)
    answer = said.astype(np.int64) + int(around.ends)
    whole = begin + asked + answer + around.separator
    until = np.cumsum(whole)
    before = np.concatenate(([0], until))[np.concatenate(([0], np.cumsum(turns)))[row]] if len(row) else until
    end = until - before - around.separator
    return TurnLengths(
        np.bincount(row, whole, minlength=len(turns)).astype(np.int64),
        np.bincount(row, answer * learned, minlength=len(turns)).astype(np.int64),
        end - answer,
        end,
        row,
        learned,
    )


def histogram(rows: Counts) -> dict[str, list[int]]:
    """How many rows are how long: ``edges`` in tokens, one more than ``rows``."""
    if not len(rows):
        return {"edges": [], "rows": []}
    low, high = int(rows.min()), int(rows.max()) + 1
    width = max(1, -(-(high - low) // BARS))
    edges = np.arange(low, high + width, width)
    heights, _ = np.histogram(rows, edges)
    return {"edges": edges.tolist(), "rows": heights.tolist()}
