"""Compiles a model's layer in a process of its own, while the training imports XTuner and loads the weights.

All layers of a model are compiled once, and torch keeps what it compiled on disk (the caches of AOTAutograd
and Inductor) by code and shapes, not by weights. A model of the same shape with one layer and random weights
fills them, and the training only reads: on two processor cores its first step took 4 s instead of 33 s.
"""

from dataclasses import replace
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from core.engine.fast.batches import Batch, collate
from core.engine.fast.decoder import Decoder
from core.engine.fast.layers import check_layers
from core.engine.fast.settings import Acceleration
from core.engine.fast.work import CHILD_BYTES, Work

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def main(text: str) -> None:
    """One step of what a :class:`Work` in JSON describes. Raises Unsupported for an unknown model."""
    work = Work.read(text)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        share = CHILD_BYTES / torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, share))
    model, settings = make_model(work, device)
    base = model.get_base_model()
    check_layers(base, work.length)
    batch: Batch = collate(work.batch(), work.length, settings.padding_free)["data"]["batch"]
    loss = Decoder(base, settings, work.distill).loss(batch.each(lambda field: field.to(device)))
    loss.backward()


def make_model(work: Work, device: str) -> tuple[Any, Acceleration]:
    """The model's shape with a layer of each kind (without LoRA, computed again, kept), and the settings by
    which those few are what they are."""
    config = AutoConfig.from_pretrained(work.model, trust_remote_code=False)
    again, settings = work.acceleration.checkpointed_layers, work.acceleration
    bare = int(work.first > 0)
    both = work.first < again < config.num_hidden_layers
    config.num_hidden_layers = bare + 1 + both
    if again <= work.first:
        settings = replace(settings, checkpointed_layers=0)
    elif both:
        settings = replace(settings, checkpointed_layers=bare + 1)
    with torch.device(device):
        base = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, work.dtype))
    if work.nf4:
        quantize(base)
    base.requires_grad_(False)
    targets = list(work.targets or LINEAR)
    lora = LoraConfig(
        r=work.rank,
        lora_alpha=work.alpha,
        lora_dropout=work.dropout,
        target_modules=targets,
        layers_to_transform=list(range(bare, config.num_hidden_layers)),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, lora).train(), settings


def quantize(base: Any) -> None:
    """Its layers' weights in NF4, doubly quantized, as transformers loads them."""
    for layer in base.model.layers:
        for owner in (layer.self_attn, layer.mlp):
            for name in [name for name in LINEAR if hasattr(owner, name)]:
                setattr(owner, name, _quantized(getattr(owner, name)))


def _quantized(linear: Any) -> Linear4bit:
    weight = linear.weight.data
    made = Linear4bit(
        weight.shape[1],
        weight.shape[0],
        bias=linear.bias is not None,
        compute_dtype=weight.dtype,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    made.bias = linear.bias
    made.weight = Params4bit(weight.cpu(), requires_grad=False, quant_type="nf4").to(weight.device)
    return made
