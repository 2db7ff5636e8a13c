"""What pages say of a run depends on what there is of it: a model or none; what is at work, or only waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.ending import Ending, Reason
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.status import State, read_status, state_of
from core.jobs.turn import position
from core.pipeline import chain, chain_stages, queued
from core.pipeline.tune_request import TuneRequest
from core.queue.devices import Devices
from core.runs import CHAIN, making
from core.steps import proof
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests import small_run
from tests.holding import Held
from tests.page import no_errors, open_test_page
from tests.runs import end_job, make_run
from tests.small_model import make_small_model
from tests.small_run import stop_jobs
from tests.test_merge_page import make_artefacts, words
from tests.waiting import until

PATIENCE = 60.0


@pytest.fixture
def busy(page_workspace: Workspace) -> Iterator[Path]:
    """Somebody else's job that has the processor."""
    folder = page_workspace.runs / "20260101-000000-other" / "train"
    launch(folder, JobSpec(("sleep", "1000"), PROJECT, devices=Devices()))
    until(lambda: read_status(folder).state is State.running)
    yield folder
    stop_jobs(page_workspace)


def made_run(workspace: Workspace) -> RunPaths:
    """Trained and merged step by step, and not tested."""
    run = make_run(workspace, "Lin", trained=True)
    make_artefacts(run)
    for step in ("convert", "merge"):
        end_job(run, step)
    return run


def waits(run: RunPaths, job: str, spec: JobSpec) -> None:
    launch(run.job(job), spec)
    until(lambda: position(run.job(job)) is not None)


@pytest.mark.usefixtures("busy")
def test_a_queued_run_is_not_said_to_be_at_work_nor_to_be_nothing(page_workspace: Workspace) -> None:
    run = make_run(page_workspace, "Lin")
    waits(run, CHAIN, chain.plan(page_workspace, run, TuneRequest("Lin"), "test", "zh"))
    assert making(run) is State.waiting
    for step in ("chat", "compare", "publish"):
        said = words(open_test_page(step, run.id, "zh"))
        assert "Lin 的助手还在排队，还没开始制作。" in said, step
        assert "请到首页创建" not in said and "正在制作" not in said, step


@pytest.mark.usefixtures("busy")
def test_a_queued_test_makes_nothing(page_workspace: Workspace) -> None:
    run = made_run(page_workspace)
    waits(run, proof.PROOF, proof.plan(page_workspace, run))
    assert making(run) is None
    chat = open_test_page("chat", run.id)
    assert "being made" not in words(chat) and "only the base model" not in words(chat)
    assert "Load a model above" in words(chat) and chat.button(key="load").proto.type == "primary"
    start = open_test_page("start", run.id)
    assert "Lin's assistant is made; its test waits for its turn" in words(start)
    assert start.button(key="chain_chat") and "Creating" not in words(start)
    page = open_test_page("compare", run.id)
    page.button(key=f"queue_now {run.id} proof").click().run()
    assert no_errors(page) and wait(run.job(proof.PROOF), timeout=PATIENCE).state is State.finished


def test_a_run_that_was_stopped_says_so(page_workspace: Workspace) -> None:
    run = make_run(page_workspace, "Lin", trained=True)
    end_job(run, "train", Reason.stopped)
    for step in ("chat", "compare", "publish"):
        assert "Lin's assistant is not finished" in words(open_test_page(step, run.id)), step


@pytest.mark.parametrize(("step", "key"), [("merge", "next compare"), ("start", "begin_test")])
def test_one_press_tests_what_was_made(page_workspace: Workspace, step: str, key: str) -> None:
    run = made_run(page_workspace)
    page = open_test_page(step, run.id)
    if step == "start":
        assert "Lin's assistant is made, and not tested yet" in words(page) and page.button(key="chain_chat")
    assert "See the test results" not in {link.label for link in page.get("page_link")}
    page.button(key=key).click().run()
    assert no_errors(page)
    assert wait(run.job(proof.PROOF), timeout=PATIENCE).state is State.finished and proof.read(run)


def test_while_it_runs_the_test_says_how_far_it_is(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made_run(page_workspace)
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "30")
    launch(run.job(proof.PROOF), proof.plan(page_workspace, run))
    until(lambda: state_of(run.job("base")) is State.running)
    far = chain_stages.test_far(page_workspace, run)
    assert far is not None and 0 <= far[0] < 1 and "left" in far[1]
    assert "left" in "".join(str(bar.proto.text) for bar in open_test_page("compare", run.id).get("progress"))
    stop(run.job(proof.PROOF), "test", grace=1)
    wait(run.job(proof.PROOF), timeout=PATIENCE)


def test_how_long_it_took_counts_what_was_started_apart(page_workspace: Workspace) -> None:
    """The training is of an earlier start, and went on once: 26 minutes are no matter of 47 seconds."""
    run = made_run(page_workspace)
    make_small_model(run.merged)
    for step, began, seconds in (
        ("train", 1000.0, 900.0),
        ("convert", 4000.0, 20.0),
        ("merge", 4020.0, 27.0),
    ):
        ended(run.job(step), began, seconds)
    write_json(JobPaths(run.job("train")).request, {"resume": "iter_4.pth"})
    ended(JobPaths(run.job("train")).previous / "1", 0.5, 660.0)
    ended(run.job(CHAIN), 3990.0, 70.0)
    found = chain_stages.made_in(page_workspace, run)
    assert found["train"] == 1560.0 and sum(found.values()) == 1607.0
    assert "26 min" in words(open_test_page("start", run.id))


def ended(folder: Path, began: float, seconds: float) -> None:
    paths = JobPaths(folder)
    write_json(paths.spec, JobSpec(("tool",), PROJECT).as_json())
    write_json(paths.exit, Ending(0, None, Reason.finished, began, began + seconds).as_json())


@pytest.mark.usefixtures("busy")
def test_a_run_that_begins_beside_another_says_from_its_first_second_that_it_takes_longer(
    page_workspace: Workspace, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not a minute later, when its own first stage has looked at what others take."""
    run = small_run.make_run(page_workspace)
    waits(run, CHAIN, chain.plan(page_workspace, run, TuneRequest("Lin"), "test", "en"))
    queued.run_now(page_workspace, run.job(CHAIN))
    held.until_reached()
    alone = chain_stages.read_progress(page_workspace, run).seconds
    monkeypatch.setattr(chain_stages, "beside", lambda _: (2.0, 3.0))
    assert chain_stages._slower_beside(page_workspace, run) == 3.0
    assert chain_stages.read_progress(page_workspace, run).seconds > 1.5 * alone
    held.go_on()
    chain.halt(run, "test")
    wait(run.job(CHAIN), timeout=PATIENCE)
