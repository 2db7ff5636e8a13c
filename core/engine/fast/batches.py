"""Batches without padding: the rows of a micro-batch one after the other, each attended to by itself."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.engine.fast.loss import IGNORED

# Rows that fill this share of their rectangle are left in it: attention over a rectangle is faster, and a
# rectangle of one size is compiled and recorded once.
FULL = 0.95
# Lengths are rounded up to one of few, so that shapes repeat: by a 16th at most, by a 48th on average.
SHAPES_PER_DOUBLING = 16
# A step that is recorded is small: an eighth more of it is computed sooner than one more shape is recorded,
# which takes as long as ten steps that are played back.
SHAPES_IF_RECORDED = 4
SMALLEST = 8
# Of ids, labels, and what is to be said, where there is no token.
FILLERS = (0, IGNORED, 0, 0)
# Of a conversation: ids and labels, and where more is known what is to be said at each token.
Part = tuple[Tensor, ...]
Targets = Callable[[Any, Any], tuple[Tensor, Tensor]]


class Batch(NamedTuple):
    """Tokens of several rows, one after the other: ids, labels moved to the token that says them, positions.

    ``ends`` (int32, rows + 1) says where rows of different lengths begin and end; without it they are
    ``rows`` of one length. ``longest``: tokens of the longest possible row. ``likeliest`` (tokens, k) and
    ``logs`` (tokens, k + 1): what is to be said at each token, where more is known than a label.
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    ends: Tensor | None
    rows: int
    longest: int
    likeliest: Tensor | None = None
    logs: Tensor | None = None

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


def collate(
    rows: Sequence[Mapping[str, Any]],
    longest: int,
    padding_free: bool = True,
    targets: Targets | None = None,
    recorded: bool = False,
) -> dict[str, Any]:
    """Rows of ``process_hf_dataset`` (``input_ids``, ``labels``; of packed rows also ``cumulative_len``)
    as a batch of the fast path, on the processor, and how many tokens are in it without what fills them.
    ``targets``: what is to be said at the places of a row where a trained token is said. ``recorded``: as a
    CUDA graph each, for which few shapes are better than little that fills."""
    shapes = SHAPES_IF_RECORDED if recorded else SHAPES_PER_DOUBLING
    if targets:
        parts = [_with_targets(row, targets) for row in rows]
    else:
        parts = [part for row in rows for part in _parts(row)]
    tokens, width = sum(len(ids) for ids, *_ in parts), max(len(ids) for ids, *_ in parts)
    wide = rounded(width, shapes)
    dense = not padding_free or tokens >= FULL * len(parts) * wide
    batch = _rectangle(parts, wide) if dense else _line(parts, rounded(tokens, shapes), longest)
    return {"data": {"batch": batch, "tokens": tokens}, "data_samples": None}


def rounded(length: int, shapes: int = SHAPES_PER_DOUBLING) -> int:
    """``length`` or a little more: one of so many to each doubling."""
    grain = max(SMALLEST, 1 << max(0, (length - 1).bit_length() - shapes.bit_length()))
    return -(-length // grain) * grain


def _with_targets(row: Mapping[str, Any], targets: Targets) -> Part:
    """A row that is one conversation, with what is to be said at each of its tokens."""
    ((ids, labels),) = _parts(row)
    likeliest, logs = targets(row["input_ids"], row["labels"])
    places = labels != IGNORED
    everywhere = ids.new_zeros(len(ids), likeliest.shape[1])
    nothing = logs.new_zeros(len(ids), logs.shape[1])
    return (
        ids,
        labels,
        everywhere.masked_scatter(places[:, None], likeliest),
        nothing.masked_scatter(places[:, None], logs),
    )


def _parts(row: Mapping[str, Any]) -> list[Part]:
    """The conversations of a row: several where XTuner packed them."""
    ids, labels = torch.as_tensor(row["input_ids"]), torch.as_tensor(row["labels"])
    ends = [int(end) for end in row.get("cumulative_len", (0, len(ids)))]
    return [(ids[a:b], _moved(labels[a:b])) for a, b in pairwise(ends) if b > a]


def _moved(labels: Tensor) -> Tensor:
    """Each label to the token that says it; the last token says none."""
    return torch.cat([labels[1:], labels.new_full((1,), IGNORED)])


def _rectangle(parts: list[Part], width: int) -> Batch:
    filled = [
        tuple(_filled(column, width, filler) for column, filler in zip(part, FILLERS, strict=False))
        for part in parts
    ]
    ids, labels, *said = (torch.cat(column) for column in zip(*filled, strict=True))
    positions = torch.arange(width).repeat(len(parts))
    return Batch(ids, labels, positions, None, len(parts), width, *said)


def _line(parts: list[Part], length: int, longest: int) -> Batch:
    """What is left at the end is a row of its own that says nothing."""
    columns = (torch.cat(column) for column in zip(*parts, strict=True))
    ids, labels, *said = (
        _filled(column, length, filler) for column, filler in zip(columns, FILLERS, strict=False)
    )
    used = sum(len(part) for part, *_ in parts)
    sizes = [len(part) for part, *_ in parts] + [length - used]
    positions = torch.cat([torch.arange(size) for size in sizes])
    # The number of rows is part of the shape: rounded, with empty rows at the end.
    slots = rounded(len(sizes)) + 1
    ends = torch.full((slots,), length, dtype=torch.int32)
    ends[: len(sizes)] = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    return Batch(ids, labels, positions, ends, slots - 1, max(longest, length - used), *said)


def _filled(column: Tensor, length: int, filler: int) -> Tensor:
    """Of one kind of number for each token, as many as wanted."""
    return torch.cat([column, column.new_full((length - len(column), *column.shape[1:]), filler)])
