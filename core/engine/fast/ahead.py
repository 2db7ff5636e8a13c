"""Compiles a model's layers in a process of its own, while the training imports XTuner and loads the weights.

All layers of a model are compiled once, and torch keeps what it compiled on disk (the caches of AOTAutograd
and Inductor) by code and shapes, not by weights. A stand-in of the same shape with a layer of each kind and
random weights fills them, and the training only reads: on two processor cores its first step took 4 s instead
of 33 s. What is compiled names its card: of several processes each has its own compiled ahead. The stand-in
is made of tensors alone: importing transformers and PEFT took a third of this process.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import Embedding, Linear, Parameter

from core.engine.fast.batches import Batch, collate
from core.engine.fast.decoder import Decoder
from core.engine.fast.groups import quantized
from core.engine.fast.layers import Layer
from core.engine.fast.linear import BLOCK, Group
from core.engine.fast.loss import IGNORED
from core.engine.fast.settings import Acceleration
from core.engine.fast.work import CHILD_BYTES, LayerToCompile
from core.engine.own_card import take_own_card
from core.engine.teacher_loss import label_alone
from core.workspace.files import read_json

QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
OUT, GATE_UP, DOWN = ("self_attn.o_proj",), ("mlp.gate_proj", "mlp.up_proj"), ("mlp.down_proj",)
LINEAR = tuple(name.rpartition(".")[2] for name in (*QKV, *OUT, *GATE_UP, *DOWN))


def main(text: str) -> None:
    """One step of a :class:`LayerToCompile` in JSON. Raises KeyError for a model of another kind."""
    work = LayerToCompile.read(text)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        take_own_card()
        share = CHILD_BYTES / torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, share))
    layers, settings = make_layers(work, device)
    batch: Batch = _laid_out(work)
    decoder = Decoder(stand_in(work, device), settings, work.distill, layers)
    decoder.loss(batch.each(lambda field: field.to(device))).backward()


def _laid_out(work: LayerToCompile) -> Batch:
    def label(_: Any, labels: list[int]) -> tuple[Tensor, Tensor]:
        return label_alone(torch.tensor([one for one in labels[1:] if one != IGNORED]), work.likeliest)

    targets, recorded = label if work.likeliest else None, work.acceleration.cuda_graph
    found = collate(work.batch(), work.length, work.acceleration.padding_free, targets, recorded)
    batch: Batch = found["data"]["batch"]
    return batch


def make_layers(work: LayerToCompile, device: str) -> tuple[list[Layer], Acceleration]:
    """A layer of each kind (without LoRA, computed again, kept), and the settings by which those few are what
    they are."""
    config, shapes = _config(work), first_layer(Path(work.model))
    again, settings = work.acceleration.checkpointed_layers, work.acceleration
    bare = int(work.first > 0)
    both = work.first < again < config["num_hidden_layers"]
    if again <= work.first:
        settings = replace(settings, checkpointed_layers=0)
    elif both:
        settings = replace(settings, checkpointed_layers=bare + 1)
    adapted = [False] * bare + [True] * (1 + both)
    return [_layer(config, shapes, work, device, has_lora) for has_lora in adapted], settings


def stand_in(work: LayerToCompile, device: str) -> Any:
    """What of a causal language model a Decoder reads besides its layers."""
    config, dtype = _config(work), getattr(torch, work.dtype)
    hidden, vocabulary, size = config["hidden_size"], config["vocab_size"], _head_size(config)
    options: dict[str, Any] = {"device": device, "dtype": dtype}
    head = Linear(hidden, vocabulary, bias=False, **options).requires_grad_(False)

    def rotary(x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        return (x.new_zeros(*positions.shape, size),) * 2

    body = SimpleNamespace(
        embed_tokens=Embedding(vocabulary, hidden, **options).requires_grad_(False),
        rotary_emb=rotary,
        norm=SimpleNamespace(weight=_frozen(torch.ones(hidden, **options))),
    )
    return SimpleNamespace(model=body, get_output_embeddings=lambda: head)


def first_layer(folder: Path) -> dict[str, list[int]]:
    """Shapes of a model's first layer by name (``mlp.up_proj.weight``), from its files' headers."""
    shapes = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (it is no mapping)
                _, first, place = name.partition("model.layers.0.")
                if first:
                    shapes[place] = list(tensors.get_slice(name).get_shape())
    return shapes


def _config(work: LayerToCompile) -> dict[str, Any]:
    return read_json(Path(work.model) / "config.json") or {}


def _head_size(config: dict[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _layer(
    config: dict[str, Any], shapes: Mapping[str, list[int]], work: LayerToCompile, device: str, has_lora: bool
) -> Layer:
    dtype, heads = getattr(torch, work.dtype), config["num_attention_heads"]

    def norm(name: str) -> Tensor:
        return _frozen(torch.ones(shapes[f"{name}.weight"], dtype=dtype, device=device))

    def group(names: tuple[str, ...]) -> Group:
        return _group(names, shapes, work, device, has_lora)

    has_norms = "self_attn.q_norm.weight" in shapes
    return Layer(
        norm_before=norm("input_layernorm"),
        norm_between=norm("post_attention_layernorm"),
        norm_q=norm("self_attn.q_norm") if has_norms else None,
        norm_k=norm("self_attn.k_norm") if has_norms else None,
        qkv=group(QKV),
        out=group(OUT),
        gate_up=group(GATE_UP),
        down=group(DOWN),
        heads=heads,
        key_heads=config.get("num_key_value_heads") or heads,
        scale=_head_size(config) ** -0.5,
        epsilon=config["rms_norm_eps"],
    )


def _group(
    names: tuple[str, ...], shapes: Mapping[str, list[int]], work: LayerToCompile, device: str, has_lora: bool
) -> Group:
    dtype, targets = getattr(torch, work.dtype), work.targets or LINEAR
    sizes = tuple(shapes[f"{name}.weight"][0] for name in names)
    inputs = shapes[f"{names[0]}.weight"][1]
    weight = torch.randn(sum(sizes), inputs, dtype=dtype, device=device)
    adapted = tuple(n for n, name in enumerate(names) if has_lora and name.rpartition(".")[2] in targets)

    def matrix(*shape: int) -> Parameter:
        return Parameter(torch.randn(*shape, device=device))

    return Group(
        sizes=sizes,
        base=tuple(_nf4(weight, sizes)) if work.nf4 else (weight,),
        bias=weight.new_zeros(sum(sizes)) if f"{names[0]}.bias" in shapes else None,
        adapted=adapted,
        a=tuple(matrix(work.rank, inputs) for _ in adapted),
        b=tuple(matrix(sizes[number], work.rank) for number in adapted),
        scale=work.alpha / work.rank if adapted else 1.0,
        dropout=work.dropout if adapted else 0.0,
    )


def _nf4(weight: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    """Doubly quantized, as transformers loads it."""
    from bitsandbytes.functional import quantize_4bit  # seconds, for what nothing else here needs

    parts = (
        quantize_4bit(part, blocksize=BLOCK, compress_statistics=True, quant_type="nf4")
        for part in weight.split(sizes)
    )
    return [tensor for packed, state in parts for tensor in quantized(packed, state)]


def _frozen(tensor: Tensor) -> Parameter:
    return Parameter(tensor, requires_grad=False)
