"""A Llama-like model's layers as functions of tensors: what is compiled, recorded and computed again.

One function serves Llama, Mistral, Qwen2 and Qwen3 (transformers 4.57.6): they differ in biases and in norms
of queries and keys. A model of another kind is refused (``Unsupported``) and trains as XTuner does it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import silu

from core.engine.fast.attention import attend
from core.engine.fast.groups import Unsupported, check_group, read_group
from core.engine.fast.linear import Group, apply
from core.recipe.speed import ARCHITECTURES

Norm = Callable[[Tensor, Tensor, float], Tensor]


class Layer(NamedTuple):
    """One layer's weights and sizes. Norms of queries and keys are those of Qwen3."""

    norm_before: Tensor
    norm_between: Tensor
    norm_q: Tensor | None
    norm_k: Tensor | None
    qkv: Group
    out: Group
    gate_up: Group
    down: Group
    heads: int
    key_heads: int
    scale: float
    epsilon: float

    def plain(self) -> "Layer":
        """Without LoRA: the base model."""
        bare = {name: getattr(self, name).plain() for name in ("qkv", "out", "gate_up", "down")}
        return self._replace(**bare)


class Positions(NamedTuple):
    """Where the tokens stand: cosines and sines (tokens, head's size), and where rows begin and end."""

    cosine: Tensor
    sine: Tensor
    rows: int
    ends: Tensor | None
    longest: int


class Kernels(NamedTuple):
    """What is not a product."""

    norm: Norm
    gated: Callable[[Tensor, Tensor], Tensor]
    rotate: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def forward(layer: Layer, x: Tensor, place: Positions, kernels: Kernels, again: bool) -> Tensor:
    """(tokens, hidden) → the same. ``again``: it will be computed again, so keep what only that needs."""
    read = kernels.norm(x, layer.norm_before, layer.epsilon)
    x = x + apply(layer.out, _attention(layer, read, place, kernels))
    read = kernels.norm(x, layer.norm_between, layer.epsilon)
    gate, up = apply(layer.gate_up, read).split(layer.gate_up.sizes, dim=1)
    return x + apply(layer.down, kernels.gated(gate, up), keep=not again)


def _attention(layer: Layer, x: Tensor, place: Positions, kernels: Kernels) -> Tensor:
    q, k, v = apply(layer.qkv, x).split(layer.qkv.sizes, dim=1)
    q, k, v = (
        part.view(len(x), heads, -1)
        for part, heads in ((q, layer.heads), (k, layer.key_heads), (v, layer.key_heads))
    )
    if layer.norm_q is not None and layer.norm_k is not None:
        q = kernels.norm(q, layer.norm_q, layer.epsilon)
        k = kernels.norm(k, layer.norm_k, layer.epsilon)
    q, k = kernels.rotate(q, k, place.cosine, place.sine)
    # A part of the product would keep all of it in memory until the backward pass.
    v = v.clone()
    return attend(q, k, v, layer.scale, place.rows, place.ends, place.longest).view(len(x), -1)


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMSNorm as transformers' Llama computes it."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * wide.to(x.dtype)


def gated(gate: Tensor, up: Tensor) -> Tensor:
    return silu(gate) * up


def rotate(q: Tensor, k: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """Rotary positions as transformers' Llama applies them."""
    cosine, sine = cosine[:, None], sine[:, None]

    def turned(x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        return x * cosine + torch.cat((-second, first), dim=-1) * sine

    return turned(q), turned(k)


IN_TORCH = Kernels(norm, gated, rotate)


def check_layers(model: Any, longest: int) -> None:
    """Raises Unsupported for a model that :func:`read_layers` cannot read, with or without LoRA in it.

    ``longest``: tokens of the longest row; a window of attention as wide as that is none.
    """
    name = type(model).__name__
    if name not in ARCHITECTURES:
        raise Unsupported(f"{name} ({', '.join(ARCHITECTURES)} it does)")
    if model.config.hidden_act != "silu":
        raise Unsupported(f"an MLP with {model.config.hidden_act}")
    if 0 < (getattr(model.config, "sliding_window", None) or 0) < longest:
        raise Unsupported("attention in a sliding window")
    for layer in model.model.layers:
        for modules in _groups(layer):
            check_group(*modules)


def read_layers(model: Any) -> list[Layer]:
    """The layers of a model that :func:`check_layers` lets pass, on the device where its weights are."""
    return [_layer(model.config, layer) for layer in model.model.layers]


def _groups(layer: Any) -> list[tuple[Any, ...]]:
    """Its linear layers: those that read the same together."""
    attention, mlp = layer.self_attn, layer.mlp
    return [
        (attention.q_proj, attention.k_proj, attention.v_proj),
        (attention.o_proj,),
        (mlp.gate_proj, mlp.up_proj),
        (mlp.down_proj,),
    ]


def _layer(config: Any, layer: Any) -> Layer:
    attention = layer.self_attn
    qkv, out, gate_up, down = (read_group(*modules) for modules in _groups(layer))
    return Layer(
        norm_before=layer.input_layernorm.weight,
        norm_between=layer.post_attention_layernorm.weight,
        norm_q=attention.q_norm.weight if hasattr(attention, "q_norm") else None,
        norm_k=attention.k_norm.weight if hasattr(attention, "k_norm") else None,
        qkv=qkv,
        out=out,
        gate_up=gate_up,
        down=down,
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
        scale=attention.scaling,
        epsilon=config.rms_norm_eps,
    )
