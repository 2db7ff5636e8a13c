"""A training in several processes, or with DeepSpeed, keeps what it learned when it is stopped: tried on a
processor, where they speak by gloo."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import launch
from core.steps import prepare, train
from core.workspace.paths import Workspace
from tests.test_stop_keeps import at_step, await_progress, held, prepared, stopped

__all__ = ["held"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OF_TWO = {"devices": 2}
WITH_DEEPSPEED = {"deepspeed": "zero2", "precision": "fp32"}


@pytest.mark.parametrize("accumulated", [1, 4])
@pytest.mark.parametrize("kind", [OF_TWO, WITH_DEEPSPEED, {**OF_TWO, **WITH_DEEPSPEED}])
def test_what_was_learned_is_kept(
    workspace: Workspace,
    model: Path,
    held: Callable[[str], None],
    kind: Mapping[str, object],
    accumulated: int,
) -> None:
    """All of them stop at the same step: at once, or where gradients add up when their update is whole."""
    run = prepared(workspace, model, gradient_accumulation_steps=accumulated, **kind)
    held("step 3")
    launch(run.job("train"), train.plan(run, prepare.recipe_of(run)))
    await_progress(run, at_step(3))
    kept = 3 if accumulated == 1 else 4
    assert stopped(run) == kept
    log = JobPaths(run.job("train")).log.read_text(encoding="utf-8")
    assert f"its checkpoint is kept at {kept}" in log
    assert "Traceback" not in log
