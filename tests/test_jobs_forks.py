"""A job whose supervisor and tool are forked is the same job: real processes, with and without a worker."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from core.jobs.forks import worker
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.process import is_alive, read_identity
from core.jobs.progress import JOB_VARIABLE
from core.jobs.status import State, Status, read_status
from core.steps.step import engine_job, warm
from core.workspace.files import read_json
from core.workspace.paths import PROJECT
from tests.conftest import end_leftovers
from tests.waiting import until

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

WAYS = ("anew", "forked")


@pytest.fixture(autouse=True)
def acting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.acting_engine")
    yield
    end_leftovers(tmp_path)


def acts(*words: object, **env: str) -> JobSpec:
    return engine_job("merge", *map(str, words), env=env)


def ends(folder: Path, spec: JobSpec) -> Status:
    launch(folder, spec)
    return wait(folder, poll=0.01, timeout=20)


def was_forked(folder: Path) -> bool:
    """By its command line, which a fork has of its worker."""
    pid = read_json(JobPaths(folder).tool)["pid"]
    return psutil.Process(pid).cmdline()[3] == "worker"


ENDS = [
    ("leave", 0),
    ("leave", 3),
    ("leave", 256 + 7),
    ("words",),
    ("fall",),
    ("interrupt",),
    ("thread",),
    *(("by_signal", int(number)) for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)),
]


@pytest.mark.parametrize("action", ENDS, ids=lambda action: "-".join(map(str, action)))
def test_a_forked_tool_ends_as_one_that_was_started(tmp_path: Path, action: tuple[object, ...]) -> None:
    found = {}
    for way in WAYS:
        with ExitStack() as stack:
            if way == "forked":
                stack.enter_context(warm())
            ends(tmp_path / way, acts(*action))
        paths = JobPaths(tmp_path / way)
        ended = read_json(paths.exit)
        lines = [line for line in paths.log.read_text(encoding="utf-8").splitlines() if line]
        found[way] = ({key: ended[key] for key in ("code", "signal", "reason")}, lines[0], lines[-1])
        assert paths.supervisor_log.read_bytes() == b"" and not paths.reserve.exists()
    assert found["forked"] == found["anew"]


def test_what_a_tool_finds_itself_in_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a secret of the environment")
    found = {}
    for way in WAYS:
        told = tmp_path / "told.json"
        with ExitStack() as stack:
            if way == "forked":
                stack.enter_context(warm())
            launch(tmp_path / way, acts("tell", told, OWN="1"), secrets={"GIVEN_TOKEN": "for this one"})
            assert wait(tmp_path / way, timeout=20).state is State.finished
            found[way] = read_json(told)
            if way == "forked":
                ends(tmp_path / "next", acts("tell", told))
                assert not {"GIVEN_TOKEN", "HF_TOKEN", "OWN"} & set(read_json(told)["environment"])
    anew, forked = found["anew"], found["forked"]
    for key in ("folder", "arguments", "leads", "handlers", "blocked", "umask"):
        assert forked[key] == anew[key], key
    for way in WAYS:  # each is told its own job's folder
        assert found[way]["environment"].pop(JOB_VARIABLE) == str(tmp_path / way)
    assert forked["environment"] == anew["environment"]
    assert set(forked["files"]) == set(anew["files"]) == {"0", "1", "2"}
    assert [forked["files"][n] for n in "012"] == ["/dev/null", *[str(tmp_path / "forked/output.log")] * 2]


def test_each_job_of_a_worker_is_a_session_of_its_own(tmp_path: Path) -> None:
    with warm():
        launch(tmp_path / "job", acts("sleep", 30))
        paths = JobPaths(tmp_path / "job")
        until(paths.tool.exists)
        assert was_forked(tmp_path / "job")
        supervisor, tool = read_identity(paths.supervisor), read_identity(paths.tool)
        assert (
            supervisor and tool and os.getsid(tool.pid) == tool.pid and os.getsid(supervisor.pid) != tool.pid
        )
        assert psutil.Process(tool.pid).ppid() == supervisor.pid
        stop(tmp_path / "job", "test")
        assert wait(tmp_path / "job", timeout=20).state is State.stopped
    assert read_json(paths.exit)["signal"] == "SIGTERM"


def test_a_deaf_tool_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    with warm():
        launch(tmp_path, acts("stay"))
        log = JobPaths(tmp_path).log
        until(lambda: log.exists() and "deaf" in log.read_text(encoding="utf-8"))
        stop(tmp_path, "test", grace=0.5)
        assert wait(tmp_path, timeout=20).state is State.stopped
    assert read_json(JobPaths(tmp_path).exit)["signal"] == "SIGKILL"


def test_a_tool_outlives_its_killed_supervisor_and_is_taken_over(tmp_path: Path) -> None:
    with warm():
        launch(tmp_path, acts("sleep", 30))
        paths = JobPaths(tmp_path)
        until(paths.tool.exists)
        supervisor, tool = read_identity(paths.supervisor), read_identity(paths.tool)
        assert supervisor and tool
        os.kill(supervisor.pid, signal.SIGKILL)
        until(lambda: not is_alive(supervisor))
        assert is_alive(tool) and read_status(tmp_path).state is State.running
        with FileLock(paths.lock, timeout=0):  # the tool holds nothing of its supervisor's
            pass
    stop(tmp_path, "test")  # by somebody without a worker
    assert wait(tmp_path, timeout=20).state is State.stopped
    assert not is_alive(tool)


def test_a_killed_worker_costs_nothing_but_time(tmp_path: Path) -> None:
    said: list[str] = []
    with warm(said.append):
        launch(tmp_path / "one", acts("sleep", 1))
        until(JobPaths(tmp_path / "one").tool.exists)
        forks = worker()
        assert forks and was_forked(tmp_path / "one")
        os.kill(forks.process.pid, signal.SIGKILL)
        assert wait(tmp_path / "one", timeout=20).state is State.finished
        assert ends(tmp_path / "two", acts("leave", 0)).state is State.finished
        assert ends(tmp_path / "three", acts("leave", 4)).code == 4
    assert said == ["exit -9"]


def test_a_worker_whose_import_fails_says_so_and_the_jobs_start_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTING_IMPORTS", "json,no_such_module,core.engine.export")
    said: list[str] = []
    with warm(said.append):
        assert ends(tmp_path, acts("leave", 5)).code == 5
    assert said == ["ModuleNotFoundError: No module named 'no_such_module'"]


def test_what_is_read_at_import_has_to_be_the_same(tmp_path: Path) -> None:
    with warm():
        launch(tmp_path, acts("sleep", 0.5, HF_HUB_OFFLINE="0"))
        until(JobPaths(tmp_path).tool.exists)
        assert not was_forked(tmp_path)
        assert wait(tmp_path, timeout=20).state is State.finished
    assert JobPaths(tmp_path).supervisor_log.read_text() == "started as a program: another HF_HUB_OFFLINE\n"


def test_other_programs_are_started(tmp_path: Path) -> None:
    with warm():
        spec = replace(acts(), command=(sys.executable, "-c", "print('hello')"))
        assert ends(tmp_path / "one", spec).state is State.finished
        assert ends(tmp_path / "two", replace(spec, command=("/no/such/program",))).code == 127
    assert JobPaths(tmp_path / "one").log.read_text() == "hello\n"


CHAIN = """
import sys
from pathlib import Path
from core.jobs.forks import worker
from core.jobs.launch import launch, wait
from core.steps.step import engine_job, warm
with warm():
    launch(Path(sys.argv[1]), engine_job("merge", "sleep", sys.argv[2]))
    print(worker().process.pid, flush=True)
    wait(Path(sys.argv[1]))
"""


def chain(folder: Path, seconds: float) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A process that holds a worker and waits for its job; its worker."""
    command = [sys.executable, "-c", CHAIN, str(folder), str(seconds)]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, psutil.Process(int(process.stdout.readline()))


def test_a_worker_ends_with_its_chain_and_the_running_job_goes_on(tmp_path: Path) -> None:
    process, forks = chain(tmp_path, 1.5)
    with process:
        until(JobPaths(tmp_path).tool.exists)
        process.kill()
        until(lambda: not forks.is_running() or forks.status() == psutil.STATUS_ZOMBIE)
        assert read_status(tmp_path).state is State.running
        assert wait(tmp_path, timeout=20).state is State.finished
    assert read_json(JobPaths(tmp_path).exit)["code"] == 0


def test_two_chains_at_once_have_a_worker_each(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    chains = [chain(folder, 0.5) for folder in folders]
    assert len({forks.pid for _, forks in chains}) == 2
    for (process, forks), folder in zip(chains, folders, strict=True):
        with process:
            assert process.wait(20) == 0
        assert read_status(folder).state is State.finished and not forks.is_running()


def test_a_relaunch_beside_a_forked_job_is_refused(tmp_path: Path) -> None:
    from core.errors import JobRunning

    with warm():
        launch(tmp_path, acts("sleep", 30))
        until(JobPaths(tmp_path).tool.exists)
        with pytest.raises(JobRunning):
            launch(tmp_path, acts("leave", 0))
        stop(tmp_path, "test")
        assert wait(tmp_path, timeout=20).state is State.stopped
        assert ends(tmp_path, acts("leave", 0)).state is State.finished


def test_a_request_to_stop_that_comes_first_ends_the_tool(tmp_path: Path) -> None:
    with warm():
        launch(tmp_path, acts("sleep", 30))
        stop(tmp_path, "test")
        assert wait(tmp_path, timeout=20).state is State.stopped


def test_no_worker_is_left(tmp_path: Path) -> None:
    with warm():
        forks = worker()
        with warm():  # of a chain within a chain
            assert worker() is forks
    assert worker() is None and forks and forks.process.returncode is not None


def test_a_log_that_cannot_be_written_ends_the_job_before_it_begins(tmp_path: Path) -> None:
    codes = {}
    for way in WAYS:
        JobPaths(tmp_path / way).log.mkdir(parents=True)
        with ExitStack() as stack:
            if way == "forked":
                stack.enter_context(warm())
            status = ends(tmp_path / way, acts("leave", 0))
        codes[way] = (status.code, status.reason)
    assert codes["forked"] == codes["anew"] == (126, "not started")


def test_a_traceback_begins_at_the_tool(tmp_path: Path) -> None:
    with warm():
        ends(tmp_path, acts("fall"))
    text = JobPaths(tmp_path).log.read_text(encoding="utf-8")
    assert re.search(r'Traceback \(most recent call last\):\n  File ".*acting_engine.py"', text), text
    assert json.loads(JobPaths(tmp_path).exit.read_text())["code"] == 1


def test_the_end_of_a_job_is_seen_at_once_however_seldom_the_rest_is_looked_at(tmp_path: Path) -> None:
    launch(tmp_path, acts("leave", 0))
    began = time.monotonic()
    assert wait(tmp_path, poll=60, timeout=200).state is State.finished
    assert time.monotonic() - began < 30
