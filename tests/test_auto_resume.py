"""A chain that was asked to goes on by itself after a crash, so often and no more; others never do."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from core.cli import serve
from core.jobs.again import times_resumed
from core.jobs.curves import read_curve, time_folders
from core.jobs.ending import Ending, Reason
from core.jobs.job import JobPaths, JobSpec, tries
from core.jobs.launch import launch, wait
from core.jobs.process import read_identity
from core.jobs.status import State, read_status
from core.pipeline import chain, chain_stages
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN
from core.steps import train
from core.steps.checkpoints import checkpoints
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.page import no_errors, open_test_page
from tests.small_run import NAME, end_training, make_run

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

TIMEOUT = 200.0


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def starts(run: RunPaths) -> list[int]:
    """The first iteration that each start of XTuner logged."""
    return sorted(read_curve(folder).points[0].iter for folder in time_folders(run.work_dir))


def make(workspace: Workspace, most: int) -> tuple[RunPaths, State]:
    run = make_run(workspace)
    launch(run.job(CHAIN), chain.plan(workspace, run, TuneRequest(NAME, auto_resume=most), "test", "en"))
    return run, wait(run.job(CHAIN), timeout=TIMEOUT).state


@pytest.mark.parametrize("fault", ["CRASH", "KILL"])
def test_it_goes_on_from_its_checkpoint(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    (tmp_path / "once").touch()
    monkeypatch.setenv("FAKE_XTUNER_ONCE", str(tmp_path / "once"))
    monkeypatch.setenv(f"FAKE_XTUNER_{fault}_AT", "25")
    run, state = make(workspace, most=1)
    assert state is State.finished and starts(run) == [2, 22] and run.result.exists()
    log = JobPaths(run.job(CHAIN)).log.read_text(encoding="utf-8")
    assert "resumes by itself (attempt 1 of 1)" in log and "from the checkpoint at iteration 20" in log


def test_so_often_and_no_more(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_XTUNER_CRASH_AT", "25")
    run, state = make(workspace, most=2)
    assert state is State.failed and starts(run) == [2, 22, 22]
    assert [one.iteration for one in checkpoints(run.work_dir)] == [10, 20]
    failed = chain_stages.failure(workspace, run)
    assert failed and failed[0] == "train" and "fake crash at iteration 25" in failed[1].line


def test_by_itself_only_where_it_was_asked_to(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_XTUNER_CRASH_AT", "25")
    run, state = make(workspace, most=0)
    assert state is State.failed and starts(run) == [2] and not JobPaths(run.job(CHAIN)).resumed.exists()


def test_what_would_fail_again_is_not_tried_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "convert")
    run, state = make(workspace, most=3)
    assert state is State.failed and len(tries(run.job("convert"))) == 1
    failed = chain_stages.failure(workspace, run)
    assert failed and (failed[0], failed[1].cause) == ("convert", "permission")


def test_at_the_command_line_and_on_the_page(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pressed on the page it is off, as long as nobody wants it."""
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    page = open_test_page("start", run.id)
    assert page.checkbox(key="chain_auto_resume").value is False
    page.checkbox(key="chain_auto_resume").check().run()
    page.button(key="chain_go_on").click().run()
    assert no_errors(page) and wait(run.job(CHAIN), timeout=TIMEOUT).state is State.finished
    asked = chain.asked_before(run)
    assert asked and asked.auto_resume == 3
    options = ("--run", run.id, "--workspace", workspace.root, "--json", "--auto-resume", "5")
    last_json(cli("tune", *options, cwd=workspace.root, TUNEBOARD_ENGINE="tests.fake_engine"))
    asked = chain.asked_before(run)
    assert asked and asked.auto_resume == 5


def test_a_tool_that_a_signal_ended_is_started_again(tmp_path: Path) -> None:
    """Its supervisor does that, so that a chain that is killed itself goes on."""
    command = ("/bin/sh", "-c", "echo here; kill -KILL $$")
    launch(tmp_path, JobSpec(command, Path("/"), restarts=2))
    status = wait(tmp_path, timeout=TIMEOUT)
    assert (status.state, status.signal) == (State.failed, "SIGKILL") and times_resumed(tmp_path) == 2
    assert JobPaths(tmp_path).log.read_text(encoding="utf-8").count("here\n") == 3
    launch(tmp_path, JobSpec(("/bin/sh", "-c", "exit 3"), Path("/"), restarts=2))
    assert wait(tmp_path, timeout=TIMEOUT).code == 3 and times_resumed(tmp_path) == 0


def lose(run: RunPaths, boot: str) -> None:
    """As after a restart of the machine: the files are there, and the processes are of another boot."""
    paths = JobPaths(run.job(CHAIN))
    paths.exit.unlink(missing_ok=True)
    paths.done.unlink(missing_ok=True)
    for file in (paths.supervisor, paths.tool):
        write_json(file, {**read_json(file), "boot": boot})


def test_after_a_restart_of_the_machine_it_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_XTUNER_CRASH_AT", "25")
    run, _ = make(workspace, most=0)
    monkeypatch.delenv("FAKE_XTUNER_CRASH_AT")
    lose(run, "another")
    assert read_status(run.job(CHAIN)).reason == Reason.restarted
    assert chain.resume_lost(workspace, "test", "en") == [], "nobody asked for it"
    request = JobPaths(run.job(CHAIN)).request
    asked = read_json(request)
    write_json(request, {**asked, "asked": {**asked["asked"], "auto_resume": 1}})
    write_json(JobPaths(run.job(CHAIN)).stop, {"by": "page"})
    assert chain.resume_lost(workspace, "test", "en") == [], "somebody had pressed stop"
    JobPaths(run.job(CHAIN)).stop.unlink()
    assert chain.resume_lost(workspace, "test", "en") == [run]
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.finished
    assert starts(run) == [2, 22] and times_resumed(run.job(CHAIN)) == 1
    assert chain.resume_lost(workspace, "test", "en") == []
    lose(run, "yet another")
    assert chain.resume_lost(workspace, "test", "en") == [], "once was asked for"


def test_after_a_shutdown_in_order_it_goes_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then every program is asked to end, and nobody has pressed stop; a command that Ctrl-C stopped at its
    terminal, where it is its own supervisor, stays stopped."""
    monkeypatch.setenv("FAKE_XTUNER_CRASH_AT", "25")
    run, _ = make(workspace, most=0)
    monkeypatch.delenv("FAKE_XTUNER_CRASH_AT")
    paths = JobPaths(run.job(CHAIN))
    asked, supervisor, tool = map(read_json, (paths.request, paths.supervisor, paths.tool))
    write_json(paths.request, {**asked, "asked": {**asked["asked"], "auto_resume": 1}})
    write_json(paths.exit, Ending(130, None, Reason.stopped, 1.0, 2.0).as_json())
    assert chain.resume_lost(workspace, "test", "en") == [], "the machine was not restarted"
    write_json(paths.supervisor, {**supervisor, "boot": "another"})
    write_json(paths.tool, {**supervisor, "boot": "another"})
    assert chain.resume_lost(workspace, "test", "en") == [], "at a terminal"
    write_json(paths.tool, {**tool, "boot": "another"})
    write_json(paths.stop, {"by": "page"})
    assert chain.resume_lost(workspace, "test", "en") == [], "somebody had pressed stop"
    paths.stop.unlink()
    write_json(paths.exit, Ending(1, None, Reason.failed, 1.0, 2.0).as_json())
    assert chain.resume_lost(workspace, "test", "en") == [], "it had failed"
    write_json(paths.exit, Ending(130, None, Reason.stopped, 1.0, 2.0).as_json())
    assert chain.resume_lost(workspace, "test", "en") == [run]
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.finished


def test_no_run_keeps_the_dashboard_from_starting(workspace: Workspace) -> None:
    strange = workspace.runs / "20260101-000000-strange"
    strange.mkdir(parents=True)
    (strange / CHAIN).write_text("a file", encoding="utf-8")
    serve._resume_lost(workspace)
    assert (strange / CHAIN).read_text(encoding="utf-8") == "a file", "nothing was begun in it"


def test_a_chain_waits_for_the_step_that_outlived_it(workspace: Workspace) -> None:
    run = make_run(workspace)
    launch(run.job("train"), JobSpec(("/bin/sleep", "1000"), Path("/")))
    launch(run.job(CHAIN), chain.plan(workspace, run, TuneRequest(NAME), "test", "en"))
    paths = JobPaths(run.job(CHAIN))
    while "Still running from before" not in (
        paths.log.read_text(encoding="utf-8") if paths.log.exists() else ""
    ):
        assert read_status(run.job(CHAIN)).state in {State.waiting, State.running}
    sleeping = read_identity(JobPaths(run.job("train")).tool)
    assert sleeping
    os.kill(sleeping.pid, signal.SIGKILL)
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.finished
    assert train.read(run).iteration == 40


def test_a_strangers_run_goes_on_by_its_request_alone(workspace: Workspace, tmp_path: Path) -> None:
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    mark = tmp_path / "it ran"
    evil = JobSpec(("/usr/bin/touch", str(mark)), Path("/")).as_json()
    write_json(JobPaths(run.job(CHAIN)).spec, evil)
    write_json(JobPaths(run.job(CHAIN)).exit, Ending(1, None, Reason.failed, 1.0, 2.0).as_json())
    write_json(JobPaths(run.job("train")).spec, {**evil, "results": ["../../../x"]})
    stranger = workspace.runs / "20260101-000000-stranger"
    shutil.copytree(run.root, stranger, symlinks=True)
    page = open_test_page("start", stranger.name)
    page.button(key="chain_go_on").click().run()
    assert no_errors(page)
    assert wait(stranger / CHAIN, timeout=TIMEOUT).state is State.finished
    assert not mark.exists() and (stranger / "merged").exists() and not run.merged.exists()
