"""A sweep on its pages: asked for on Config, shown on Compare and Start."""

from datetime import datetime
from pathlib import Path

import pytest

from core.jobs.job import JobSpec
from core.jobs.launch import launch, wait
from core.pipeline import chain
from core.proof.score import Score, Share
from core.steps import prepare
from core.sweep import job
from core.sweep.rank import noted, value_of
from core.sweep.study import Study
from core.sweep.sweep import begin, planned
from core.workspace.paths import RunPaths, SweepPaths, Workspace
from tests.holding import Held
from tests.page import no_errors, open_test_page
from tests.small_run import make_run


@pytest.fixture(autouse=True)
def _jobs_start_at_once(tmp_path: Path) -> None:
    """The first job of all waits until the command line is imported: on a busy machine longer than a page may
    take."""
    launch(tmp_path / "first", JobSpec(("/bin/true",), Path("/")))
    wait(tmp_path / "first", timeout=200)


@pytest.fixture
def base(page_workspace: Workspace) -> RunPaths:
    return make_run(page_workspace)


def swept(workspace: Workspace, base: RunPaths) -> tuple[SweepPaths, list[RunPaths]]:
    """A sweep of which two trainings are done, one was stopped early, one failed; its job has not begun."""
    sweep = planned(base, prepare.recipe_of(base), ("lr=1e-4,3e-4", "schedule=linear,cosine"))
    place, runs = begin(workspace, sweep), []
    study = Study(place, sweep)
    for kept in (60, 90):
        trial = study.next()
        assert trial
        runs.append(prepare.variant(workspace, base, datetime(2026, 1, 2, 3, kept // 10)))
        score = Score(Share(60, 60), Share(kept, 100), Share(1, 120))
        study.note(trial.number, run=runs[-1].id)
        study.finish(trial.number, value_of(score), **noted(score))
    stopped, failed = study.next(), study.next()
    assert stopped and failed
    study.note(stopped.number, stopped={"share": 0.35, "loss": 2.5, "median": 1.25, "others": 3})
    study.prune(stopped.number)
    study.fail(failed.number, "It does not fit.")
    return place, runs


def test_compare_marks_the_best_and_it_can_be_used(page_workspace: Workspace, base: RunPaths) -> None:
    _, runs = swept(page_workspace, base)
    page = open_test_page("compare", base.id)
    assert no_errors(page)
    (said,) = [one.value for one in page.success]
    assert "kept 90%" in said and "cosine" in said
    table = page.dataframe[0].value
    assert list(table["best"]) == ["★", "", "", ""]
    assert list(table["kept"])[:2] == ["90%", "60%"]
    assert "loss 2.500" in list(table["why"])[2] and list(table["why"])[3] == "It does not fit."
    page.button(key="sweep_use").click().run()
    assert no_errors(page)
    new = page_workspace.run(page.session_state["run"])
    assert new not in runs and prepare.recipe_of(new) == prepare.recipe_of(runs[1])


def test_compare_lets_it_go_on_and_start_shows_it(
    page_workspace: Workspace, base: RunPaths, held: Held
) -> None:
    """The training stands still, so that the sweep lives as long as it is looked at."""
    place, _ = swept(page_workspace, base)
    page = open_test_page("compare", base.id)
    page.button(key="sweep_go_on").click().run()
    assert no_errors(page) and job.view(place).live
    start = open_test_page("start", base.id)
    assert not start.exception
    assert any("sweep over Learning rate, Learning rate schedule" in one.value for one in start.markdown)
    held.until_reached()
    job.stop(place, "test")
    wait(place.job, timeout=200)
    assert [one.state for one in job.view(place).trials] == ["finished", "finished", "pruned", "running"]


def test_config_starts_one_and_says_what_is_wrong(
    page_workspace: Workspace, base: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_test_page("config", base.id)
    page.session_state[f"sweep {base.id}"] = True
    page.run()
    assert no_errors(page)
    page.text_input(key="sweep_values lr").set_value("5, x").run()
    (wrong,) = [one.value for one in page.error]
    assert "must be at most 1" in wrong and "x is not a number" in wrong
    assert page.button(key="sweep_start").disabled
    page.text_input(key="sweep_values lr").set_value("1e-4..1e-3").run()
    page.number_input(key="sweep_trials").set_value(2).run()
    assert any("2 trainings" in one.value for one in page.caption)
    page.button(key="sweep_start").click().run()
    (place,) = page_workspace.sweep_folders()
    job.stop(place, "test")
    wait(place.job, timeout=200)
    view = job.view(place)
    assert view.sweep.fields == ("lr", "rank") and (view.sweep.sampler, view.sweep.trials) == ("search", 2)
    for trial in view.trials:
        assert not trial.run or not chain.is_live(page_workspace.run(trial.run))
