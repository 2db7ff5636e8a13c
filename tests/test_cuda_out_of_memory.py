"""A GPU whose memory is full in the middle of a training: what is said, what is kept, and how it goes on.

Needs a GPU; without one the libraries' own words stand for it (tests/test_failures_recorded.py).
"""

from pathlib import Path

import pytest

from core.jobs.failure import why_failed
from core.jobs.launch import launch, wait
from core.jobs.status import State
from core.machine import this_machine
from core.steps import prepare, train
from core.steps.step import run_job
from core.workspace.paths import Workspace
from tests import held_engine
from tests.command_line import make_data
from tests.known_answers import know_answers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not this_machine().gpus, reason="needs a GPU"),
]


@pytest.mark.parametrize("accelerate", ["off", "on"])
def test_the_gpu_s_memory_is_full(
    workspace: Workspace, model: Path, monkeypatch: pytest.MonkeyPatch, accelerate: str
) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", held_engine.NAME)
    know_answers(workspace, model)
    run = workspace.run(make_data(workspace, model, "--name", "Zoë", "--iterations", "8")["run"])
    recipe = prepare.recipe_of(run).changed(save_every=3, log_every=1, accelerate=accelerate)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    monkeypatch.setenv(held_engine.AT_VARIABLE, "memory 5")
    launch(run.job("train"), train.plan(run, prepare.recipe_of(run)))
    status = wait(run.job("train"), timeout=500)
    why = why_failed(run.job("train"), status)
    assert status.state is State.failed and why and why.cause == "cuda_out_of_memory", why
    assert "out of memory" in why.line
    kept = train.read(run)
    assert kept.iteration == 3
    monkeypatch.delenv(held_engine.AT_VARIABLE)
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run), kept.checkpoint))
    assert train.read(run).iteration == 8
