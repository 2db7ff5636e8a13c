"""Jobs from launch to end: real processes in real folders."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import JobNotStarted, JobRunning, NoSuchJob
from core.jobs.ending import Reason
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.launch import launch, stop, wait
from core.jobs.process import Identity, read_identity
from core.jobs.status import LIVE, State, Status, read_status
from core.workspace.files import read_json
from core.workspace.paths import PROJECT
from tests.conftest import end_leftovers
from tests.waiting import until

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

TIMEOUT = 20.0
# A tool that never ends by itself but ends politely.
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("bye"), sys.exit(0)))
print("up")
time.sleep(1000)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A job folder whose path is awkward."""
    yield tmp_path / "工作 区" / "a b"
    end_leftovers(tmp_path)


def job(*command: str, cwd: Path = PROJECT, **env: str) -> JobSpec:
    return JobSpec(command, cwd, env, asked_by="测试", asked_at="2026-01-01T00:00:00+00:00")


def shell(script: str, **env: str) -> JobSpec:
    return job("sh", "-c", script, **env)


def python(program: str) -> JobSpec:
    return job(sys.executable, "-c", program)


def end(folder: Path) -> Status:
    status = wait(folder, poll=0.02, timeout=TIMEOUT)
    assert status.state not in LIVE, "the job did not end"
    return status


def output(folder: Path) -> str:
    return JobPaths(folder).log.read_text(encoding="utf-8")


def launch_until_it_speaks(folder: Path, spec: JobSpec) -> Identity:
    """Launch a job that says something once it is up; the tool's identity."""
    launch(folder, spec)
    until(lambda: JobPaths(folder).tool.exists() and "\n" in output(folder), TIMEOUT)
    tool = read_identity(JobPaths(folder).tool)
    assert tool is not None
    return tool


def test_a_job_that_finishes(folder: Path, tmp_path: Path) -> None:
    before = time.time()
    spec = JobSpec(
        ("sh", "-c", 'echo "$WHO $PYTHONUNBUFFERED"; pwd; echo 错误 >&2'), tmp_path, {"WHO": "小 助手"}
    )
    launch(folder, spec)
    status = end(folder)
    assert (status.state, status.code, status.signal, status.reason) == (State.finished, 0, None, "finished")
    assert status.started and status.ended and before <= status.started <= status.ended <= time.time()
    assert output(folder).splitlines() == ["小 助手 1", str(tmp_path), "错误"]
    assert read_spec(folder) == spec and not JobPaths(folder).reserve.exists()


def test_a_relative_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.parent.mkdir()
    monkeypatch.chdir(folder.parent)
    launch(Path("a b"), shell("echo done"))
    assert end(folder).state is State.finished


@pytest.mark.parametrize(
    ("script", "code", "end_signal"),
    [("exit 3", 3, None), ("kill -9 $$", 137, "SIGKILL"), ("kill -SEGV $$", 139, "SIGSEGV")],
)
def test_a_job_that_fails(folder: Path, script: str, code: int, end_signal: str | None) -> None:
    launch(folder, shell(f"ulimit -c 0; echo so; {script}"))
    status = end(folder)
    assert (status.state, status.code, status.signal) == (State.failed, code, end_signal)
    assert status.reason == Reason.failed and output(folder) == "so\n"


def test_a_command_that_cannot_be_started(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain file"
    plain.write_text("not a program")
    specs = [
        (job("no-such-program", "x"), 127, "no-such-program"),
        (job("true", cwd=tmp_path / "no folder"), 127, "no folder"),
        (job(str(plain)), 126, "plain file"),
        (job("echo", "a\0b"), 126, "null byte"),
    ]
    for spec, code, word in specs:
        launch(folder, spec)
        status = end(folder)
        assert (status.state, status.code, status.reason) == (State.failed, code, "not started")
        assert word in output(folder)
    with pytest.raises(ValueError, match="command"):
        job()


def test_stopping_a_job_that_listens(folder: Path) -> None:
    launch_until_it_speaks(folder, python(POLITE))
    assert read_status(folder).state is State.running
    stop(folder, by="测试")
    status = end(folder)
    assert (status.state, status.code, status.reason) == (State.stopped, 0, "stopped")
    assert output(folder) == "up\nbye\n"
    asked = read_json(JobPaths(folder).stop)
    assert asked["by"] == "测试" and asked["grace"] == 20.0 and asked["at"] <= time.time()
    stop(folder, by="again")  # what has ended stays as it ended
    assert read_json(JobPaths(folder).stop)["by"] == "测试"


def test_a_second_supervisor_changes_nothing(folder: Path) -> None:
    launch_until_it_speaks(folder, python(POLITE))
    command = [sys.executable, "-m", "core.jobs.supervise", str(folder)]
    first = read_identity(JobPaths(folder).supervisor)
    second = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert second.returncode == 1 and "another supervisor" in second.stderr
    assert read_identity(JobPaths(folder).supervisor) == first
    stop(folder, by="测试")
    ended = end(folder)
    third = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert third.returncode == 1 and "has ended" in third.stderr
    assert read_status(folder) == ended and output(folder) == "up\nbye\n"


def test_launching_again_keeps_the_earlier_tries(folder: Path) -> None:
    for number in (1, 2, 3):
        launch(folder, shell(f"echo {number}; exit {number}"))
        assert end(folder).code == number
    assert output(folder) == "3\n"
    for number in (1, 2):
        kept = folder / "previous" / str(number)
        assert output(kept) == f"{number}\n" and read_status(kept).code == number
        assert read_spec(kept).command[-1] == f"echo {number}; exit {number}"


def test_the_state_is_never_wrong_while_launching_again(folder: Path) -> None:
    launch(folder, shell("exit 1"))
    end(folder)
    seen: list[State] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(read_status(folder).state)

    looker = threading.Thread(target=look)
    looker.start()
    launch(folder, shell("sleep 0.1"))
    end(folder)
    done.set()
    looker.join()
    in_order = [State.failed, State.waiting, State.running, State.finished]
    assert [in_order.index(state) for state in seen] == sorted(in_order.index(state) for state in seen)
    assert State.running in seen


def test_launching_beside_a_live_job_is_refused(folder: Path) -> None:
    launch_until_it_speaks(folder, python(POLITE))
    with pytest.raises(JobRunning) as refused:
        launch(folder, shell("true"))
    assert refused.value.values == {"folder": folder} and not (folder / "previous").exists()
    stop(folder, by="测试")
    end(folder)


def test_of_two_launches_at_once_one_wins(folder: Path) -> None:
    refused: list[JobRunning] = []

    def try_it() -> None:
        try:
            launch(folder, python(POLITE))
        except JobRunning as error:
            refused.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 2
    stop(folder, by="测试")
    assert end(folder).state is State.stopped


def test_a_supervisor_that_does_not_come_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        with pytest.raises(JobNotStarted):
            launch(folder, shell("true"))
    status = read_status(folder)
    assert (status.state, status.reason) == (State.failed, "not started")
    launch(folder, shell("true"))
    assert end(folder).state is State.finished


def test_closing_the_launcher_changes_nothing(folder: Path) -> None:
    """The launcher exits at once and everything in its session is killed, as when a terminal closes."""
    program = (
        "import sys; from pathlib import Path; from core.jobs.job import JobSpec; "
        "from core.jobs.launch import launch; "
        "launch(Path(sys.argv[1]), JobSpec(('sh', '-c', 'sleep 0.5; echo done'), Path('/')))"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=PROJECT, start_new_session=True
    )
    assert launcher.wait() == 0
    with pytest.raises(ProcessLookupError):  # nobody of its group is left to be killed
        os.killpg(launcher.pid, signal.SIGKILL)
    assert read_status(folder).state is State.running
    assert end(folder).state is State.finished and output(folder) == "done\n"


def test_the_launcher_keeps_no_zombies(folder: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    for number in range(3):
        launch(folder / str(number), shell("true"))
        end(folder / str(number))
    until(lambda: not {child.pid for child in psutil.Process().children()} - before, TIMEOUT)


def test_waiting(folder: Path) -> None:
    polls: list[float] = []
    launch(folder, shell("sleep 0.4"))
    assert wait(folder, poll=0.05, timeout=0).state in LIVE
    assert wait(folder, poll=0.05, on_poll=lambda: polls.append(time.time())).state is State.finished
    assert polls
    for ask in (read_status, wait, read_spec, lambda folder: stop(folder, by="测试")):
        with pytest.raises(NoSuchJob):
            ask(folder / "none")


def test_watching_is_a_look_three_times_a_second(folder: Path) -> None:
    """It sleeps in between, and is woken by nothing (``scripts/bench idle`` has the share of a core)."""
    launch_until_it_speaks(folder, shell("echo up; exec sleep 1000"))
    supervisor = read_identity(JobPaths(folder).supervisor)
    assert supervisor is not None

    def slept() -> int:
        said = Path(f"/proc/{supervisor.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", said, re.MULTILINE)[0])

    time.sleep(0.3)
    before = slept()
    time.sleep(1.5)
    assert 1 <= slept() - before <= 10
    stop(folder, by="测试")
    end(folder)
