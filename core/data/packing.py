"""What packing makes of rows: XTuner 0.2.0's ``Packer`` (xtuner/dataset/utils.py) counted without running it.

datasets gives it 1,000 rows at a time, and with several processes each its own part of the rows. What is left
at the end of a part and fills no row is dropped: with 32 processes, XTuner's default, that is a third of a
small data set.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.data.encoder import Counts

# datasets' own batch for map(batched=True).
BATCH = 1000


@dataclass(frozen=True)
class Packed:
    """``rows`` after packing; tokens ``given`` and ``kept``; ``split``: conversations that two rows share."""

    rows: int
    given: int
    kept: int
    split: int

    @property
    def share(self) -> float:
        """Tokens kept, of 1."""
        return self.kept / self.given if self.given else 1.0


def pack(lengths: Counts, max_length: int, processes: int = 1) -> Packed:
    """Pack rows of these lengths (tokens) in this order. Those that training drops must not be among them."""
    cut = np.minimum(lengths, max_length)
    parts = [_pack_part(part, max_length) for part in np.array_split(cut, max(1, min(processes, len(cut))))]
    rows, kept, split = (sum(column) for column in zip(*parts, strict=True)) if parts else (0, 0, 0)
    return Packed(rows, int(cut.sum()), kept, split)


def _pack_part(lengths: Counts, max_length: int) -> tuple[int, int, int]:
    rows = kept = split = left = 0
    for batch in _batches(lengths):
        ends = np.cumsum(batch) + left
        total = int(ends[-1])
        starts = ends - batch
        split += int((starts // max_length != (ends - 1) // max_length).sum())
        full, rest = divmod(total, max_length)
        rows, kept, left = rows + full, kept + full * max_length, rest
        if not full:  # fewer tokens than one row has: it becomes a short row by itself
            rows, kept, left = rows + 1, kept + rest, 0
    return rows, kept, split


def _batches(lengths: Counts) -> Iterator[Counts]:
    for start in range(0, len(lengths), BATCH):
        yield lengths[start : start + BATCH]
