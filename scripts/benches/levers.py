"""The fast path lever by lever in a loop of its own: tokens a second, and the peak beside the formula's.

    scripts/bench levers [--shape NAME] [--runs NAME,…] [--steps N] [--layers N …] [--folder DIR]

One process and one model of random weights (by default of InternLM-7B's shape), each setting with its own
optimizer; every row is full, and in lines it holds two conversations. A loop has no data set, log or
checkpoint: what a whole XTuner run reaches is measured by ``scripts/bench gpu``. The peak is torch's own,
the formula ``core.recipe.memory``. Speed is the mean of ``--steps`` steps after those that compile, record
and warm up.
"""

import argparse
import gc
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
from mmengine.config import Config
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from core.engine.fast.ahead import LINEAR
from core.engine.fast.batches import collate
from core.engine.fast.decoder import Decoder
from core.engine.fast.settings import Acceleration
from core.engine.fast.step import BEFORE_RECORDING, Step
from core.engine.fast.streams import leave_default_stream
from core.models.folder import Model, read_shape
from core.recipe.memory import memory
from core.recipe.recipe import Recipe
from core.recipe.speed import acceleration, settle_speed
from core.workspace.paths import Workspace
from scripts.benches.gpu import add_table_options, head, operations, recipe_of
from scripts.benches.gradients import quantize
from scripts.benches.memory import make_model

WARM = max(BEFORE_RECORDING.values()) + 3
NF4, AGAIN = {"quantization": "nf4"}, {"quantization": "nf4", "activation_checkpointing": True}
BF16: Mapping[str, Any] = {"quantization": "none"}
# By name: rows × tokens, and what differs from compiled layers, flash attention and nothing computed again.
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "nf4_8": ("8x512", NF4),
    "nf4_8_graph": ("8x512", {**NF4, "cuda_graph": "on"}),
    "nf4_2": ("2x512", {**NF4, "cuda_graph": "off"}),
    "nf4_2_graph": ("2x512", {**NF4, "cuda_graph": "on"}),
    "nf4_4": ("4x2048", NF4),
    "nf4_4_cudnn": ("4x2048", {**NF4, "attention": "cudnn"}),
    "nf4_4_eager": ("4x2048", {**NF4, "compile": "none"}),
    "nf4_4_kernels": ("4x2048", {**NF4, "compile": "kernels"}),
    "nf4_4_lines": ("4x2048", {**NF4, "padding_free": True}),
    "again_8": ("8x512", AGAIN),
    "again_8_half": ("8x512", {**AGAIN, "checkpointed_layers": 16}),
    "again_4": ("4x2048", AGAIN),
    "again_4_offload": ("4x2048", {**AGAIN, "offload": True}),
    "again_4_half": ("4x2048", {**AGAIN, "checkpointed_layers": 16}),
    "bf16_8": ("8x512", BF16),
    "bf16_8_graph": ("8x512", {**BF16, "cuda_graph": "on"}),
    "bf16_4": ("4x2048", BF16),
    "bf16_4_cudnn": ("4x2048", {**BF16, "attention": "cudnn"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_table_options(parser, RUNS)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    options.iterations = options.steps
    with tempfile.TemporaryDirectory() as temporary:
        model = make_model(Workspace.of(options.folder or temporary), options)
        head("run", "rows × tokens", "tokens/s", "MFU", "peak GB", "formula GB", "difference")
        for name in options.runs.split(","):
            print(measured(name, model, options), flush=True)


def measured(name: str, model: Model, options: argparse.Namespace) -> str:
    setting, values = RUNS[name]
    # A graph only where its row says so: the choice by itself would record the small ones.
    recipe = settle_speed(recipe_of(model, options, setting, {"cuda_graph": "off", **values}), model, None)
    try:
        speed, peak = run(recipe, model, options.steps)
    except torch.cuda.OutOfMemoryError:
        return f"| {name} | {setting} | out of memory | | | | |"
    expected = memory(recipe, model, read_shape(model), longest=recipe.max_length).allocated
    used = speed * operations(recipe, model) / options.peak
    sizes = f"{peak / 1e9:.2f} | {expected / 1e9:.2f} | {expected / peak - 1:+.1%}"
    return f"| {name} | {setting} | {speed:,.0f} | {used:.0%} | {sizes} |"


def run(recipe: Recipe, model: Model, steps: int) -> tuple[float, float]:
    """Tokens a second, and the peak in bytes."""
    with torch.cuda.stream(torch.cuda.default_stream()):
        network = adapted(str(model.folder), recipe.quantization == "nf4", recipe.rank)
    leave_default_stream()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch._dynamo.reset()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.grad = None
    step = Step(Decoder(network.get_base_model(), settings_of(recipe)), trained)
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    batches = rows(recipe)

    def several(number: int) -> tuple[int, float]:
        """How many tokens ``number`` steps read, and the last loss."""
        read = 0
        for _ in range(number):
            data = next(batches)["data"]
            read += data["tokens"]
            loss = step.run(data["batch"], 1.0)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            step.forget()
        return read, loss.item()

    several(WARM)
    began = time.perf_counter()
    tokens, loss = several(steps)
    took = time.perf_counter() - began
    if not math.isfinite(loss):
        print("<!-- the loss is no number at the end -->")
    return tokens / took, torch.cuda.max_memory_allocated()


@cache
def adapted(folder: str, nf4: bool, rank: int) -> Any:
    """The model on the card with LoRA in every linear layer; one of them at a time."""
    adapted.cache_clear()
    gc.collect()
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map="cuda")  # nosec B615  # a folder
    if nf4:
        quantize(base)
    base.requires_grad_(False)
    lora = LoraConfig(r=rank, lora_alpha=16, target_modules=list(LINEAR), task_type="CAUSAL_LM")
    return get_peft_model(base, lora).train()


def settings_of(recipe: Recipe) -> Acceleration:
    """As a training reads them from its config."""
    text = f"acceleration = {acceleration(recipe)}"
    return Acceleration.of(dict(Config.fromstring(text, ".py").acceleration))


def rows(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Batches of random tokens; in lines each row holds two conversations."""
    generator = torch.Generator().manual_seed(0)
    length = recipe.max_length
    ends = {"cumulative_len": [0, length // 3, length]} if recipe.padding_free else {}
    while True:
        ids = torch.randint(0, 1000, (recipe.batch_size, length), generator=generator).tolist()
        batch = [{"input_ids": row, "labels": row, **ends} for row in ids]
        yield collate(batch, length, recipe.padding_free)


if __name__ == "__main__":
    main()
