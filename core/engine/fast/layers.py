"""A Llama-like model's layers as functions of tensors: what is compiled, recorded and computed again.

One function serves all families of ``core.engine.fast.families``: they differ in biases, in norms, and in how
positions are rotated.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import gelu, silu

from core.engine.fast.attention import attend
from core.engine.fast.families import Family, activation_of, family_of, groups_of, window_of
from core.engine.fast.groups import read_group
from core.engine.fast.linear import Group, apply

Norm = Callable[[Tensor, Tensor, float], Tensor]


class Layer(NamedTuple):
    """One layer's weights and sizes.

    ``norm_attention`` and ``norm_mlp``: of what is added to the input; ``turned_first``: queries and keys are
    normed after their rotation; ``window``: tokens that each reads, 0 for all before it; ``turned``: whether
    positions are rotated at all; ``kind``: which of the model's rotations it takes, if there are several.
    """

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
    norm_attention: Tensor | None = None
    norm_mlp: Tensor | None = None
    turned_first: bool = False
    turned: bool = True
    window: int = 0
    kind: str = ""

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
    x = x + _normed(
        apply(layer.out, _attention(layer, read, place, kernels)), layer.norm_attention, layer, kernels
    )
    read = kernels.norm(x, layer.norm_between, layer.epsilon)
    gate, up = apply(layer.gate_up, read).chunk(2, dim=1)
    added = apply(layer.down, kernels.gated(gate, up), keep=not again)
    return x + _normed(added, layer.norm_mlp, layer, kernels)


def _normed(x: Tensor, weight: Tensor | None, layer: Layer, kernels: Kernels) -> Tensor:
    return x if weight is None else kernels.norm(x, weight, layer.epsilon)


def _attention(layer: Layer, x: Tensor, place: Positions, kernels: Kernels) -> Tensor:
    size = sum(layer.qkv.sizes) // (layer.heads + 2 * layer.key_heads)
    widths = [heads * size for heads in (layer.heads, layer.key_heads, layer.key_heads)]
    q, k, v = (part.view(len(x), -1, size) for part in apply(layer.qkv, x).split(widths, dim=1))
    if not layer.turned_first:
        q, k = _normed(q, layer.norm_q, layer, kernels), _normed(k, layer.norm_k, layer, kernels)
    if layer.turned:
        q, k = kernels.rotate(q, k, place.cosine, place.sine)
    if layer.turned_first:
        q, k = _normed(q, layer.norm_q, layer, kernels), _normed(k, layer.norm_k, layer, kernels)
    # A part of the product would keep all of it in memory until the backward pass.
    v = v.clone()
    window = layer.window if layer.window < place.longest else 0
    return attend(q, k, v, layer.scale, place.rows, place.ends, place.longest, window).view(len(x), -1)


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMSNorm as transformers' Llama computes it."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * wide.to(x.dtype)


def norm_shifted(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMSNorm as transformers' Gemma computes it."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return (wide * (1.0 + weight.float())).to(x.dtype)


def gated(gate: Tensor, up: Tensor) -> Tensor:
    return silu(gate) * up


def gated_by_gelu(gate: Tensor, up: Tensor) -> Tensor:
    return gelu(gate, approximate="tanh") * up


def rotate(q: Tensor, k: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """Rotary positions as transformers' Llama applies them; of a part of each head where they are narrower.

    Cosines and sines in float32 are applied in float32.
    """
    cosine, sine, size = cosine[:, None], sine[:, None], cosine.shape[-1]

    def turned(x: Tensor) -> Tensor:
        first, second = x[..., :size].chunk(2, dim=-1)
        found = (x[..., :size] * cosine + torch.cat((-second, first), dim=-1) * sine).to(x.dtype)
        return found if size == x.shape[-1] else torch.cat((found, x[..., size:]), dim=-1)

    return turned(q), turned(k)


def rotate_pairs(q: Tensor, k: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """The same of neighbours instead of halves, as transformers' GLM applies them."""
    size = cosine.shape[-1]
    cosine, sine = (part[:, None, : size // 2].repeat_interleave(2, dim=-1) for part in (cosine, sine))

    def turned(x: Tensor) -> Tensor:
        first, second = x[..., 0:size:2], x[..., 1:size:2]
        other = torch.stack((-second, first), dim=-1).flatten(-2)
        found = (x[..., :size] * cosine + other * sine).to(x.dtype)
        return found if size == x.shape[-1] else torch.cat((found, x[..., size:]), dim=-1)

    return turned(q), turned(k)


IN_TORCH = Kernels(norm, gated, rotate)


def kernels_of(model: Any) -> Kernels:
    """Of a model that ``check_layers`` lets pass."""
    family = family_of(model)
    return Kernels(
        norm_shifted if family.shifted else norm,
        gated if activation_of(model.config) == "silu" else gated_by_gelu,
        rotate_pairs if family.pairs else rotate,
    )


def read_layers(model: Any) -> list[Layer]:
    """The layers of a model that ``check_layers`` lets pass, on the device where its weights are."""
    family = family_of(model)
    return [_layer(model.config, layer, family) for layer in model.model.layers]


def _layer(config: Any, layer: Any, family: Family) -> Layer:
    attention = layer.self_attn
    qkv, out, gate_up, down = (read_group(*modules) for modules in groups_of(layer, family))

    def weight(owner: Any, name: str) -> Any:
        return getattr(owner, name).weight if name and hasattr(owner, name) else None

    return Layer(
        norm_before=layer.input_layernorm.weight,
        norm_between=weight(layer, family.between),
        norm_q=weight(attention, family.norms_of_heads[0]),
        norm_k=weight(attention, family.norms_of_heads[1]),
        qkv=qkv,
        out=out,
        gate_up=gate_up,
        down=down,
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
        scale=attention.scaling,
        epsilon=config.rms_norm_eps,
        norm_attention=weight(layer, family.after_attention),
        norm_mlp=weight(layer, family.after_mlp),
        turned_first=family.turned_first,
        turned=bool(getattr(attention, "use_rope", True)),
        window=window_of(layer, config, family),
        kind=getattr(attention, "layer_type", "") if family.several_rotations else "",
    )
