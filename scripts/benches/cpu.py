"""Steps a second of the starter on this machine's processor, lever by lever, beside XTuner alone.

    scripts/bench cpu [--rounds N] [--iterations N]

Every way trains the same rows (the identity conversations, in one order) in a process of its own, the ways
one after the other and that several times: what they have in common drifts with the machine. A step's time is
the median of the logged ones after the second; the start is from the job's beginning to the end of step one.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.cli.terminal import progress
from core.data.conversations import read_rows
from core.data.encoder import TokenRow
from core.data.mix import Shares
from core.data.own_encoder import encoder_of
from core.data.teacher import LIKELIEST, TeacherRow, by_key, said_at, write_teacher
from core.jobs.curves import CurveReader
from core.jobs.job import JobSpec
from core.machine import this_machine
from core.models.folder import Model
from core.pipeline.tune_request import ready_model
from core.recipe.own_template import template_of
from core.recipe.recipe import Recipe
from core.steps import data, first_recipe, prepare, train
from core.steps.step import run_job
from core.steps.taught import to_teach
from core.workspace.paths import PROJECT, RunPaths, Workspace
from scripts.benches.gpu import first

NAME = "Ada Lovelace"
# What XTuner 0.2.0 needs on any machine without a GPU (torch 2.13 lost the function), and wherever its
# packages for images are not installed; and of transformers 5 a name that is gone, and one as it was in 4.
ALONE = (
    "import runpy, sys, torch; torch.cpu.is_bf16_supported = lambda: False; "
    "import transformers; transformers.utils.is_safetensors_available = lambda: True; "
    "transformers.Qwen2Tokenizer.__name__ = 'Qwen2TokenizerFast'; "
    f"runpy.run_path({str(PROJECT / 'core/engine/image_packages.py')!r})['stand_in'](); "
    "runpy.run_module('xtuner.tools.train', run_name='__main__', alter_sys=True)"
)
EVERYWHERE = {"target_modules": (), "layers_to_transform": ()}


@dataclass(frozen=True)
class Way:
    """What of the recipe, and of the process, differs from what is done by default; ``told``: what the base
    says in the rows lies beside them, as it does where it was asked for them."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False
    told: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Seconds."""

    step: float
    start: float


def ways(bf16: bool) -> list[Way]:
    """``bf16``: whether a training chooses it here by itself. Without hardware for it it is slower by far."""
    found = [
        Way("XTuner alone, float32", {"precision": "fp32", **EVERYWHERE}, alone=True),
        Way("logits of the answers only", {"precision": "fp32", **EVERYWHERE}),
        Way("and LoRA on the MLPs of the upper five sixths: the default in float32", {"precision": "fp32"}),
        Way("the same with one thread", {"precision": "fp32"}, env={"OMP_NUM_THREADS": "1"}),
        Way("the default in bfloat16", {"precision": "bf16"}),
    ]
    replay = {"precision": "bf16" if bf16 else "fp32", "replay_distillation": True}
    return [
        *found,
        Way("the default, and replay kept to the base by a second pass", replay),
        Way("the same by what the base said before", replay, told=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=16)
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    machine = this_machine()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        workspace.prepare()
        model = ready_model(workspace, None, progress("tune"))
        found: dict[str, list[Measured]] = {}
        for _ in range(options.rounds):
            for way in ways(machine.bf16):
                found.setdefault(way.name, []).append(measure(workspace, model, way, options.iterations))
    print(f"{prepare.versions()}, {machine.cores} cores, faster in bfloat16: {machine.bf16}\n")
    print_table(found)


def measure(workspace: Workspace, model: Model, way: Way, iterations: int) -> Measured:
    said = to_teach(NAME, None)
    recipe = first_recipe.recipe_for(model, said, replay=False, seed=0, iterations=iterations)
    recipe = recipe.changed(log_every=1, save_every=100_000, **way.values)
    run = workspace.new_run("cpu", datetime.now())
    place = workspace.data(run.id)
    data.write(run, place, said, [], recipe, model, Shares(recipe.batch_size * iterations, 0))
    if way.told:
        encoder = encoder_of(model.tokenizer_file, template_of(recipe.template, model.folder))
        rows = (one for row in read_rows(place.rows) for one in encoder.rows(row))
        write_teacher(place.teacher, by_key(map(invented, rows)))
    prepare.prepare(run, recipe, model, place.rows)
    run_job("train", run.job("train"), job(run, recipe, way))
    reader = CurveReader(run.work_dir)
    reader.poll()
    step = statistics.median(reader.columns()["time"].tolist()[2:])
    return Measured(step, first(run, step) or float("nan"))


def invented(row: TokenRow) -> TeacherRow:
    """What no base said: how long a step takes does not depend on it."""
    places = said_at(row.trained)
    likeliest = np.tile(np.arange(LIKELIEST), (places, 1))
    logs = np.full((places, LIKELIEST + 1), -np.log(LIKELIEST + 1), np.float16)
    return TeacherRow(np.array(row.ids), np.array(row.trained), likeliest, logs)


def job(run: RunPaths, recipe: Recipe, way: Way) -> JobSpec:
    """XTuner alone has the environment of a person's shell: neither our patches nor our settings."""
    plan = train.plan(run, recipe)
    if not way.alone:
        return JobSpec(plan.command, plan.cwd, {**plan.env, **way.env})
    env = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": plan.env["HF_DATASETS_CACHE"]}
    arguments = (str(run.config), "--work-dir", str(run.work_dir))
    return JobSpec((sys.executable, "-P", "-c", ALONE, *arguments), Path.cwd(), env)


def print_table(found: Mapping[str, list[Measured]]) -> None:
    print("| way | steps a second | beside XTuner alone | until the first step |\n| --- | --- | --- | --- |")
    alone = next(iter(found.values()))
    for name, rounds in found.items():
        speed = statistics.mean(1 / one.step for one in rounds)
        ratio = statistics.mean(base.step / one.step for base, one in zip(alone, rounds, strict=True))
        start = statistics.mean(one.start for one in rounds)
        print(f"| {name} | {speed:.2f} | {ratio:.2f} | {start:.0f} s |")


if __name__ == "__main__":
    main()
