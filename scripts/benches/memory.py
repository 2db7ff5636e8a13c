"""Peaks of GPU memory in real XTuner runs beside the formula of core.recipe.memory: prints a table.

    scripts/bench memory [--shape NAME] [--layers N …] [--iterations N] [--settings 8x512,4x2048]

A model of random weights (by default of InternLM-7B's shape: memory does not depend on what a model knows) is
written into a temporary workspace; each setting is a training of its own process. What is compared is torch's
own peak, which XTuner logs as ``memory``; a card needs the runtime besides.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import Any

from core.data.conversations import one_turn, write_rows
from core.errors import TuneboardError
from core.jobs.curves import CurveReader
from core.machine import this_machine
from core.models.folder import Model, read_model, read_shape
from core.recipe.memory import memory
from core.recipe.recipe import Recipe
from core.steps import prepare, train
from core.steps.step import module_job, run_job
from core.workspace.paths import RunPaths, Workspace
from tests.small_model import make_tokenizer_files

MIB = 2**20
# Entries of config.json; the kind alone says which layers have biases.
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "internlm-7b": {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "vocab_size": 103168,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
    },
    "qwen2.5-7b": {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "num_hidden_layers": 28,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "vocab_size": 152064,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
}
NARROWED = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "inner": "intermediate_size",
    "vocabulary": "vocab_size",
}
HEAD = 128


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_shape_options(parser)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--settings", default="2x512,8x512,4x2048", metavar="BATCHxLENGTH,…")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.of(folder)
        model = make_model(workspace, options)
        print("| setting | measured, GB | formula, GB | difference |\n| --- | --- | --- | --- |", flush=True)
        for number, recipe in enumerate(recipes(model, options)):
            measure(workspace, model, recipe, number)


def add_shape_options(parser: argparse.ArgumentParser) -> None:
    """``--shape``, and numbers that differ from it."""
    parser.add_argument("--shape", choices=SHAPES, default="internlm-7b")
    for name in NARROWED:
        parser.add_argument(f"--{name}", type=int, help="instead of the shape's")


def shape_of(options: argparse.Namespace) -> dict[str, Any]:
    """The entries of config.json that the options ask for; a narrower model has fewer heads of its size."""
    asked = {entry: getattr(options, name) for name, entry in NARROWED.items() if getattr(options, name)}
    shape = {**SHAPES[options.shape], **asked}
    if shape["hidden_size"] != SHAPES[options.shape]["hidden_size"]:
        group = shape["num_attention_heads"] // shape["num_key_value_heads"]
        heads = max(1, shape["hidden_size"] // HEAD)
        shape |= {"num_attention_heads": heads, "num_key_value_heads": max(1, heads // group)}
    size = shape["hidden_size"] // shape["num_attention_heads"]
    return shape | {"head_dim": size, "max_position_embeddings": 32768, "tie_word_embeddings": False}


def make_model(workspace: Workspace, options: argparse.Namespace) -> Model:
    """Random weights of the shape that was asked for, made by transformers in a process of its own."""
    folder = workspace.model(options.shape)
    if any(folder.glob("*.safetensors")):
        return read_model(folder)
    config = make_tokenizer_files(folder) | shape_of(options)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    run_job("starter", workspace.starter_job, module_job("scripts.benches.random_model", folder))
    return read_model(folder)


def recipes(model: Model, options: argparse.Namespace) -> Iterator[Recipe]:
    """Every batch and length with and without checkpointing, in nf4 and in bfloat16, and with DeepSpeed."""
    device = this_machine().device
    base = Recipe(
        model=str(model.folder),
        data="rows.jsonl",
        template="qwen_chat",
        device=device,
        precision="bf16",
        rank=options.rank,
        iterations=options.iterations,
        log_every=1,
        pack=True,
    )
    kinds = [("nf4", "none"), ("nf4", "zero2"), ("none", "none")] if device == "cuda" else [("none", "none")]
    for setting, (quantization, deepspeed), checkpointing in product(
        options.settings.split(","), kinds, (True, False)
    ):
        batch, _, length = setting.partition("x")
        yield base.changed(
            batch_size=int(batch),
            max_length=int(length),
            quantization=quantization,
            deepspeed=deepspeed,
            activation_checkpointing=checkpointing,
        )


def measure(workspace: Workspace, model: Model, recipe: Recipe, number: int) -> None:
    """One training and its row of the table; what does not fit is a row too."""
    run = workspace.new_run(f"memory {number}", datetime.now())
    rows = workspace.data(run.id).rows
    write_rows(rows, [one_turn("Count.", " ".join(map(str, range(400))))] * enough_rows(recipe))
    expected = memory(recipe, model, read_shape(model), longest=recipe.max_length).allocated
    try:
        settled = prepare.prepare(run, recipe, model, rows)
        run_job("train", run.job("train"), train.plan(run, settled))
        found = peak(run)
    except TuneboardError as error:
        found = None
        print(f"<!-- {' '.join(str(error).split())[:300]} -->")
    print(row(recipe, found, expected), flush=True)


def enough_rows(recipe: Recipe) -> int:
    """Rows of at least 400 tokens for every iteration, packed."""
    return max(8, recipe.max_length * recipe.batch_size * (recipe.iterations or 1) // 400 + 8)


def peak(run: RunPaths) -> float | None:
    """torch's peak in bytes, as XTuner logged it; None on a processor."""
    reader = CurveReader(run.work_dir)
    reader.poll()
    found: Sequence[float] = reader.columns()["memory"].tolist()
    return max((value * MIB for value in found if value == value), default=None)


def row(recipe: Recipe, found: float | None, expected: int) -> str:
    setting = f"{recipe.batch_size}×{recipe.max_length}, {recipe.quantization}, DeepSpeed {recipe.deepspeed}"
    setting += ", checkpointing" if recipe.activation_checkpointing else ""
    if found is None:
        return f"| {setting} | – | {expected / 1e9:.1f} | |"
    return f"| {setting} | {found / 1e9:.1f} | {expected / 1e9:.1f} | {expected / found - 1:+.1%} |"


if __name__ == "__main__":
    main()
