"""Causal attention without a mask: rows of one length, or rows of any length one after the other."""

from inspect import signature
from itertools import pairwise

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
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    rows: int,
    ends: Tensor | None,
    longest: int,
    window: int = 0,
) -> Tensor:
    """(tokens, heads, head's size) of each → the same as ``q``.

    The tokens are ``rows`` rows of one length, one after the other; or of any length, where ``ends`` (int32,
    rows + 1) says where each begins and ends, ``longest`` tokens at most. ``window``: how many each token
    reads, itself included; 0 for all before it.
    """
    if window and ends is None and q.is_cuda:
        # A mask would be computed by another kernel than flash.
        ends = torch.arange(rows + 1, device=q.device, dtype=torch.int32) * (len(q) // rows)
    if ends is None:
        grouped = q.shape[1] != k.shape[1]
        q, k, v = (part.view(rows, -1, *part.shape[1:]).transpose(1, 2) for part in (q, k, v))
        seen = _seen(q.shape[2], window, q.device) if window else None
        found = scaled_dot_product_attention(
            q, k, v, attn_mask=seen, is_causal=seen is None, scale=scale, enable_gqa=grouped
        )
        return found.transpose(1, 2).flatten(0, 1)
    if q.is_cuda:
        return _flash(q, k, v, scale, ends, longest, window)
    return _row_by_row(q, k, v, scale, ends, window)


def _seen(length: int, window: int, device: torch.device) -> Tensor:
    """Which tokens (columns) each one (row) reads."""
    numbers = torch.arange(length, device=device)
    back = numbers[:, None] - numbers[None, :]
    return (back >= 0) & (back < window)


def _flash(q: Tensor, k: Tensor, v: Tensor, scale: float, ends: Tensor, longest: int, window: int) -> Tensor:
    options = {}
    if q.shape[1] != k.shape[1] and _GROUPED:
        options = {"enable_gqa": True}
    elif q.shape[1] != k.shape[1]:
        k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for part in (k, v))
    found: Tensor = varlen_attn(
        q, k, v, ends, ends, longest, longest, scale=scale, window_size=(window - 1, 0), **options
    )
    return found


def _row_by_row(q: Tensor, k: Tensor, v: Tensor, scale: float, ends: Tensor, window: int) -> Tensor:
    """Where there is no such kernel; an empty row adds nothing."""
    bounds = [int(end) for end in ends]
    parts = [
        attend(q[first:last], k[first:last], v[first:last], scale, 1, None, last - first, window)
        for first, last in pairwise(bounds)
        if last > first
    ]
    return torch.cat(parts)
