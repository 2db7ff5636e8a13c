"""Real tokens a second of whole XTuner runs on this machine's GPU, lever by lever, and of Unsloth beside.

    scripts/bench gpu [--shape NAME] [--runs NAME,…] [--iterations N] [--peer PYTHON] [--layers N …]

A model of random weights (by default of InternLM-7B's shape: speed does not depend on what a model knows) is
written into a temporary workspace; every row is a training of its own process, as the train page starts it.
Rows are packed to their full length, so that each token counts. The fast path's speed is its own meter's at
the end (the mean of 20 iterations, logged every 10 as by default), of XTuner alone the median of the
logged iterations after the first ``SKIPPED``. ``--peer`` names an interpreter with Unsloth, whose pins are
not ours: the same model and settings in the loop that its users write.

MFU: (4 · frozen weights in products + 6 · LoRA's weights + 6 · layers · hidden · length) multiplications
and additions a token, times tokens per second, by ``--peak``. Forward and backward are counted once: what is
computed again is no work done.
"""

import argparse
import json
import math
import random
import re
import statistics
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.data.conversations import Conversation, one_turn, write_rows
from core.errors import TuneboardError
from core.jobs.curves import CurveReader
from core.jobs.job import JobPaths, JobSpec
from core.machine import this_machine
from core.models.folder import Model, read_shape
from core.recipe.memory import trainable
from core.recipe.recipe import Recipe
from core.steps import prepare, train
from core.steps.step import run_job
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.memory import MIB, add_shape_options, enough_rows, make_model

SKIPPED = 8
# An H100's (SXM) datasheet: bfloat16 products, without sparsity.
PEAK = 989e12
LEAST = {"quantization": "nf4", "activation_checkpointing": True}
FASTEST = {"quantization": "none"}
TUTORIAL = {
    "quantization": "nf4",
    "precision": "fp16",
    "activation_checkpointing": True,
    "optimizer": "paged_adamw_32bit",
    "accelerate": "off",
}
# Every run of the table by name: rows × tokens, and what differs from the base recipe.
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "tutorial": ("2x512", {**TUTORIAL, "deepspeed": "zero2"}),
    "tutorial_alone": ("2x512", TUTORIAL),
    "plain_8": ("8x512", {**LEAST, "accelerate": "off"}),
    "unsloth_8": ("8x512", {**LEAST, "accelerate": "unsloth"}),
    "unsloth_4": ("4x2048", {**LEAST, "accelerate": "unsloth"}),
    "small": ("2x512", {"quantization": "nf4"}),
    "least_8": ("8x512", LEAST),
    "least_4": ("4x2048", {**LEAST, "offload": True, "attention": "cudnn"}),
    "kept_8": ("8x512", {"quantization": "nf4"}),
    "kept_4": ("4x2048", {"quantization": "nf4"}),
    "fastest_8": ("8x512", FASTEST),
    "fastest_4": ("4x2048", {**FASTEST, "attention": "cudnn"}),
    # As auto chooses: flash attention.
    "least_4_flash": ("4x2048", {**LEAST, "offload": True}),
    "fastest_4_flash": ("4x2048", FASTEST),
    "plain_4": ("4x2048", {**LEAST, "accelerate": "off"}),
}
PEERS = (
    "8x512 nf4 on",
    "8x512 nf4 off",
    "4x2048 nf4 on",
    "4x2048 nf4 off",
    "8x512 none off",
    "4x2048 none off",
)


@dataclass(frozen=True)
class Measured:
    """``first`` is seconds from the start of the job to the end of its first iteration; memory in bytes."""

    tokens_per_second: float
    memory: float
    first: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_table_options(parser, RUNS)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has Unsloth")
    parser.add_argument("--peer-runs", default=",".join(PEERS), metavar="RUN,…")
    parser.add_argument("--same-row", action="store_true", help="one and the same sentence in every row")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace.of(options.folder or temporary)
        model = make_model(workspace, options)
        head("run", "rows × tokens", "tokens/s", "peak GB", "MFU", "to the first step")
        for name in filter(None, options.runs.split(",")):
            setting, values = RUNS[name]
            recipe = recipe_of(model, options, setting, values)
            found = xtuner(workspace, model, recipe, name, options.same_row)
            print(row(name, setting, found, recipe, model, options), flush=True)
        for setting, found in unsloth(workspace, model, options).items() if options.peer else ():
            recipe = recipe_of(model, options, setting.split()[0], {})
            print(row("Unsloth", setting, found, recipe, model, options))


def add_table_options(parser: argparse.ArgumentParser, runs: Iterable[str]) -> None:
    """Of a table whose rows are ``runs``; by default all of them."""
    add_shape_options(parser)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--runs", default=",".join(runs), metavar="NAME,…")
    parser.add_argument("--peak", type=float, default=PEAK, help="the card's products a second")
    parser.add_argument("--folder", metavar="DIR", help="where the model is made, kept for the next time")


def head(*columns: str) -> None:
    """Print what the numbers depend on, and the head of their table."""
    print(json.dumps(prepare.versions() | {"gpu": this_machine().gpus[0].name}))
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)


def recipe_of(model: Model, options: argparse.Namespace, setting: str, values: Mapping[str, Any]) -> Recipe:
    batch, _, length = setting.partition("x")
    base = Recipe(
        model=str(model.folder),
        data="rows.jsonl",
        template="qwen_chat",
        device="cuda",
        precision="bf16",
        rank=options.rank,
        iterations=options.iterations,
        batch_size=int(batch),
        max_length=int(length),
        log_every=10,
        # A checkpoint of 2 GB among the iterations that count would be half of their time.
        save_every=options.iterations,
        pack=True,
        compile="layers",
        padding_free=False,
    )
    return base.changed(**values)


def xtuner(
    workspace: Workspace, model: Model, recipe: Recipe, name: str, same: bool = False
) -> Measured | None:
    """One training; None for one that failed, whose last words are printed."""
    run = workspace.new_run(name, datetime.now())
    rows = workspace.data(run.id).rows
    write_rows(rows, texts(enough_rows(recipe), same))
    try:
        settled = prepare.prepare(run, recipe, model, rows)
        run_job("train", run.job("train"), train.plan(run, settled))
    except TuneboardError as error:
        print(f"<!-- {name}: {' '.join(str(error).split())[:400]} -->")
        return None
    reader = CurveReader(run.work_dir)
    reader.poll()
    columns = reader.columns()
    memory = max(columns["memory"].tolist()) * MIB
    if not math.isfinite(columns["loss"].tolist()[-1]):
        print(f"<!-- {name}: the loss is no number at the end -->")
    seconds = statistics.median(columns["time"].tolist()[SKIPPED // recipe.log_every + 1 :])
    speed = recipe.batch_size * recipe.max_length / seconds
    if settled.accelerate == "on":
        speed = columns["tokens_per_second"].tolist()[-1]
    return Measured(speed, memory, first(run, seconds))


def texts(rows: int, same: bool) -> list[Conversation]:
    """Conversations that differ; or one and the same: two runs on it ended in a loss that is no number."""
    if same:
        return [one_turn("Count.", " ".join(map(str, range(400))))] * rows
    numbers = random.Random(0)  # nosec B311  # an order, not a secret
    return [
        one_turn("Count.", " ".join(str(numbers.randrange(1000)) for _ in range(400))) for _ in range(rows)
    ]


def first(run: RunPaths, seconds: float) -> float | None:
    """From the start of the job to the end of its first iteration: to the first one that was logged, less
    ``seconds`` for each before it. What warms up is counted as the first one's."""
    job = JobPaths(run.job("train"))
    began = datetime.fromtimestamp(job.spec.stat().st_mtime)
    for line in job.log.read_text(encoding="utf-8", errors="replace").splitlines():
        if found := re.search(r"Iter\(train\) \[ *(\d+)/", line):
            at = datetime.strptime(f"{began.year}/{line[:14]}", "%Y/%m/%d %H:%M:%S")
            return (at - began).total_seconds() - (int(found[1]) - 1) * seconds
    return None


def unsloth(workspace: Workspace, model: Model, options: argparse.Namespace) -> dict[str, Measured]:
    """The same with Unsloth, all settings in one process of its own interpreter."""
    out = workspace.root / "peer.json"
    out.unlink(missing_ok=True)
    script = Path(__file__).with_name("unsloth_loop.py")
    arguments = (str(script), str(model.folder), str(out), options.peer_runs, str(options.rank))
    spec = JobSpec((options.peer, *arguments, str(options.iterations), str(SKIPPED)), cwd=workspace.root)
    try:
        run_job("train", workspace.root / "peer", spec)
    except TuneboardError as error:
        print(f"<!-- Unsloth: {' '.join(str(error).split())[:400]} -->")
    if not out.exists():
        return {}
    found = json.loads(out.read_text(encoding="utf-8"))
    print(f"<!-- Unsloth by {json.dumps(found['versions'])} -->")
    return {setting: Measured(**values) for setting, values in found["runs"].items()}


def row(
    name: str, setting: str, found: Measured | None, recipe: Recipe, model: Model, options: argparse.Namespace
) -> str:
    if found is None:
        return f"| {name} | {setting} | – | – | – | – |"
    used = found.tokens_per_second * operations(recipe, model) / options.peak
    begun = f"{found.first:.0f} s" if found.first is not None else ""
    speed = f"{found.tokens_per_second:,.0f} | {found.memory / 1e9:.1f} | {used:.0%}"
    return f"| {name} | {setting} | {speed} | {begun} |"


def operations(recipe: Recipe, model: Model) -> float:
    """Multiplications and additions a token, without what is computed twice."""
    shape = read_shape(model)
    frozen = sum(rows * columns for rows, columns in shape.linear.values()) + shape.vocabulary * shape.hidden
    attention = 6 * shape.layers * shape.hidden * recipe.max_length
    return 4 * frozen + 6 * trainable(recipe, model, shape) + attention


if __name__ == "__main__":
    main()
