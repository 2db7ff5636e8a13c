"""What a job folder's files say about a job whose processes are other than they seem."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from core.errors import JobRunning
from core.jobs.ending import Reason
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, wait
from core.jobs.process import identify, is_alive
from core.jobs.status import State, read_status
from core.workspace.files import write_json
from core.workspace.paths import PROJECT

SPEC = JobSpec(("true",), Path("/"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "工作 区" / "a b"


def test_another_process_with_the_same_id_is_not_the_job(folder: Path) -> None:
    paths, me = JobPaths(folder), identify(os.getpid())
    write_json(paths.spec, SPEC.as_json())
    write_json(paths.supervisor, {**me.as_json(), "ticks": me.ticks - 1})
    write_json(paths.tool, {**me.as_json(), "ticks": me.ticks + 1})
    assert read_status(folder).state is State.lost
    write_json(paths.supervisor, {**me.as_json(), "boot": "another"})
    assert read_status(folder).reason == Reason.restarted
    write_json(paths.supervisor, {**me.as_json(), "boot": "another", "host": "another"})
    os.utime(paths.supervisor, (1, 1))  # one whose supervisor has said nothing for long
    assert read_status(folder).reason == Reason.elsewhere
    paths.supervisor.write_text('{"pid": 1')  # not ours
    assert read_status(folder).state is not State.running
    write_json(paths.supervisor, me.as_json())
    assert read_status(folder).state is State.running  # the control: the same file with the right start


@pytest.mark.parametrize("silent", [True, False])
def test_what_a_machine_that_is_gone_still_holds_stops_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    """NFS 3 keeps its locks until it is back."""
    monkeypatch.setattr("core.jobs.launch.LEAVE_TIMEOUT", 0.05)
    paths, there = JobPaths(folder), {**identify(os.getpid()).as_json(), "boot": "another", "host": "another"}
    write_json(paths.spec, SPEC.as_json())
    write_json(paths.supervisor, there)
    if silent:
        os.utime(paths.supervisor, (1, 1))
    with FileLock(paths.lock):
        if silent:
            launch(folder, SPEC)
            assert wait(folder).state is State.finished
        else:
            with pytest.raises(JobRunning):
                launch(folder, SPEC)


@pytest.mark.real_start
def test_a_supervisor_takes_over_from_one_that_never_leaves(folder: Path) -> None:
    """Slurm begins a job anew whose node is gone; without patience one is refused beside another."""
    paths = JobPaths(folder)
    write_json(paths.spec, SPEC.as_json())
    ask = (
        "import sys; from pathlib import Path; from core.jobs.supervise import main; "
        "main(Path(sys.argv[1]), patience=float(sys.argv[2]))"
    )
    codes = []
    with FileLock(paths.lock):
        for patience in ("0", "0.1"):
            command = [sys.executable, "-c", ask, str(folder), patience]
            codes.append(subprocess.run(command, cwd=PROJECT, check=False, capture_output=True).returncode)
    assert codes == [1, 0] and read_status(folder).state is State.finished


def test_a_job_waits_for_its_supervisor_only_so_long(folder: Path) -> None:
    write_json(JobPaths(folder).spec, SPEC.as_json())
    assert read_status(folder).state is State.waiting
    os.utime(JobPaths(folder).spec, (time.time() - 11, time.time() - 11))
    status = read_status(folder)
    assert (status.state, status.reason) == (State.lost, Reason.never_started)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["/bin/sleep", "1000"])
    identity = identify(child.pid)
    assert is_alive(identity) and abs(identity.started - time.time()) < 5
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert not is_alive(identity)
    child.wait()
    assert not is_alive(identity)
    with pytest.raises(ProcessLookupError):
        identify(child.pid)


def test_json_is_never_half_written(folder: Path) -> None:
    path = folder / "状态.json"
    value = {"text": "长" * 20_000}
    write_json(path, value)
    done = threading.Event()

    def write() -> None:
        for _ in range(50):
            write_json(path, value)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not done.is_set():
        assert json.loads(path.read_text(encoding="utf-8")) == value
        reads += 1
    writer.join()
    assert reads and [file.name for file in folder.iterdir()] == [path.name]
