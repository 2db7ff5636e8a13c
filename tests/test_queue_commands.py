"""The queue at a terminal and on the Start page: what waits says so, and its order can be changed."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import NotInLine
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.process import is_alive, read_identity
from core.jobs.status import State, read_status
from core.jobs.turn import kept_in_turn, line_in, position
from core.pipeline import chain, queued
from core.pipeline.tune_request import TuneRequest
from core.queue.devices import Devices
from core.runs import CHAIN, read_run
from core.steps.step import call_job, engine_job
from core.workspace.files import read_record
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.command_line import Begin, cli, last_json, programs
from tests.page import no_errors, open_test_page
from tests.small_model import make_small_model
from tests.small_run import make_run
from tests.waiting import until

PATIENCE = 120.0


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture
def begin(workspace: Workspace) -> Iterator[Begin]:
    with programs(workspace) as begins:
        yield begins


@pytest.fixture
def holder(workspace: Workspace) -> Path:
    """A job that has the processor until it is stopped."""
    folder = workspace.runs / "20260101-000000-holder" / "train"
    launch(folder, JobSpec(("sleep", "1000"), PROJECT, devices=Devices()))
    until(JobPaths(folder).tool.exists)
    return folder


def asked(workspace: Workspace, name: str) -> RunPaths:
    """A whole chain, asked for as the page does."""
    return chain.start(workspace, TuneRequest(name, iterations=10), "test", "en")


def says(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stderr
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said: {words}")


def in_line(workspace: Workspace) -> list[str | None]:
    return [one.run for one in queued.queued(workspace).jobs if one.position]


@pytest.mark.usefixtures("holder")
def test_tune_at_a_terminal_waits_says_so_and_leaves_by_ctrl_c(workspace: Workspace, begin: Begin) -> None:
    process = begin("tune", "--name", "Ada")
    says(process, "Waits for the processor: position 1 in the queue.")
    run = RunPaths(max(workspace.run_folders()))
    assert read_status(run.job(CHAIN)).state is State.waiting
    assert read_run(run).state is State.waiting
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and f"tune --run {run.id}" in said
    assert read_status(run.job(CHAIN)).state is State.stopped and in_line(workspace) == []


def test_tune_at_a_terminal_goes_on_when_its_turn_comes(
    workspace: Workspace, holder: Path, begin: Begin
) -> None:
    process = begin("tune", "--name", "Ada", "--iterations", "10", "--json")
    says(process, "position 1 in the queue")
    stop(holder, "test")
    said, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and '"learned"' in said, complaint


@pytest.mark.usefixtures("holder")
def test_a_terminal_that_is_gone_has_left_the_queue(workspace: Workspace, begin: Begin) -> None:
    process = begin("tune", "--name", "Ada")
    says(process, "position 1 in the queue")
    process.kill()
    process.wait()
    run = RunPaths(max(workspace.run_folders()))
    assert read_status(run.job(CHAIN)).state is State.lost and in_line(workspace) == []
    assert line_in(workspace.root).waiting() == []


def test_train_at_a_terminal_waits_and_says_so(workspace: Workspace, holder: Path, begin: Begin) -> None:
    run = make_run(workspace)
    process = begin("train", run.id)
    says(process, "Waits for the processor: position 1 in the queue.")
    assert read_status(run.job("train")).state is State.waiting
    stop(holder, "test")
    assert process.wait(timeout=PATIENCE) == 0


@pytest.mark.usefixtures("holder")
def test_a_sweep_at_a_terminal_says_that_its_training_waits(workspace: Workspace, begin: Begin) -> None:
    process = begin("sweep", make_run(workspace).id, "--over", "rank=4,8")
    says(process, "Waits for the processor: position 1 in the queue.")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and in_line(workspace) == []


def test_the_commands_of_the_queue(workspace: Workspace, holder: Path) -> None:
    runs = [asked(workspace, name) for name in ("Ada", "Bea", "Cleo")]

    def ask(*words: str) -> list[tuple[object, ...]]:
        options = ("--json", "--workspace", str(workspace.root))
        found = last_json(cli(*words, *options, cwd=workspace.root.parent))
        return [(one["run"], one["step"], one["device"], one["position"], one["state"]) for one in found]

    first, ids = (holder.parent.name, "train", "cpu", None, "running"), [run.id for run in runs]

    def waiting(*order: int) -> list[tuple[object, ...]]:
        places = enumerate((ids[number] for number in order), 1)
        return [first, *((run, "chain", "cpu", place, "waiting") for place, run in places)]

    assert ask("queue") == waiting(0, 1, 2)
    assert ask("queue", "move", ids[2]) == waiting(2, 0, 1)
    assert ask("queue", "move", ids[2], "--position", "2") == waiting(0, 2, 1)
    assert ask("queue", "cancel", ids[0]) == waiting(2, 1)
    until(lambda: read_status(runs[0].job(CHAIN)).state is State.stopped)
    ask("queue", "now", ids[1])
    until(lambda: read_status(runs[1].job(CHAIN)).state is not State.waiting)
    assert in_line(workspace) == [ids[2]]
    refused = cli("queue", "move", ids[0], "--workspace", str(workspace.root), cwd=workspace.root.parent)
    assert refused.returncode == 2 and "does not wait in the queue" in refused.stderr
    table = cli("queue", "--workspace", str(workspace.root), cwd=workspace.root.parent, COLUMNS="160")
    assert ids[2] in table.stdout and "begins in" in table.stdout


def test_a_chain_waits_once_for_all_its_stages(workspace: Workspace, holder: Path) -> None:
    run = asked(workspace, "Ada")
    assert position(run.job(CHAIN)) == 1
    stop(holder, "test")
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished
    assert line_in(workspace.root).entries() == []


def test_any_command_takes_up_what_went_down(workspace: Workspace, holder: Path) -> None:
    run = asked(workspace, "Ada")
    supervisor = read_identity(JobPaths(run.job(CHAIN)).supervisor)
    assert supervisor
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not is_alive(supervisor))
    cli("runs", "--workspace", str(workspace.root), cwd=workspace.root.parent)
    again = read_identity(JobPaths(run.job(CHAIN)).supervisor)
    assert again and again != supervisor and is_alive(again) and position(run.job(CHAIN)) == 1
    stop(holder, "test")
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished


def test_what_takes_a_device(workspace: Workspace) -> None:
    run = make_run(workspace)
    taking = {tool for tool in ("train", "answer", "convert", "merge", "serve") if engine_job(tool).devices}
    assert taking == {"train", "answer"}
    assert call_job(run.job(CHAIN), "tune", workspace.root, TuneRequest("Ada"), run.id).devices == Devices()
    assert call_job(run.job("data"), "data", workspace.root, TuneRequest("Ada"), run.id).devices is None


def text_of(page: AppTest) -> str:
    kinds = ("header", "markdown", "caption", "info")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(page, kind))


@pytest.mark.usefixtures("holder")
def test_the_start_page_shows_the_queue_and_changes_it(workspace: Workspace) -> None:
    runs = [asked(workspace, name) for name in ("Ada", "Bea")]
    page = open_test_page("start", runs[1].id)
    assert no_errors(page)
    said = text_of(page)
    assert "Bea waits for its turn" in said and "position 2; begins when a device is free" in said
    assert (
        "**1. Ada**" in said and "**2. Bea**" in said and "position 1; begins when a device is free" in said
    )
    keys = [button.key for button in page.button]
    assert f"queue_now {runs[1].id} chain" in keys
    page.button(key=f"queue_first {runs[1].id} chain").click().run()
    assert no_errors(page) and in_line(workspace) == [runs[1].id, runs[0].id]
    page.button(key=f"queue_cancel {runs[0].id} chain").click().run()
    assert no_errors(page)
    until(lambda: in_line(workspace) == [runs[1].id])
    page.run()
    assert not {f"queue_{way} {runs[1].id} chain" for way in ("first", "up")} & {
        one.key for one in page.button
    }
    page.button(key=f"queue_now {runs[1].id} chain").click().run()
    assert no_errors(page)
    until(lambda: in_line(workspace) == [])
    with pytest.raises(NotInLine):
        queued.move(workspace, runs[0].job(CHAIN), 1)


def test_a_job_that_is_about_to_begin_is_no_queue(
    workspace: Workspace, holder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(workspace, "Ada")
    assert open_test_page("start", run.id).button(key=f"queue_now {run.id} chain")
    monkeypatch.setattr("ui.runs.queue.position", lambda _: None)  # its device is free
    page = open_test_page("start", run.id)
    assert no_errors(page) and not any("queue_" in str(one.key) for one in page.button)
    stop(holder, "test")
    wait(run.job(CHAIN), timeout=PATIENCE)


def test_who_opens_the_page_sees_what_runs_before_what_waits(workspace: Workspace, holder: Path) -> None:
    waits = asked(workspace, "Ada")
    page = open_test_page("start", None)
    assert no_errors(page) and "Ada waits for its turn" in text_of(page)
    for step in ("data", "config", "train", "publish"):
        beside = open_test_page(step, waits.id)
        assert no_errors(beside) and "Ada waits for its turn" in beside.info[0].value, step
        assert "position 1; begins when" in beside.info[0].value and "left" not in text_of(beside), step
    assert read_record(JobPaths(waits.job(CHAIN)).spec)
    stop(holder, "test")
    wait(waits.job(CHAIN), timeout=PATIENCE)


def test_what_is_asked_for_now_waits_and_takes_nobody_of_its_workspace_for_others(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Before the press the page says so: the one at work has ended by then."""
    make_small_model(workspace.starter)
    asked = list[float]()

    def cores(ours: float) -> float:
        asked.append(ours)
        return 0.0

    monkeypatch.setattr("core.machine.NEIGHBOURS.cores", cores)
    monkeypatch.setattr("core.pipeline.queued._left", lambda *_: 240.0)
    kept_in_turn(workspace.root)
    assert asked == [0.0] and queued.Turns(workspace).next_told == ""
    before = time.time()
    request.getfixturevalue("holder")
    kept_in_turn(workspace.root)
    assert asked[-1] >= before, "all that was seen until now may be its own"
    assert queued.Turns(workspace).next_told == "begins in about 4 minutes"
    page = open_test_page("start")
    assert any("here; begins in about 4 minutes" in one.value for one in page.caption), page.caption


@pytest.mark.usefixtures("holder")
def test_the_start_page_works_out_once_who_begins_when(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the list of what waits, and for the sentence beside the button."""
    make_small_model(workspace.starter)
    asked(workspace, "Ada")
    looked: list[Path] = []
    monkeypatch.setattr(queued, "_left", lambda _, entry: looked.append(entry.job) or 240.0)
    page = open_test_page("start")
    assert no_errors(page) and "position 1; begins in about 4 minutes" in text_of(page)
    assert any("here; begins in about 8 minutes" in one.value for one in page.caption), page.caption
    assert len(looked) == len({*looked}) == 2
