"""An assistant of what a training has learned that ended early: one press, and it can train on later."""

from dataclasses import replace

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.status import State, state_of
from core.pipeline import chain, chain_stages
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN, Early, made_early
from core.steps import export
from core.steps.checkpoints import checkpoints
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.page import no_errors, open_test_page
from tests.small_run import NAME, make_run
from tests.test_merge_page import words

PATIENCE = 120.0
KEPT, TOTAL = 20, 40


def ended_early(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """A run whose chain broke off in its training, with a whole checkpoint at 20 of 40 iterations."""
    run = make_run(workspace)
    monkeypatch.setenv("FAKE_XTUNER_CRASH_AT", "25")
    launch(run.job(CHAIN), chain.plan(workspace, run, TuneRequest(NAME), "test", "en"))
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.failed
    monkeypatch.delenv("FAKE_XTUNER_CRASH_AT")
    return run


def at(run: RunPaths) -> int:
    return checkpoints(run.work_dir)[-1].iteration


def keys(run: RunPaths, step: str) -> set[str | None]:
    return {button.key for button in open_test_page(step, run.id).button}


def test_one_press_makes_it_of_what_is_kept_and_training_goes_on_later(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ended_early(page_workspace, monkeypatch)
    before = state_of(run.job("train"))
    for step, language in (("merge", "zh"), ("train", "en"), ("start", "zh")):
        page = open_test_page(step, run.id, language)
        assert "chain_as_it_is" in {button.key for button in page.button}, step
    assert "就用现在学到的做成助手" in words(open_test_page("merge", run.id, "zh")), (
        "the page says what to press"
    )
    assert "is kept. On Start," in words(open_test_page("merge", run.id)), "one sentence after the other"
    page.button(key="chain_as_it_is").click().run()
    assert no_errors(page)
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished
    assert at(run) == KEPT and state_of(run.job("train")) is before, "nothing more was trained"
    assert made_early(run) == Early(KEPT, TOTAL) and run.result.exists()
    page = open_test_page("start", run.id)
    assert f"stopped at iteration {KEPT} of {TOTAL}" in words(page)
    assert not {"chain_as_it_is"} & keys(run, "start") and not {"chain_as_it_is"} & keys(run, "merge")
    page.button(key="chain_go_on").click().run()
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished
    assert at(run) == TOTAL and made_early(run) is None, "it has trained on"
    assert not any(one.stale for one in export.artefacts(run))


def test_the_command_line_has_it_too(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ended_early(page_workspace, monkeypatch)
    root = page_workspace.root
    options = ("--as-it-is", "--workspace", root, "--json")
    for wrong, said in (
        (("--name", NAME), "--run is required"),
        (("--run", run.id, "--restart"), "used together"),
    ):
        refused = cli("tune", *options, *wrong, cwd=root, TUNEBOARD_ENGINE="tests.fake_engine")
        assert refused.returncode == 2 and said in " ".join(refused.stderr.split())
    last_json(cli("tune", "--run", run.id, *options, cwd=root, TUNEBOARD_ENGINE="tests.fake_engine"))
    assert at(run) == KEPT and made_early(run) == Early(KEPT, TOTAL)
    last_json(cli("tune", "--run", run.id, *options[1:], cwd=root, TUNEBOARD_ENGINE="tests.fake_engine"))
    assert at(run) == TOTAL and made_early(run) is None


def test_its_panel_counts_what_is_left_without_the_training(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ended_early(page_workspace, monkeypatch)
    asked = replace(chain.asked_before(run) or TuneRequest(NAME), as_it_is=True, auto_resume=2)
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "merge")
    launch(run.job(CHAIN), chain.plan(page_workspace, run, asked, "test", "en"))
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.failed
    stages = {stage.name: stage for stage in chain_stages.read_progress(page_workspace, run).stages}
    assert stages["train"].needless and not stages["convert"].needless
    assert f"iteration {KEPT}" in stages["train"].note
    monkeypatch.delenv("FAKE_ENGINE_FAIL")
    page = open_test_page("start", run.id)
    assert page.button(key="chain_as_it_is").proto.type == "primary", "it was asked for before"
    again = chain.asked_before(run)
    assert again is not None and again.as_it_is, "so that it goes on alike after a crash"
    launch(run.job(CHAIN), chain.plan(page_workspace, run, again, "test", "en"))
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished and at(run) == KEPT
    assert "of what it had learned" in JobPaths(run.job(CHAIN)).log.read_text(encoding="utf-8")


def test_it_is_offered_only_where_there_is_something_to_make(page_workspace: Workspace) -> None:
    run = make_run(page_workspace)
    assert chain.makeable(run) is None
    assert not {"chain_as_it_is"} & keys(run, "start") | {"chain_as_it_is"} & keys(run, "train")
