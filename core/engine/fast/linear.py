"""Frozen linear layers of one input with LoRA added, as one operator.

Queries, keys and values (and an MLP's gate and up) read the same input. Together they are one product with
the frozen weights and one with LoRA's A matrices, and the gradient of the input is summed inside the products
instead of in passes of its own: on an H100 those passes were a tenth of a step.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout

# What bitsandbytes 0.50 keeps of a weight in NF4: the packed numbers and a scale for each 64 of them; with
# double quantization the scales are bytes, with an offset, scales of their own and the table of those.
SCALED, TWICE_SCALED = 2, 5
BLOCK, SCALES_BLOCK = 64, 256


class Group(NamedTuple):
    """Linear layers of one input. ``sizes``: each one's outputs; ``base``: their frozen weights, one tensor
    with all rows, or quantized ``TWICE_SCALED`` (or ``SCALED``) tensors a layer.

    ``a`` and ``b``: LoRA's matrices (rank, inputs) and (outputs, rank), float32, of those layers that
    ``adapted`` names by number; ``scale`` multiplies what they add.
    """

    sizes: tuple[int, ...]
    base: tuple[Tensor, ...]
    bias: Tensor | None
    adapted: tuple[int, ...]
    a: tuple[Tensor, ...]
    b: tuple[Tensor, ...]
    scale: float
    dropout: float

    def plain(self) -> "Group":
        """The frozen layers alone."""
        return self._replace(adapted=(), a=(), b=())


def apply(group: Group, x: Tensor, keep: bool = True) -> Tensor:
    """(tokens, inputs) → (tokens, sum of ``sizes``).

    ``keep``: what lies between LoRA's two matrices is kept for the gradient; else it is computed again.
    """
    inside = group.plain() if group.dropout else group
    # torch 2.13 cannot give back nothing for a list that is empty: without LoRA there is one of no height.
    rows = [sum(group.sizes[:number]) for number in inside.adapted] or [0]
    heights = [group.sizes[number] for number in inside.adapted] or [0]
    a, b = _matrices(inside, x)
    y, _ = lora_linear(x, list(group.base), list(group.sizes), a, b, rows, heights, keep)
    if group.dropout:
        y = y + _with_dropout(group, x)
    return y if group.bias is None else y + group.bias


def _matrices(group: Group, x: Tensor) -> tuple[Tensor, Tensor]:
    """All A and all B, one below the other, in the input's precision; what is trained stays float32."""
    if not group.adapted:
        return x.new_empty(0, x.shape[1]), x.new_empty(0, 0)
    return torch.cat(group.a).to(x.dtype), (torch.cat(group.b) * group.scale).to(x.dtype)


def _with_dropout(group: Group, x: Tensor) -> Tensor:
    """Each layer drops by a mask of its own, as in PEFT."""
    parts = [x.new_zeros(x.shape[0], size) for size in group.sizes]
    for number, a, b in zip(group.adapted, group.a, group.b, strict=True):
        inner = dropout(x, group.dropout) @ a.to(x.dtype).T
        parts[number] = inner @ (b * group.scale).to(x.dtype).T
    return torch.cat(parts, dim=1)


@torch.library.custom_op("tuneboard::lora_linear", mutates_args=())
def lora_linear(
    x: Tensor,
    base: list[Tensor],
    sizes: list[int],
    a: Tensor,
    b: Tensor,
    rows: list[int],
    heights: list[int],
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """x·Wᵀ with (x·Aᵢᵀ)·Bᵢᵀ added at each of ``rows``, and x·Aᵀ where it is kept (else empty)."""
    weight = _weight(base, sizes, x)
    if not sum(heights):
        return x @ weight.T, x.new_empty(0, 0)
    inner = x @ a.T
    # What LoRA adds is written first: the large product adds to it at the cost of a read, while the other
    # way round a pass of its own would read and write all outputs.
    fresh = x.new_empty if sum(heights) == sum(sizes) else x.new_zeros
    y = fresh(len(x), sum(sizes))
    for (place, ranks), up in zip(_places(b, rows, heights), b.split(heights), strict=True):
        torch.mm(inner[:, ranks], up.T, out=y[:, place])
    return y.addmm_(x, weight.T), inner if keep else x.new_empty(0, a.shape[0])


@lora_linear.register_fake
def _(x, _base, sizes, a, _b, _rows, _heights, keep):  # type: ignore[no-untyped-def]
    return x.new_empty(x.shape[0], sum(sizes)), x.new_empty(x.shape[0] if keep else 0, a.shape[0])


@torch.library.custom_op("tuneboard::lora_linear_backward", mutates_args=())
def lora_linear_backward(
    gradient: Tensor,
    x: Tensor,
    inner: Tensor,
    base: list[Tensor],
    sizes: list[int],
    a: Tensor,
    b: Tensor,
    rows: list[int],
    heights: list[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, A and B."""
    da, db = torch.empty_like(a), torch.empty_like(b)
    if sum(heights):
        inner = inner if len(inner) else x @ a.T
        through = torch.empty_like(inner)
        parts = zip(_places(b, rows, heights), b.split(heights), db.split(heights), strict=True)
        for (place, ranks), up, d_up in parts:
            torch.mm(gradient[:, place], up, out=through[:, ranks])
            torch.mm(gradient[:, place].T, inner[:, ranks], out=d_up)
        torch.mm(through.T, x, out=da)
        return (through @ a).addmm_(gradient, _weight(base, sizes, x)), da, db
    return gradient @ _weight(base, sizes, x), da, db


@lora_linear_backward.register_fake
def _(_gradient, x, _inner, _base, _sizes, a, b, _rows, _heights):  # type: ignore[no-untyped-def]
    return torch.empty_like(x), torch.empty_like(a), torch.empty_like(b)


def _keep_for_backward(ctx, inputs, output):  # type: ignore[no-untyped-def]
    x, base, sizes, a, b, rows, heights, _ = inputs
    ctx.save_for_backward(x, output[1], a, b, *base)
    ctx.layout = (sizes, rows, heights)


def _backward(ctx, gradient, _):  # type: ignore[no-untyped-def]
    x, inner, a, b, *base = ctx.saved_tensors
    sizes, rows, heights = ctx.layout
    dx, da, db = lora_linear_backward(gradient, x, inner, base, sizes, a, b, rows, heights)
    return dx, [None] * len(base), None, da, db, None, None, None


lora_linear.register_autograd(_backward, setup_context=_keep_for_backward)


def _places(b: Tensor, rows: list[int], heights: list[int]) -> list[tuple[slice, slice]]:
    """Of each adapted layer: where its outputs stand, and where its ranks."""
    rank = b.shape[1]
    outputs = [slice(row, row + height) for row, height in zip(rows, heights, strict=True)]
    return [(out, slice(rank * n, rank * (n + 1))) for n, out in enumerate(outputs)]


def _weight(base: list[Tensor], sizes: list[int], x: Tensor) -> Tensor:
    """(sum of sizes, inputs), in the input's precision."""
    if len(base) == 1:
        return base[0]
    # Only where something is quantized: it takes a second to import.
    from bitsandbytes.functional import QuantState, dequantize_4bit

    whole = torch.empty((sum(sizes), x.shape[1]), dtype=x.dtype, device=x.device)
    each = len(base) // len(sizes)
    for number, part in enumerate(whole.split(sizes)):
        packed, *scales = base[each * number : each * (number + 1)]
        state = QuantState(_scales(scales), part.shape, None, BLOCK, "nf4", x.dtype)
        dequantize_4bit(packed, state, out=part)
    return whole


def _scales(scales: list[Tensor]) -> Tensor:
    if len(scales) == 1:
        return scales[0]
    from bitsandbytes.functional import QuantState, dequantize_blockwise

    quantized, offset, outer, table = scales
    state = QuantState(outer, code=table, blocksize=SCALES_BLOCK, dtype=torch.float32)
    return dequantize_blockwise(quantized, state) + offset
