"""Whether the fast path's gradients are right: LoRA's gradients beside those of transformers and PEFT.

    scripts/bench gradients [--shape NAME] [--layers N] [--hidden N …] [--rows N] [--length N] [--families]

A model of random weights (by default four layers of InternLM-7B's width) with LoRA whose B is not zero, and
one batch of rows of several lengths. The plain path pads them and uses transformers' attention mask. Compared
are the losses, and the cosine between all of LoRA's gradients. ``--families``: instead of one shape a small
model of every family that the fast path knows, in bfloat16.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM
from xtuner.dataset.collate_fns import default_collate_fn

from core.engine.fast.ahead import LINEAR
from core.engine.fast.batches import Batch, collate
from core.engine.fast.decoder import Decoder
from core.engine.fast.families import check_layers
from core.engine.fast.settings import Acceleration
from scripts.benches.memory import add_shape_options, shape_of
from tests.lora_models import FAMILIES_OF_TODAY, KINDS, make

WAYS = {
    "eager": Acceleration(),
    "padded": Acceleration(padding_free=False),
    "kernels compiled": Acceleration(compile="kernels"),
    "layers compiled": Acceleration(compile="layers"),
    "layers compiled, padded, cuDNN": Acceleration(compile="layers", padding_free=False, attention="cudnn"),
    "layers compiled, checkpointed": Acceleration(compile="layers", checkpointed_layers=99),
    "layers compiled, offloaded": Acceleration(compile="layers", checkpointed_layers=99, offload=True),
}
# Of a family's small model, on a GPU wide enough for its kernels.
FAMILY = {
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 2000,
}
FAMILY_WAYS = {
    "in lines": Acceleration(),
    "padded": Acceleration(padding_free=False),
    "layers compiled": Acceleration(compile="layers"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_shape_options(parser)
    parser.set_defaults(layers=4)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--families", action="store_true")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.families:
        compare_families(options, device)
        return
    rows = list(make_rows(options))
    for quantized in (False, True) if device == "cuda" else (False,):
        model = make_model(options, device, quantized)
        print(f"\n{'NF4' if quantized else 'bfloat16'} weights, {torch.__version__}\n")
        print("| way | loss | cosine to the plain path | to float32 |\n| --- | --- | --- | --- |")
        compare(model, rows, device, quantized)


def compare(model: Any, rows: list[dict[str, Any]], device: str, quantized: bool) -> None:
    """A row for each way; float32 only where the weights can be turned into it."""
    loss, plain = gradient(model, plain_loss(model, rows, device, torch.bfloat16))
    exact = None if quantized else exact_gradient(model, rows, device)
    print(f"| transformers and PEFT, autocast | {loss:.5f} | 1 | {versus(plain, exact)} |")
    for name, settings in WAYS.items():
        loss, found = fast_gradient(model, rows, device, settings)
        print(f"| {name} | {loss:.5f} | {versus(found, plain)} | {versus(found, exact)} |", flush=True)


def compare_families(options: argparse.Namespace, device: str) -> None:
    """A row for each family; its window, if it has one, is narrower than most rows."""
    options.vocabulary = FAMILY["vocab_size"]
    rows = list(make_rows(options))
    print("| family | " + " | ".join(FAMILY_WAYS) + " | plain to float32 |\n| --- |" + " --- |" * 4)
    for kind, shape in [*KINDS, *FAMILIES_OF_TODAY]:
        window = {"sliding_window": 48} if shape.get("sliding_window") else {}
        model = make(kind, dtype=torch.bfloat16, **{**FAMILY, **shape, **window}).to(device)
        _, plain = gradient(model, plain_loss(model, rows, device, torch.bfloat16))
        found = [versus(fast_gradient(model, rows, device, way)[1], plain) for way in FAMILY_WAYS.values()]
        exact = versus(plain, exact_gradient(model, rows, device))
        print(f"| {kind} {' '.join(shape)} | {' | '.join(found)} | {exact} |", flush=True)


def fast_gradient(
    model: Any, rows: list[dict[str, Any]], device: str, settings: Acceleration
) -> tuple[float, Tensor]:
    torch._dynamo.reset()
    longest = max(len(row["input_ids"]) for row in rows)
    check_layers(model.get_base_model(), longest)
    batch: Batch = collate(rows, longest, settings.padding_free)["data"]["batch"]
    batch = batch.each(partial(torch.Tensor.to, device=device))
    return gradient(model, Decoder(model.get_base_model(), settings).loss(batch))


def exact_gradient(model: Any, rows: list[dict[str, Any]], device: str) -> Tensor:
    """In float32, of the same weights."""
    kept = {name: p.dtype for name, p in model.named_parameters()}
    model.float()
    _, found = gradient(model, plain_loss(model, rows, device, None))
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(kept[name])
    return found


def plain_loss(model: Any, rows: list[dict[str, Any]], device: str, dtype: torch.dtype | None) -> Tensor:
    data = {k: v.to(device) for k, v in default_collate_fn(rows)["data"].items()}
    with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
        loss: Tensor = model(**data, use_cache=False).loss
    return loss


def gradient(model: Any, loss: Tensor) -> tuple[float, Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    parts = [p.grad.double().flatten() for p in model.parameters() if p.grad is not None]
    return loss.item(), torch.cat(parts)


def versus(one: Tensor, other: Tensor | None) -> str:
    if other is None:
        return "–"
    return f"{torch.nn.functional.cosine_similarity(one, other, dim=0).item():.5f}"


def make_rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    for number in range(options.rows):
        length = options.length * (number + 1) // options.rows
        ids = torch.randint(0, shape_of(options)["vocab_size"], (length,), generator=generator)
        labels = ids.clone()
        labels[: length // 4] = -100
        yield {"input_ids": ids.tolist(), "labels": labels.tolist()}


def make_model(options: argparse.Namespace, device: str, quantized: bool) -> Any:
    torch.manual_seed(0)
    shape = shape_of(options)
    config = AutoConfig.for_model(shape.pop("model_type"), **shape)
    with torch.device(device):
        base = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    if quantized:
        quantize(base)
    base.requires_grad_(False)
    lora = LoraConfig(r=64, lora_alpha=16, target_modules=list(LINEAR), task_type="CAUSAL_LM")
    model = get_peft_model(base, lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.01)
    return model.train()


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


if __name__ == "__main__":
    main()
