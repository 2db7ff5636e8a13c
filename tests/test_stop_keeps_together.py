"""A training in several processes, or with DeepSpeed, keeps what it learned when it is stopped: tried on a
processor, where they speak by gloo."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.engine.ranks import LEFT_BEHIND
from core.jobs.job import JobPaths
from core.jobs.launch import launch, stop, wait
from core.jobs.progress import Phase
from core.jobs.status import State
from core.steps import prepare, resuming, train
from core.workspace.paths import Workspace
from tests import held_engine
from tests.conftest import RecordFault
from tests.test_stop_keeps import WHOLE, at_step, await_progress, held, prepared, stopped

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


@pytest.mark.parametrize("kind", [OF_TWO, {**OF_TWO, **WITH_DEEPSPEED}])
def test_in_the_middle_of_its_last_save_it_has_finished(
    workspace: Workspace,
    model: Path,
    held: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: Mapping[str, object],
    record_fault: RecordFault,
) -> None:
    """However long that takes, and whoever of them has ended before."""
    run = prepared(workspace, model, **kind)
    monkeypatch.setenv("TUNEBOARD_ENGINE", held_engine.NAME)
    monkeypatch.setenv(held_engine.UNTIL_VARIABLE, str(written := tmp_path / "written"))
    held("save 1")
    launch(run.job("train"), train.plan(run, prepare.recipe_of(run)))
    await_progress(run, lambda now: now.phase is Phase.saving)
    stop(run.job("train"), by="test", grace=300)
    time.sleep(LEFT_BEHIND + 2)
    written.touch()
    assert wait(run.job("train"), timeout=300).state is State.finished
    assert resuming.stopped(run) is None and train.read(run).iteration == WHOLE
    record_fault(
        "stop pressed while several processes write their last checkpoint",
        *("", ""),
        "finished, however long it takes; who writes is waited for, though the others have ended",
    )
