"""One training on several devices of this machine: tokens a second beside one device, memory on each, going
on with more or fewer of them, and a process that is killed.

    scripts/bench gpus [--devices N] [--runs NAME,…] [--setting 8x512] [--iterations N] [--shape NAME] …

A model of random weights (by default of InternLM-7B's shape; ``--layers`` and the like make it smaller) is
written into a temporary workspace; every row is a training of its own processes, as the train page starts it.
Each device has the same batch, so that the efficiency is tokens a second over N times those of one device
with the same settings in the same session. Rows are packed, so that each token counts. Of the fast path the
speed is its own meter's at the end, of XTuner alone the median of the logged iterations after the first
``SKIPPED``. Memory is torch's peak on the first device.

Without a GPU the devices are processes, which divide the cores: nothing is faster there, but all of it runs.

    scripts/bench gpus --layers 2 --hidden 128 --inner 256 --vocabulary 1024 --setting 2x64 --iterations 12
"""

import argparse
import json
import math
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import psutil

from core.data.conversations import write_rows
from core.errors import TuneboardError
from core.jobs.curves import CurveReader, read_curve
from core.jobs.failure import why_failed
from core.jobs.job import JobPaths
from core.jobs.launch import launch, stop, wait
from core.jobs.process import read_identity
from core.jobs.progress import job_progress
from core.jobs.status import is_live
from core.machine import this_machine
from core.models.folder import Model
from core.recipe.recipe import Recipe
from core.steps import train
from core.steps.step import run_job
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.gpu import texts
from scripts.benches.memory import MIB, add_shape_options, enough_rows, make_model

SKIPPED = 8
BF16: Mapping[str, Any] = {"quantization": "none"}
QLORA: Mapping[str, Any] = {"quantization": "nf4", "activation_checkpointing": True}
PLAIN: Mapping[str, Any] = {"accelerate": "off"}
FULL: Mapping[str, Any] = {
    "method": "full",
    "activation_checkpointing": True,
    "lr": 1e-5,
    "target_modules": (),
    "accelerate": "off",
}
# By name; those on one device as well, but for what does not fit it.
RUNS: Mapping[str, Mapping[str, Any]] = {
    "bf16_fast": BF16,
    "bf16_plain": {**BF16, **PLAIN},
    "bf16_zero2": {**BF16, "deepspeed": "zero2"},
    "bf16_zero3": {**BF16, "deepspeed": "zero3"},
    "qlora_fast": QLORA,
    "qlora_plain": {**QLORA, **PLAIN},
    "qlora_zero2": {**QLORA, "deepspeed": "zero2"},
    "full_zero3": {**FULL, "deepspeed": "zero3"},
}
TOGETHER_ONLY = {"full_zero3"}
ON_A_PROCESSOR = ("bf16_plain", "bf16_zero2")
EVENTS = ("resume", "killed")
COLUMNS = ("run", "devices", "tokens/s", "efficiency", "peak GB a device")
# Of a run whose losses are compared, and after how many updates it is stopped the first time and the second.
UPDATES, STOPS = 24, (8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_shape_options(parser)
    gpus = this_machine().gpus
    runs = (*(RUNS if gpus else ON_A_PROCESSOR), *EVENTS)
    parser.add_argument("--devices", type=int, default=max(2, len(gpus)), metavar="N")
    parser.add_argument("--runs", default=",".join(runs), metavar="NAME,…")
    parser.add_argument("--setting", default="8x512", metavar="BATCHxLENGTH")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--folder", metavar="DIR", help="where the model is made, kept for the next time")
    options = parser.parse_args()
    device = f"{options.devices} × {gpus[0].name}" if gpus else f"{options.devices} processes"
    print(json.dumps(train.versions() | {"devices": device}))
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace.of(options.folder or temporary)
        model = make_model(workspace, options)
        asked = list(filter(None, options.runs.split(",")))
        speeds = [name for name in asked if name in RUNS]
        if speeds:
            print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
        for name in speeds:
            for line in scaled(workspace, model, options, name):
                print(line, flush=True)
        if "resume" in asked:
            print(resumed(workspace, model, options), flush=True)
        if "killed" in asked:
            print(killed(workspace, model, options), flush=True)


def recipe_of(model: Model, options: argparse.Namespace, devices: int, values: Mapping[str, Any]) -> Recipe:
    batch, _, length = options.setting.partition("x")
    cuda = bool(this_machine().gpus)
    base = Recipe(
        model=str(model.folder),
        data="rows.jsonl",
        template="qwen_chat",
        device="cuda" if cuda else "cpu",
        precision="bf16" if cuda else "fp32",
        rank=options.rank,
        iterations=options.iterations,
        batch_size=int(batch),
        max_length=int(length),
        log_every=10 if cuda else 1,
        save_every=options.iterations,
        pack=True,
        compile="layers" if cuda else "none",
        padding_free=False,
        devices=devices,
    )
    return base.changed(**values)


def prepared(workspace: Workspace, model: Model, recipe: Recipe, name: str) -> RunPaths:
    run = workspace.new_run(name, datetime.now())
    rows = workspace.data(run.id).rows
    write_rows(rows, texts(recipe.ranks * enough_rows(recipe), same=False))
    train.prepare(run, recipe, model, rows)
    return run


def scaled(workspace: Workspace, model: Model, options: argparse.Namespace, name: str) -> Iterator[str]:
    """A row for one device and one for all."""
    alone: float | None = None
    for devices in [options.devices] if name in TOGETHER_ONLY else [1, options.devices]:
        recipe = recipe_of(model, options, devices, RUNS[name])
        try:
            run = prepared(workspace, model, recipe, f"{name} {devices}")
            run_job("train", run.job("train"), train.plan(run, train.recipe_of(run)))
        except TuneboardError as error:
            yield f"<!-- {name}: {' '.join(str(error).split())[:400]} -->\n| {name} | {devices} | – | – | – |"
            continue
        speed, memory = measured(run)
        alone = speed if devices == 1 else alone
        share = f"{speed / (devices * alone):.1%}" if alone and devices > 1 else ""
        peak = f"{memory / 1e9:.1f}" if memory else ""
        yield f"| {name} | {devices} | {speed:,.0f} | {share} | {peak} |"


def measured(run: RunPaths) -> tuple[float, float | None]:
    """Tokens a second on all devices, and torch's peak in bytes, where there is one."""
    recipe = train.recipe_of(run)
    reader = CurveReader(run.work_dir)
    reader.poll()
    columns = {name: values.tolist() for name, values in reader.columns().items()}
    peaks = [value * MIB for value in columns.get("memory", []) if not math.isnan(value)]
    own = [value for value in columns.get("tokens_per_second", []) if not math.isnan(value)]
    seconds = statistics.median(columns["time"][SKIPPED // recipe.log_every + 1 :] or columns["time"])
    speed = own[-1] if own else recipe.rows_at_once * recipe.max_length / seconds
    return speed, max(peaks, default=None)


def resumed(workspace: Workspace, model: Model, options: argparse.Namespace) -> str:
    """All devices, then one, then all again: the losses beside those of one training that was not stopped."""
    values = {**BF16, "log_every": 1, "iterations": UPDATES, "save_every": UPDATES}
    recipe = recipe_of(model, options, options.devices, values)
    whole = prepared(workspace, model, recipe, "whole")
    run_job("train", whole.job("train"), train.plan(whole, train.recipe_of(whole)))
    run = prepared(workspace, model, recipe, "resumed")
    for devices, until in zip((options.devices, 1, options.devices), (*STOPS, None), strict=True):
        train.put_on(run, devices)
        now, last = train.in_line(run), train.going_on(run)
        launch(run.job("train"), train.plan(run, now, last.checkpoint if last else None))
        if until is not None:
            await_iteration(run, until * now.gradient_accumulation_steps)
            stop(run.job("train"), by="bench")
        wait(run.job("train"))
    losses = [[point.loss for point in read_curve(one.work_dir).points] for one in (whole, run)]
    ends = [found[-1] if found else None for found in losses]
    kept = train.resumable(run)
    done = f"{kept.iteration if kept else 0} of {UPDATES} updates"
    beside = f"last loss {ends[1]} beside {ends[0]} of a training that was not stopped"
    return f"\n{options.devices} → 1 → {options.devices} devices: {done}, {beside}."


def killed(workspace: Workspace, model: Model, options: argparse.Namespace) -> str:
    """SIGKILL of the last process within a step."""
    recipe = recipe_of(model, options, options.devices, {**BF16, "iterations": 1000, "save_every": 1000})
    run = prepared(workspace, model, recipe.changed(pack=False), "killed")
    launch(run.job("train"), train.plan(run, train.recipe_of(run)))
    await_iteration(run, 3)
    tool = read_identity(JobPaths(run.job("train")).tool)
    below = psutil.Process(tool.pid).children(recursive=True) if tool else []
    last = str(options.devices - 1)
    victim = next(one for one in below if one.environ().get("RANK") == last and "train" in one.cmdline())
    began = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    status = wait(run.job("train"))
    why = why_failed(run.job("train"), status)
    said = why.text("en") if why else status.state
    return f"\nRank {last} killed: the job had ended after {time.monotonic() - began:.1f} s. {said}"


def await_iteration(run: RunPaths, iteration: int) -> None:
    """Until so many are done, or the job has ended."""
    while is_live(run.job("train")):
        now = job_progress(run.job("train"))
        if now and now.phase == "training" and (now.done or 0) >= iteration:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
