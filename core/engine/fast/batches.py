"""Batches without padding: the rows of a micro-batch one after the other, each attended to by itself."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.engine.fast.loss import IGNORED

# Rows that fill this share of their rectangle are left in it: attention over a rectangle is faster, and a
# rectangle of one size is compiled and recorded once.
FULL = 0.95
# Lengths are rounded up to one of few, so that shapes repeat: by a 16th at most, by a 48th on average.
SHAPES_PER_DOUBLING = 16
SMALLEST = 8


class Batch(NamedTuple):
    """Tokens of several rows, one after the other: ids, labels moved to the token that says them, positions.

    ``ends`` (int32, rows + 1) says where rows of different lengths begin and end; without it they are
    ``rows`` of one length. ``longest``: tokens of the longest possible row.
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    ends: Tensor | None
    rows: int
    longest: int

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """With every tensor changed."""
        return self._replace(**{k: change(v) for k, v in self._asdict().items() if isinstance(v, Tensor)})

    @property
    def tensors(self) -> list[Tensor]:
        return [field for field in self if isinstance(field, Tensor)]

    def row_of_tokens(self) -> Tensor:
        """The number of each token's row."""
        numbers = torch.arange(len(self.ids), device=self.ids.device)
        if self.ends is None:
            return numbers // (len(self.ids) // self.rows)
        return torch.searchsorted(self.ends[1:].long(), numbers, right=True)


def collate(rows: Sequence[Mapping[str, Any]], longest: int, padding_free: bool = True) -> dict[str, Any]:
    """Rows of ``process_hf_dataset`` (``input_ids``, ``labels``; of packed rows also ``cumulative_len``)
    as a batch of the fast path, on the processor, and how many tokens are in it without what fills them."""
    parts = [part for row in rows for part in _parts(row)]
    tokens, width = sum(len(ids) for ids, _ in parts), max(len(ids) for ids, _ in parts)
    dense = not padding_free or tokens >= FULL * len(parts) * rounded(width)
    batch = _rectangle(parts, rounded(width)) if dense else _line(parts, rounded(tokens), longest)
    return {"data": {"batch": batch, "tokens": tokens}, "data_samples": None}


def rounded(length: int) -> int:
    """``length`` or a little more: one of 16 to each doubling."""
    grain = max(SMALLEST, 1 << max(0, (length - 1).bit_length() - SHAPES_PER_DOUBLING.bit_length()))
    return -(-length // grain) * grain


def _parts(row: Mapping[str, Any]) -> list[tuple[Tensor, Tensor]]:
    """The conversations of a row: several where XTuner packed them."""
    ids, labels = torch.as_tensor(row["input_ids"]), torch.as_tensor(row["labels"])
    ends = [int(end) for end in row.get("cumulative_len", (0, len(ids)))]
    return [(ids[a:b], _moved(labels[a:b])) for a, b in pairwise(ends) if b > a]


def _moved(labels: Tensor) -> Tensor:
    """Each label to the token that says it; the last token says none."""
    return torch.cat([labels[1:], labels.new_full((1,), IGNORED)])


def _rectangle(parts: list[tuple[Tensor, Tensor]], width: int) -> Batch:
    ids, labels = (
        torch.nn.functional.pad(
            padded := pad_sequence(column, batch_first=True, padding_value=filler),
            (0, width - padded.shape[1]),
            value=filler,
        )
        for column, filler in zip(zip(*parts, strict=True), (0, IGNORED), strict=True)
    )
    positions = torch.arange(width).repeat(len(parts))
    return Batch(ids.flatten(), labels.flatten(), positions, None, len(parts), width)


def _line(parts: list[tuple[Tensor, Tensor]], length: int, longest: int) -> Batch:
    """What is left at the end is a row of its own that says nothing."""
    ids, labels = torch.zeros(length, dtype=torch.long), torch.full((length,), IGNORED)
    used = sum(len(part) for part, _ in parts)
    ids[:used], labels[:used] = (torch.cat(column) for column in zip(*parts, strict=True))
    sizes = [len(part) for part, _ in parts] + [length - used]
    positions = torch.cat([torch.arange(size) for size in sizes])
    # The number of rows is part of the shape: rounded, with empty rows at the end.
    slots = rounded(len(sizes)) + 1
    ends = torch.full((slots,), length, dtype=torch.int32)
    ends[: len(sizes)] = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    return Batch(ids, labels, positions, ends, slots - 1, max(longest, length - used))
