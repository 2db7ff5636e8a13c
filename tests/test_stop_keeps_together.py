"""A training in several processes, or with DeepSpeed, keeps what it learned when it is stopped: tried on a
processor, where they speak by gloo."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch
from core.steps import train
from core.workspace.paths import RunPaths, Workspace
from tests import held_engine
from tests.record_deepspeed import STAGE_2
from tests.test_stop_keeps import at_step, await_progress, held, prepared, stopped

__all__ = ["held"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOGETHER = (
    *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"),
    *("-m", held_engine.NAME),
)


def of_two(run: RunPaths, resume: Path | None = None) -> JobSpec:
    """The run's training in two processes."""
    spec = train.plan(run, train.recipe_of(run), resume)
    options = ("--launcher", "pytorch", "--cfg-options", "env_cfg.dist_cfg.backend=gloo")
    return replace(spec, command=(*TOGETHER, *spec.command[3:], *options))


def with_deepspeed(run: RunPaths, resume: Path | None = None) -> JobSpec:
    """The run's training by DeepSpeed's ZeRO-2 in float32."""
    recipe = train.recipe_of(run)
    spec = train.plan(run, recipe.changed(deepspeed="zero2"), resume)
    settings = run.root / "zero2.json"
    settings.write_text(json.dumps(STAGE_2), encoding="utf-8")
    command = [str(settings) if part == "deepspeed_zero2" else part for part in spec.command]
    command[:3] = [sys.executable, "-m", held_engine.NAME]
    return replace(spec, command=tuple(command), env={**spec.env, "DS_ACCELERATOR": "cpu"})


@pytest.mark.parametrize("accumulated", [1, 4])
@pytest.mark.parametrize("kind", [of_two, with_deepspeed])
def test_what_was_learned_is_kept(
    workspace: Workspace,
    model: Path,
    held: Callable[[str], None],
    kind: Callable[..., JobSpec],
    accumulated: int,
) -> None:
    """All of them stop at the same step: at once, or where gradients add up when their update is whole."""
    run = prepared(workspace, model, gradient_accumulation_steps=accumulated)
    held("step 3")
    launch(run.job("train"), kind(run))
    await_progress(run, at_step(3))
    kept = 3 if accumulated == 1 else 4
    assert stopped(run) == kept
    log = JobPaths(run.job("train")).log.read_text(encoding="utf-8")
    assert f"its checkpoint is kept at {kept}" in log
    # torchrun itself ends so when it is asked to; what it runs does not.
    assert log.count("Traceback") == log.count("SignalException: Process") <= 1
