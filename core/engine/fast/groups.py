"""From transformers' and PEFT's modules to the groups of ``core.engine.fast.linear``."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from core.engine.fast.linear import BLOCK, SCALES_BLOCK, Group


class Unsupported(Exception):
    """The model or its adapter has something that the fast path does not know; the text names it."""


def check_group(*modules: Any) -> None:
    """Linear layers of one input, plain or with PEFT's LoRA on them. Raises Unsupported."""
    bases = [_base(module) for module in modules]
    kinds = {type(base).__name__ for base in bases}
    if kinds not in ({"Linear"}, {"Linear4bit"}):
        raise Unsupported(f"linear layers that are {', '.join(sorted(kinds))}")
    if len({base.bias is None for base in bases}) > 1:
        raise Unsupported("biases in some of the layers that read the same")
    if len({_lora(module) for module in modules if hasattr(module, "lora_A")}) > 1:
        raise Unsupported("LoRA of several ranks in layers that read the same")


def read_group(*modules: Any) -> Group:
    """The group that :func:`check_group` let pass. Raises Unsupported for a quantization of another kind."""
    bases = [_base(module) for module in modules]
    adapted = [number for number, module in enumerate(modules) if hasattr(module, "lora_A")]
    _, scale, dropped = _lora(modules[adapted[0]]) if adapted else (0, 1.0, 0.0)
    return Group(
        sizes=tuple(base.out_features for base in bases),
        base=tuple(_frozen(bases)),
        bias=None if bases[0].bias is None else torch.cat([base.bias.detach() for base in bases]),
        adapted=tuple(adapted),
        a=tuple(modules[number].lora_A["default"].weight for number in adapted),
        b=tuple(modules[number].lora_B["default"].weight for number in adapted),
        scale=scale,
        dropout=dropped,
    )


def _base(module: Any) -> Any:
    return getattr(module, "base_layer", module)


def _lora(module: Any) -> tuple[int, float, float]:
    """Rank, scale and dropout."""
    plain = list(module.lora_A) == ["default"] and not module.lora_variant
    if not plain or module.lora_B["default"].bias is not None:
        raise Unsupported("an adapter that is more than LoRA")
    dropped = getattr(module.lora_dropout["default"], "p", 0.0)
    return module.r["default"], float(module.scaling["default"]), dropped


def _frozen(bases: list[Any]) -> Iterator[Tensor]:
    if type(bases[0]).__name__ == "Linear":
        yield _in_one(bases)
        return
    for base in bases:
        yield from quantized(base.weight.data, base.weight.quant_state)


def quantized(packed: Tensor, state: Any) -> Iterator[Tensor]:
    """The tensors of one weight as ``core.engine.fast.linear`` reads them; ``state`` is bitsandbytes'
    QuantState. Raises Unsupported for a quantization of another kind."""
    outer = state.state2.blocksize if state.nested else SCALES_BLOCK
    if (state.quant_type, state.blocksize, outer) != ("nf4", BLOCK, SCALES_BLOCK):
        raise Unsupported(f"{state.quant_type} in blocks of {state.blocksize}")
    yield packed
    yield state.absmax
    if state.nested:
        yield state.offset
        yield state.state2.absmax
        yield state.state2.code


def _in_one(bases: list[Any]) -> Tensor:
    """The weights in one tensor; each layer's own becomes a part of it, so that nothing is kept twice."""
    if len(bases) == 1:
        alone: Tensor = bases[0].weight.detach()
        return alone
    whole = torch.cat([base.weight.detach() for base in bases])
    for base, part in zip(bases, whole.split([base.out_features for base in bases]), strict=True):
        base.weight.data = part
    return whole
