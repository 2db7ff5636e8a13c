"""Stopping jobs, and what happens to a tool when those around it are killed."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.errors import JobRunning
from core.jobs.ending import Reason
from core.jobs.grace import need, needed
from core.jobs.job import JobPaths
from core.jobs.launch import launch, stop
from core.jobs.process import is_alive, read_identity
from core.jobs.status import State, read_status
from core.jobs.supervise import Supervisor
from core.workspace.files import write_json
from tests.conftest import end_leftovers
from tests.test_jobs import POLITE, end, job, launch_until_it_speaks, output, python, shell, until

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

# One that ignores TERM, with a grandchild in its group and one in a session of its own.
STUBBORN = """
import signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
children = [subprocess.Popen(["sleep", "1000"], start_new_session=new) for new in (False, True)]
print(*(child.pid for child in children))
time.sleep(1000)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "工作 区" / "a b"
    end_leftovers(tmp_path)


def kill_supervisor(folder: Path) -> None:
    supervisor = read_identity(JobPaths(folder).supervisor)
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not is_alive(supervisor))


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_stopping_a_job_that_does_not_listen(folder: Path) -> None:
    tool = launch_until_it_speaks(folder, python(STUBBORN))
    grandchildren = [int(pid) for pid in output(folder).split()]
    stop(folder, by="first", grace=1000)
    time.sleep(0.4)
    assert read_status(folder).state is State.running
    stop(folder, by="in a hurry", grace=0.1)
    status = end(folder)
    assert (status.state, status.code, status.signal) == (State.stopped, 137, "SIGKILL")
    assert not is_alive(tool) and all(gone(pid) for pid in grandchildren)


def test_the_grace_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_STOP_GRACE", "0.1")
    launch_until_it_speaks(folder, python(STUBBORN))
    JobPaths(folder).stop.write_text("")  # made by hand: touch stop.json
    assert end(folder).state is State.stopped


def test_stragglers_end_with_their_leader(folder: Path) -> None:
    launch(folder, shell("sleep 1000 & echo $!; setsid sleep 1000 & echo $!; exit 0"))
    assert end(folder).state is State.finished
    assert len(output(folder).split()) == 2 and all(gone(int(pid)) for pid in output(folder).split())


def test_a_supervisor_that_is_asked_to_end_stops_its_tool(folder: Path) -> None:
    tool = launch_until_it_speaks(folder, python(POLITE))
    supervisor = read_identity(JobPaths(folder).supervisor)
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGTERM)
    assert end(folder).state is State.stopped
    assert not is_alive(tool) and output(folder) == "up\nbye\n"


def test_the_tool_outlives_a_killed_supervisor(folder: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    spec = shell('echo up; while [ ! -e "$READY" ]; do sleep 0.05; done; echo done', READY=str(ready))
    launch_until_it_speaks(folder, spec)
    kill_supervisor(folder)
    assert read_status(folder).state is State.running
    with pytest.raises(JobRunning):
        launch(folder, shell("true"))
    ready.touch()
    status = end(folder)
    assert (status.state, status.reason, status.code) == (State.lost, Reason.abandoned, None)
    assert output(folder) == "up\ndone\n"


def test_stopping_a_job_whose_supervisor_was_killed(folder: Path) -> None:
    tool = launch_until_it_speaks(folder, python(POLITE))
    kill_supervisor(folder)
    stop(folder, by="测试")
    assert end(folder).state is State.stopped
    assert not is_alive(tool) and output(folder) == "up\nbye\n"


@pytest.mark.parametrize(
    ("asked", "granted"), [(20.0, 60.0), (30.0, 60.0), (90.0, 90.0), (0.1, 0.1), (None, 60.0)]
)
def test_a_tool_that_says_it_needs_longer_gets_it_unless_it_is_to_hurry(
    folder: Path, asked: float | None, granted: float
) -> None:
    """As a training does that has a large checkpoint to write."""
    launch(folder, shell("exit 0"))
    end(folder)
    need(folder, 60.0)
    write_json(JobPaths(folder).stop, {"by": "test"} | ({"grace": asked} if asked else {}))
    assert Supervisor(JobPaths(folder))._grace() == granted
    launch(folder, shell("exit 0"))
    assert end(folder).state is State.finished and needed(folder) is None, "of an earlier try"


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_a_tool_that_was_asked_before_its_supervisor_has_not_failed(folder: Path, late: float) -> None:
    """As a machine's shutdown or a cluster asks all processes, one after the other."""
    launch(folder, shell("sleep 1000"))
    paths = JobPaths(folder)
    until(lambda: paths.tool.exists())
    tool, supervisor = read_identity(paths.tool), read_identity(paths.supervisor)
    assert tool and supervisor
    os.killpg(tool.pid, signal.SIGTERM)
    time.sleep(late)
    os.kill(supervisor.pid, signal.SIGTERM)
    assert end(folder).state is State.stopped


def test_a_tool_that_somebody_ended_alone_has_failed(folder: Path) -> None:
    launch(folder, shell("sleep 1000"))
    paths = JobPaths(folder)
    until(lambda: paths.tool.exists())
    tool = read_identity(paths.tool)
    assert tool
    os.killpg(tool.pid, signal.SIGTERM)
    found = end(folder)
    assert (found.state, found.signal) == (State.failed, "SIGTERM")


ALL_DONE = """
import signal, sys, time
from pathlib import Path
from core.jobs.done import leave_done
signal.signal(signal.SIGTERM, {heeds})
leave_done(Path(sys.argv[1]))
print("up", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("heeds", ["signal.SIG_DFL", "lambda *_: sys.exit(0)", "lambda *_: sys.exit(7)"])
def test_a_stop_that_comes_after_its_last_word_finds_it_finished(
    folder: Path, heeds: str, watched: bool
) -> None:
    """Also of a tool whose supervisor was killed."""
    tool = launch_until_it_speaks(
        folder, job(sys.executable, "-c", ALL_DONE.format(heeds=heeds), str(folder))
    )
    if not watched:
        kill_supervisor(folder)
    stop(folder, by="test")
    assert end(folder).state is State.finished
    assert not is_alive(tool)


@pytest.mark.parametrize("ends", ["os.abort()", "os.kill(os.getpid(), signal.SIGTERM)", "os._exit(3)"])
def test_what_breaks_when_it_is_taken_down_had_finished(folder: Path, ends: str) -> None:
    program = ALL_DONE.format(heeds="signal.SIG_DFL").replace("time.sleep(1000)", f"import os; {ends}")
    launch(folder, replace(job(sys.executable, "-c", program, str(folder)), restarts=2))
    status = end(folder)
    assert (status.state, status.code) == (State.finished, 0)
    assert output(folder) == "up\n", "it was not started again"
