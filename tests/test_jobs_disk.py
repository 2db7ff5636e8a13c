"""A full disk: a small tmpfs that the job itself, or somebody else, fills."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import JobNotStarted
from core.jobs import supervise
from core.jobs.ending import Ending, Reason
from core.jobs.explain import explain
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.status import State, read_status
from core.jobs.tail import last_lines
from core.workspace.files import read_json, write_json
from tests.conftest import fill_disk

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start


@pytest.fixture
def disk(small_disk: Callable[[str], Path]) -> Path:
    return small_disk("size=512k")


def job(script: str) -> JobSpec:
    return JobSpec(("sh", "-c", script), Path("/"))


def test_a_job_that_fills_its_disk_still_says_how_it_ended(disk: Path) -> None:
    folder = disk / "a b"
    launch(folder, job("head -c 10000000 /dev/zero | tr '\\0' 'x'; exit 1"))
    status = wait(folder, poll=0.05, timeout=20)
    assert (status.state, status.code, status.reason) == (State.failed, 1, Reason.disk_full)
    cause = explain(last_lines(JobPaths(folder).log, 100), status)
    assert cause is not None and cause.key == "disk_full"


def test_a_job_on_a_full_disk_can_be_stopped(disk: Path) -> None:
    folder = disk / "a b"
    launch(folder, job("sleep 1000"))
    fill_disk(disk)
    stop(folder, by="测试")
    assert wait(folder, poll=0.05, timeout=20).state is State.stopped
    assert not JobPaths(folder).stop.exists()


def test_launching_on_a_full_disk_leaves_everything_as_it_was(disk: Path) -> None:
    folder = disk / "a b"
    launch(folder, job("echo first"))
    before = wait(folder, poll=0.05, timeout=20)
    filler = fill_disk(disk)
    with pytest.raises(JobNotStarted) as refused:
        launch(folder, job("echo second"))
    assert "No space left" in str(refused.value.values["reason"])
    assert read_status(folder) == before and JobPaths(folder).log.read_text() == "first\n"
    filler.unlink()
    launch(folder, job("echo second"))
    assert wait(folder, poll=0.05, timeout=20).state is State.finished


def test_json_on_a_full_disk_leaves_the_old_file_and_nothing_else(disk: Path) -> None:
    path = disk / "状态.json"
    write_json(path, "old")
    filler = fill_disk(disk)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, "new" * 10_000)
    assert read_json(path) == "old"
    assert sorted(disk.iterdir()) == sorted([path, filler])


def test_the_word_of_the_end_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def write_when_there_is_room(path: Path, value: object) -> None:
        nonlocal tries
        tries += 1
        if tries <= 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_json(path, value)

    monkeypatch.setattr(supervise, "write_json", write_when_there_is_room)
    monkeypatch.setattr(supervise, "WRITE_RETRY", 0.01)
    paths = JobPaths(tmp_path)
    paths.reserve.write_bytes(bytes(10))
    ended = Ending(1, None, Reason.disk_full, 1.0, 2.0)
    supervise.Supervisor(paths)._write_exit(ended)
    assert tries == 6 and read_json(paths.exit) == ended.as_json() and not paths.reserve.exists()
    tries = -1000
    monkeypatch.setattr(supervise, "WRITE_PATIENCE", 0.05)
    with pytest.raises(OSError, match="No space left"):
        supervise.Supervisor(paths)._write_exit(ended)
