"""Causal attention without a mask: rows of one length, or rows of any length one after the other."""

from inspect import signature

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention

# cuDNN's kernels use what a Hopper card adds; torch 2.13's own ones are FlashAttention 2.
ORDER = {
    "cudnn": [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION],
    "flash": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION],
}
_GROUPED = "enable_gqa" in signature(varlen_attn).parameters


def kernels(name: str):  # type: ignore[no-untyped-def]
    """The context in which attention is computed by the first of these that can."""
    return sdpa_kernel([*ORDER[name], SDPBackend.MATH], set_priority=True)


def attend(
    q: Tensor, k: Tensor, v: Tensor, scale: float, rows: int, ends: Tensor | None, longest: int
) -> Tensor:
    """(tokens, heads, head's size) of each → the same as ``q``.

    The tokens are ``rows`` rows of one length, one after the other; or of any length, where ``ends`` (int32,
    rows + 1) says where each begins and ends, ``longest`` tokens at most.
    """
    if ends is None:
        dense = [part.view(rows, -1, *part.shape[1:]).transpose(1, 2) for part in (q, k, v)]
        grouped = q.shape[1] != k.shape[1]
        found = scaled_dot_product_attention(*dense, is_causal=True, scale=scale, enable_gqa=grouped)
        return found.transpose(1, 2).reshape(q.shape)
    if q.is_cuda:
        return _flash(q, k, v, scale, ends, longest)
    return _row_by_row(q, k, v, scale, ends)


def _flash(q: Tensor, k: Tensor, v: Tensor, scale: float, ends: Tensor, longest: int) -> Tensor:
    options = {}
    if q.shape[1] != k.shape[1] and _GROUPED:
        options = {"enable_gqa": True}
    elif q.shape[1] != k.shape[1]:
        k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for part in (k, v))
    found: Tensor = varlen_attn(
        q, k, v, ends, ends, longest, longest, scale=scale, window_size=(-1, 0), **options
    )
    return found


def _row_by_row(q: Tensor, k: Tensor, v: Tensor, scale: float, ends: Tensor) -> Tensor:
    """Where there is no such kernel; an empty row adds nothing."""
    bounds = [int(end) for end in ends]
    parts = [
        attend(q[first:last], k[first:last], v[first:last], scale, 1, None, last - first)
        for first, last in zip(bounds, bounds[1:], strict=False)
        if last > first
    ]
    return torch.cat(parts)
