"""What the stages of earlier chains took tells how long the next one will."""

from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.status import State
from core.pipeline import chain
from core.pipeline.took import usual, usual_of
from core.pipeline.tune import TuneRequest
from core.runs import CHAIN
from core.steps.train import recipe_of
from core.workspace.files import read_record, write_json
from core.workspace.paths import RunPaths, Workspace

STAGES = {"base": 20.0, "train": 100.0, "convert": 3.0, "merge": 4.0, "ask": 30.0}


def took(run: RunPaths, **seconds: float) -> None:
    """Rewrite how long each stage of a run took."""
    for stage, length in seconds.items():
        paths = JobPaths(run.job(stage))
        ending = read_record(paths.exit) or {}
        write_json(paths.exit, {**ending, "started": 1000.0, "ended": 1000.0 + length})


@pytest.fixture
def run(page_workspace: Workspace) -> RunPaths:
    made = chain.start(page_workspace, TuneRequest("Ada", iterations=8), "test", "en")
    assert wait(made.job(CHAIN), timeout=60).state is State.finished
    took(made, **STAGES)
    return made


def test_a_new_workspace_knows_nothing(tmp_path: Path) -> None:
    assert usual(Workspace(tmp_path), tmp_path / "model") == {}


def test_the_stages_of_a_whole_chain_are_known_of_its_model_only(
    page_workspace: Workspace, run: RunPaths
) -> None:
    model = Path(recipe_of(run).model)
    assert usual(page_workspace, model) == STAGES
    assert usual(page_workspace, model / "other") == {}


def test_a_longer_training_takes_longer_and_another_method_is_another_thing(
    page_workspace: Workspace, run: RunPaths
) -> None:
    recipe = recipe_of(run)
    model = Path(recipe.model)
    longer = usual(page_workspace, model, recipe.changed(iterations=24))
    assert longer == {**STAGES, "train": 300.0}
    assert usual(page_workspace, model, recipe.changed(method="full")) == {}
    assert usual_of(page_workspace, run, model) == STAGES


def test_a_chain_that_did_not_end_is_no_measure(page_workspace: Workspace, run: RunPaths) -> None:
    paths = JobPaths(run.job(CHAIN))
    write_json(paths.exit, {**(read_record(paths.exit) or {}), "reason": "failed"})
    assert usual(page_workspace, Path(recipe_of(run).model)) == {}


def test_the_page_says_the_time_left_of_a_second_run_at_once(
    page_workspace: Workspace, run: RunPaths
) -> None:
    second = chain.start(page_workspace, TuneRequest("Bob", iterations=8), "test", "en")
    try:
        left = chain.read_progress(page_workspace, second).left
        assert left != "?"
        minutes, seconds = map(int, left.split(":"))
        assert minutes * 60 + seconds <= sum(STAGES.values())
    finally:
        chain.halt(second, "test")
