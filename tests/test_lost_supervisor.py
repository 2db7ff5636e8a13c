"""A supervisor that was killed takes nothing along: what its tool finished is finished."""

import os
import signal
from pathlib import Path

import pytest

from core.jobs.ending import Reason
from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.process import is_alive, read_identity
from core.jobs.status import State, read_status
from core.pipeline import chain, chain_stages
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN, read_run
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, Workspace
from tests.page import no_errors, open_test_page
from tests.small_run import NAME, make_run
from tests.waiting import until

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

PATIENCE = 200.0


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def kill_supervisor(folder: Path) -> None:
    """While its tool is halted, so that this comes before the tool's end however fast the machine is."""
    paths = JobPaths(folder)
    until(paths.tool.exists)
    tool, supervisor = read_identity(paths.tool), read_identity(paths.supervisor)
    assert tool and supervisor
    os.kill(tool.pid, signal.SIGSTOP)
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not is_alive(supervisor))
    assert read_status(folder).state is State.running
    os.kill(tool.pid, signal.SIGCONT)


def start_chain(workspace: Workspace) -> RunPaths:
    run = make_run(workspace)
    launch(run.job(CHAIN), chain.plan(workspace, run, TuneRequest(NAME), "test", "en"))
    return run


def test_a_chain_that_finished_without_its_supervisor_is_finished(workspace: Workspace) -> None:
    run = start_chain(workspace)
    kill_supervisor(run.job(CHAIN))
    status = wait(run.job(CHAIN), timeout=PATIENCE)
    assert status.state is State.finished and status.took and not JobPaths(run.job(CHAIN)).exit.exists()
    assert read_run(run).state is State.finished
    assert chain_stages.read_progress(workspace, run).state is State.finished
    page = open_test_page("start", run.id)
    assert no_errors(page) and "chain_go_on" not in {button.key for button in page.button}


def test_one_that_was_killed_too_is_lost_and_goes_on(workspace: Workspace) -> None:
    run = start_chain(workspace)
    until(JobPaths(run.job(CHAIN)).tool.exists)
    for identity in map(read_identity, (JobPaths(run.job(CHAIN)).supervisor, JobPaths(run.job(CHAIN)).tool)):
        assert identity
        os.kill(identity.pid, signal.SIGKILL)
    until(lambda: read_status(run.job(CHAIN)).state is State.lost)
    page = open_test_page("start", run.id)
    page.button(key="chain_go_on").click().run()
    assert no_errors(page)
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished


def test_another_process_said_so_counts_for_nothing(workspace: Workspace) -> None:
    """Of an earlier boot with the same number, or of a child."""
    run = start_chain(workspace)
    kill_supervisor(run.job(CHAIN))
    wait(run.job(CHAIN), timeout=PATIENCE)
    paths = JobPaths(run.job(CHAIN))
    said = read_json(paths.done)
    for changed in ({"pid": 1}, {"ticks": 1}, {"boot": "another"}, {"ended": "now"}):
        write_json(paths.done, {**said, **changed})
        assert read_status(paths.folder).state is State.lost
    write_json(paths.tool, {**read_json(paths.tool), "boot": "another"})
    write_json(paths.supervisor, {**read_json(paths.supervisor), "boot": "another"})
    write_json(paths.done, said)
    status = read_status(paths.folder)
    assert (status.state, status.reason) == (State.lost, Reason.restarted)
