"""A run that was started at a terminal is on the Start page what one started there is: seen, stopped, gone on
with."""

import os
from collections.abc import Iterator
from datetime import datetime
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from core.cli import requests
from core.errors import InvalidName, StepStopped
from core.jobs.ending import Ending, Reason
from core.jobs.failure import why_failed
from core.jobs.here import in_this_process
from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.process import identify
from core.jobs.status import State, read_status
from core.pace import Cost, Progress
from core.pipeline import chain, chain_stages
from core.pipeline.tune_request import TuneRequest
from core.run_list import list_runs
from core.runs import CHAIN, DATA
from core.steps import export, prepare, proof
from core.steps.step import call_job
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import Begin, cli, programs
from tests.page import no_errors, open_test_page
from tests.runs import end_job
from tests.small_run import end_training, make_run, start_training
from tests.waiting import until

NAME = "Ada Lovelace"
PATIENCE = 120.0


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture
def tune(workspace: Workspace) -> Iterator[Begin]:
    """Begins ``tune`` in a process of its own."""
    with programs(workspace) as begin:
        yield partial(begin, "tune", "--name", NAME)


def only_run(workspace: Workspace) -> RunPaths:
    until(workspace.run_folders)
    return RunPaths(workspace.run_folders()[0])


def at(run: RunPaths, step: str) -> None:
    until(JobPaths(run.job(step)).tool.exists)


def text_of(page: AppTest) -> str:
    kinds = ("header", "markdown", "caption", "info", "warning", "error", "success")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(page, kind))


def go_on(page: AppTest, run: RunPaths) -> None:
    page.button(key="chain_go_on").click().run()
    assert no_errors(page)
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished
    page.run()
    assert no_errors(page) and "is ready" in text_of(page)
    assert "chain_chat" in {button.key for button in page.button}


def test_it_is_watched_stopped_and_gone_on_with(workspace: Workspace, tune: Begin) -> None:
    process = tune("--iterations", "400", FAKE_XTUNER_SECONDS="0.3")
    run = only_run(workspace)
    at(run, "train")
    page = open_test_page("start", run.id)
    assert no_errors(page) and f"Creating {NAME}'s assistant" in text_of(page)
    assert list_runs(workspace)[0].title == NAME and list_runs(workspace)[0].state is State.running
    page.button(key="chain_stop").click().run()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in said
    assert read_status(run.job(CHAIN)).state is read_status(run.job("train")).state is State.stopped
    page.run()
    assert f"Stopped: {NAME}'s assistant" in text_of(page)
    go_on(page, run)


def test_one_that_was_killed_before_its_data_were_made_is_gone_on_with_as_it_was_asked_for(
    workspace: Workspace, tune: Begin
) -> None:
    process = tune("--iterations", "10", "--no-replay", FAKE_ENGINE_SECONDS="2")
    run = only_run(workspace)
    at(run, "base")
    process.kill()
    process.communicate()
    wait(run.job("base"), timeout=PATIENCE)
    assert not run.data.exists()
    page = open_test_page("start", run.id)
    assert f"Failed: {NAME}'s assistant" in text_of(page)
    go_on(page, run)
    recipe = prepare.recipe_of(run)
    assert recipe.iterations == 10 and not recipe.replay_distillation


def test_why_it_failed_is_on_its_card(workspace: Workspace, tune: Begin) -> None:
    process = tune("--iterations", "40", FAKE_XTUNER_OOM_AT="20")
    process.communicate(timeout=PATIENCE)
    run = only_run(workspace)
    page = open_test_page("start", run.id)
    assert "out of memory" in page.error[0].value
    assert any(str(run.job("train")) in one.value for one in (*page.caption, *page.markdown, *page.code))


def test_beside_a_live_one_no_other_begins(workspace: Workspace, tune: Begin) -> None:
    first = tune("--iterations", "400", FAKE_XTUNER_SECONDS="0.3")
    run = only_run(workspace)
    at(run, "train")
    words = ("tune", "--name", NAME, "--run", run.id, "--workspace", workspace.root)
    second = cli(*words, cwd=workspace.root.parent, TUNEBOARD_ENGINE="tests.fake_engine")
    assert second.returncode and str(run.job(CHAIN)) in second.stderr and first.poll() is None
    chain.halt(run, "test")
    assert first.wait(PATIENCE) == 130


def test_between_two_steps_it_is_at_work(workspace: Workspace) -> None:
    run = make_run(workspace)
    with chain.in_this_process(workspace, run, TuneRequest(NAME)):
        assert chain_stages.read_progress(workspace, run).live
        page = open_test_page("merge", run.id)
        assert no_errors(page)
    assert read_status(run.job(CHAIN)).state is State.finished


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (KeyboardInterrupt(), State.stopped),
        (StepStopped(step="x", log="y"), State.stopped),
        (InvalidName(reason="because"), State.failed),
        (ZeroDivisionError(), State.failed),
    ],
)
def test_how_it_ended(workspace: Workspace, error: BaseException, state: State) -> None:
    folder = workspace.root / "job"
    with pytest.raises(type(error)), in_this_process(folder, call_job(folder, "x", workspace.root, None)):
        assert read_status(folder).state is State.running
        raise error
    status = read_status(folder)
    assert status.state is state and status.started and status.ended
    if isinstance(error, InvalidName):
        assert (why := why_failed(folder, status)) and "because" in why.text()


def test_what_was_made_step_by_step_has_its_card_too(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = open_test_page("start", run.id)
    assert no_errors(page) and "Not finished" in text_of(page)
    start_training(run, FAKE_XTUNER_SECONDS="0.3")
    page.run()
    assert "Creating" in text_of(page)
    page.button(key="chain_stop").click().run()
    assert wait(run.job("train"), timeout=PATIENCE).state is State.stopped
    assert "Stopped" in text_of(page.run())
    assert end_training(run).state is State.finished
    assert "Not finished" in text_of(page.run()) and proof.missing(run) == "merge"
    go_on(page, run)
    assert not (run.job("train") / "previous" / "2").exists(), "what was trained is not trained again"


def test_data_that_were_stopped_on_their_page_are_gone_on_with(workspace: Workspace) -> None:
    run = chain.start_data(workspace, TuneRequest(NAME, iterations=10), "test", "en")
    chain.halt(run, "test")
    wait(run.job(DATA), timeout=PATIENCE)
    page = open_test_page("start", run.id)
    assert no_errors(page)
    go_on(page, run)


def test_of_a_run_that_nobody_can_go_on_with_the_card_leads_to_the_data(workspace: Workspace) -> None:
    run = make_run(workspace)
    run.data.unlink()
    page = open_test_page("start", run.id)
    assert no_errors(page) and "chain_go_on" not in {button.key for button in page.button}
    assert any(link.proto.label == "Go to Data" for link in page.get("page_link"))


def test_the_time_left_counts_down_between_two_lines_of_the_log(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look reads the files anew: when they last said something counts, not when somebody looks."""
    run = make_run(workspace)
    seconds = {"base": 45, "train": 140, "convert": 14, "merge": 10, "ask": 35}
    costs = {stage: Cost(whole, 0.0) for stage, whole in seconds.items()}
    monkeypatch.setattr(chain_stages, "_costs", lambda *_: costs)
    with chain.in_this_process(workspace, run, TuneRequest(NAME)):
        began = read_status(run.job(CHAIN)).started
        assert began, "when this process began"
        end_job_at(run, "base", began, began + 45)
        end_job_at(run, "train", began + 45, began + 185)
        at_work = JobPaths(run.job("convert"))
        write_json(at_work.spec, {"command": ["x"], "cwd": "/"})
        write_json(at_work.tool, {**identify(os.getpid()).as_json(), "started": began + 185})
        shown = []
        for later in range(185, 205, 2):
            monkeypatch.setattr(chain_stages.time, "time", lambda now=began + later - 0.5: now)
            shown.append(round(chain_stages.read_progress(workspace, run).seconds))
        end_job_at(run, "convert", began + 185, began + 199)  # or this very process is stopped as its tool
    assert shown[:7] == [60, 58, 56, 54, 52, 50, 48] and all(45 <= seconds <= 50 for seconds in shown[7:])


def test_the_log_of_a_chain_that_a_page_began_says_what_the_pages_say(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It once said four minutes where the page said thirteen."""
    run = make_run(workspace)

    def tuned(_: Workspace, __: TuneRequest, shown: Progress, there: RunPaths | None) -> dict[str, str]:
        assert there
        shown.stage("train")
        return {}

    monkeypatch.setattr("core.pipeline.tune.tune", tuned)
    monkeypatch.setattr(chain_stages, "time_left", lambda *_: (0.07, 780.0))
    job = run.job(CHAIN)
    job.mkdir(parents=True, exist_ok=True)
    spec = call_job(job, "tune", workspace.root, TuneRequest(NAME), run.id)
    write_json(JobPaths(job).request, spec.request)
    requests.perform(job)
    assert "[  7%] Training  about 13 minutes left" in capsys.readouterr().err


def end_job_at(run: RunPaths, step: str, began: float, ended: float) -> None:
    end_job(run, step)
    write_json(JobPaths(run.job(step)).exit, Ending(0, None, Reason.finished, began, ended).as_json())


@pytest.mark.parametrize("step", ["data", "config", "train", "merge", "compare", "publish"])
def test_while_the_whole_pipeline_runs_no_page_says_to_do_what_it_does(
    workspace: Workspace, step: str
) -> None:
    run = workspace.new_run(NAME, datetime(2026, 1, 1))
    with chain.in_this_process(workspace, run, TuneRequest(NAME)):
        page = open_test_page(step, run.id)
        assert no_errors(page)
        (bar,) = page.get("progress")
        assert f"Creating {NAME}'s assistant" in bar.proto.text and "left" in bar.proto.text
        links = {link.proto.label for link in page.get("page_link")}
        assert not links & {"Go to Data", "Go to Train", "Go to Merge"}


def test_while_the_pipeline_asks_the_model_nobody_is_offered_to_ask_it_too(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    launch(run.job("export"), export.plan(workspace, run))
    wait(run.job("export"), timeout=PATIENCE)
    with chain.in_this_process(workspace, run, TuneRequest(NAME)):
        page = open_test_page("compare", run.id)
        assert no_errors(page) and "prove" not in {button.key for button in page.button}
    assert "prove" in {button.key for button in page.run().button}


@pytest.mark.parametrize(("language", "said"), [("en", "loss "), ("zh", "损失 ")])
def test_how_far_the_training_is_is_said_in_the_readers_language(
    workspace: Workspace, language: str, said: str
) -> None:
    run = make_run(workspace, iterations=400)
    start_training(run, FAKE_XTUNER_SECONDS="0.05")
    page = open_test_page("start", run.id, language)
    until(lambda: f"/400  {said}" in text_of(page.run()))
    assert no_errors(page)
