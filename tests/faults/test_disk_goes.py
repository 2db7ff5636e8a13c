"""What a workspace lies on changes under a chain: its disk becomes read-only or goes away, files of what runs
are deleted, no more files can be made."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import stop
from core.jobs.status import LIVE, State, read_status
from core.runs import CHAIN
from core.wording import say
from core.workspace.paths import Workspace
from tests.conftest import RecordFault, end_leftovers
from tests.faults.moments import HeldChain, Moment, Victim
from tests.faults.test_kills import goes_on, log, whole
from tests.page import open_test_page
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    end_leftovers(tmp_path)


@contextmanager
def mounted_over(folder: Path, *how: tuple[str, ...]) -> Iterator[None]:
    """What the folder shows meanwhile, by these mounts; whoever has a file of it open keeps that."""
    for options in how:
        subprocess.run(["/bin/mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def said(held: HeldChain) -> str:
    page = open_test_page("start", held.run.id)
    assert not page.exception
    return "\n".join(error.value for error in page.error)


def test_the_disk_becomes_read_only(
    on_small_disk: Workspace, tmp_path: Path, record_fault: RecordFault
) -> None:
    """As the kernel mounts a disk with errors. Nobody can write how anything ended."""
    held = HeldChain(on_small_disk, Moment.step, tmp_path)
    kept, disk = whole(held.run), on_small_disk.root.parent
    with mounted_over(disk, ("--bind", str(disk)), ("-o", "remount,bind,ro")):
        held.let_go()
        state = held.ended()
        assert state is State.lost and say("cause.read_only", "en") in said(held)
        for step in ("train", "chat", "publish"):
            assert not open_test_page(step, held.run.id).exception
    came = goes_on(held, state, kept)
    record_fault("the disk becomes read-only", "", Moment.step, came)


def test_the_disk_goes_away(on_small_disk: Workspace, tmp_path: Path, record_fault: RecordFault) -> None:
    """And comes again: a network drive, a stick."""
    held = HeldChain(on_small_disk, Moment.step, tmp_path)
    kept, disk = whole(held.run), on_small_disk.root.parent
    alive = list(held.processes())
    with mounted_over(disk, ("-t", "tmpfs", "none")):
        held.let_go()
        until(lambda: not any(one.is_running() for one in alive))
        ours = {path.name for path in disk.rglob("*")} & {"exit.json", "progress.json", "supervisor.json"}
        assert not ours, "nothing is written in its place, whatever folders the tool has made there"
    state = held.ended()
    assert state is State.lost and say("cause.file_missing", "en") in said(held)
    record_fault("the disk goes away and comes again", "", Moment.step, goes_on(held, state, kept))


def test_no_more_files_can_be_made(
    on_small_disk: Workspace, tmp_path: Path, record_fault: RecordFault
) -> None:
    """There is room, but the disk holds as many files as it can."""
    held = HeldChain(on_small_disk, Moment.step, tmp_path)
    kept, disk = whole(held.run), on_small_disk.root.parent
    free = os.statvfs(disk)
    remount(disk, f"nr_inodes={free.f_files - free.f_ffree}")
    held.let_go()
    state = held.ended()
    assert state is State.failed and "holds as many files as it can" in said(held)
    remount(disk, "nr_inodes=100000")
    record_fault("the disk holds as many files as it can", "", Moment.step, goes_on(held, state, kept))


def remount(disk: Path, options: str) -> None:
    subprocess.run(["/bin/mount", "-o", f"remount,{options}", str(disk)], check=True)


DELETED: dict[str, Callable[[JobPaths], Path]] = {
    "job.json": lambda paths: paths.spec,
    "supervisor.json": lambda paths: paths.supervisor,
    "tool.json": lambda paths: paths.tool,
}


@pytest.mark.parametrize("name", DELETED)
def test_a_file_of_jobs_that_run_is_deleted(
    page_workspace: Workspace, tmp_path: Path, name: str, record_fault: RecordFault
) -> None:
    """Their supervisors write it again; meanwhile nobody misses it."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    kept = whole(held.run)
    files = [DELETED[name](JobPaths(held.run.job(job))) for job in ("train", CHAIN)]
    for file in files:
        file.unlink()
        assert read_status(file.parent).state in LIVE
    until(lambda: all(file.exists() for file in files))
    held.let_go()
    state = held.ended()
    assert state is State.finished, log(held.run)
    record_fault(
        f"{name} of jobs that run is deleted", "", "", f"{goes_on(held, state, kept)}; it is written again"
    )


def test_logs_are_rotated_away(page_workspace: Workspace, tmp_path: Path, record_fault: RecordFault) -> None:
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    for job in ("train", CHAIN):
        file = JobPaths(held.run.job(job)).log
        file.rename(file.with_name("output.log.1"))
        assert not open_test_page("train", held.run.id).exception
    held.let_go()
    assert held.ended() is State.finished
    for step in ("start", "train"):
        page = open_test_page(step, held.run.id)
        assert not page.exception and not page.error
    record_fault(
        "logs of jobs that run are rotated away", "", "", "finished; what they said is in the old file"
    )


def test_job_json_of_a_job_that_ended_is_deleted(page_workspace: Workspace, tmp_path: Path) -> None:
    """What its last try left is put aside by the next one all the same: it would stand for that one's end."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    kept = whole(held.run)
    held.strike(Victim.tool, signal.SIGKILL)
    held.let_go()
    state = held.ended()
    for job in ("train", CHAIN):
        JobPaths(held.run.job(job)).spec.unlink()
    goes_on(held, state, kept)


def test_the_starter_is_deleted_meanwhile(
    page_workspace: Workspace, tmp_path: Path, record_fault: RecordFault
) -> None:
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    kept = whole(held.run)
    stop(held.run.job(CHAIN), by="test")
    assert held.ended() is State.stopped
    shutil.rmtree(page_workspace.starter)
    record_fault(
        "the starter model is deleted", "", "", f"{goes_on(held, State.stopped, kept)}; it is made again"
    )


def test_everything_is_suspended_for_a_while(
    page_workspace: Workspace, tmp_path: Path, record_fault: RecordFault
) -> None:
    """By SIGSTOP, as a frozen control group is; a stop that was asked for meanwhile counts."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    kept = whole(held.run)
    everybody = (Victim.tool, Victim.supervisor, Victim.chain, Victim.chain_supervisor)
    for victim in everybody:
        held.strike(victim, signal.SIGSTOP)
    stop(held.run.job(CHAIN), by="test")
    page = open_test_page("train", held.run.id)
    assert not page.exception
    for victim in reversed(everybody):
        held.strike(victim, signal.SIGCONT)
    state = held.ended()
    assert state is State.stopped
    record_fault("suspended, and stop pressed meanwhile", "", Moment.step, goes_on(held, state, kept))
