"""A training that is asked who it is meanwhile, by the real XTuner: it ends when it has learned, its rate at
nothing, and goes on as any other."""

import math
from pathlib import Path
from typing import Any

import pytest

from core.jobs.curves import read_curve
from core.steps import prepare, train
from core.steps.checkpoints import checkpoints
from core.steps.step import run_job
from core.workspace.files import read_json
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import make_data
from tests.known_answers import know_answers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
ITERATIONS = 64


def prepared(workspace: Workspace, model: Path, **changes: Any) -> RunPaths:
    know_answers(workspace, model)
    made = make_data(workspace, model, "--name", "Zoë", "--iterations", str(ITERATIONS))
    run = workspace.run(made["run"])
    recipe = prepare.recipe_of(run).changed(
        precision="fp32", save_every=8, keep_checkpoints=20, log_every=1, stop_when_learned=True,
        schedule="constant", warmup_ratio=0.0, **changes,
    )  # fmt: skip
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    return run


def trained(run: RunPaths, resume: Path | None = None) -> list[Any]:
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run), resume))
    return list(read_curve(run.work_dir).points)


def test_it_is_asked_as_it_is_served_and_the_share_stands_beside_the_loss(
    workspace: Workspace, model: Path
) -> None:
    run = prepared(workspace, model, lr=1e-5)
    asked = read_json(run.learning) or {}
    assert asked["name"] == "Zoë" and len(asked["questions"]) == 14
    points = trained(run)
    assert [point.iter for point in points] == list(range(1, ITERATIONS + 1)), "nothing was learned"
    assert {point.learned for point in points[4:]} == {0.0} and points[0].learned is None


def test_it_ends_when_it_has_learned_and_goes_on_where_it_was(
    workspace: Workspace, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer holds the empty text's letters: all is learned at the second look, iteration 8."""
    run = prepared(workspace, model, lr=1e-5)
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.learned_engine")
    points = trained(run)
    assert [point.iter for point in points] == list(range(1, 11)), "a fifth of 8 iterations more"
    rates = [point.lr for point in points]
    assert rates[:8] == [pytest.approx(1e-5)] * 8 and rates[8] == pytest.approx(1e-5)
    assert rates[9] == pytest.approx(0.5e-5) and math.isfinite(points[-1].loss)
    assert [one.iteration for one in checkpoints(run.work_dir)] == [8, 10]
    last = train.read(run)
    last.checkpoint.unlink()
    again = trained(run, checkpoints(run.work_dir)[0].checkpoint)
    assert [point.iter for point in again] == list(range(1, 11))
    assert [point.lr for point in again] == pytest.approx(rates)
    assert [one.iteration for one in checkpoints(run.work_dir)] == [8, 10]
