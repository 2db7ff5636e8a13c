"""What happens to the machine and to the folder: a full disk, no memory, a restart, another host."""

import os
import time
from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.status import State
from core.pipeline import chain_stages
from core.runs import CHAIN
from core.wording import say
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace
from tests.conftest import RecordFault, fill_disk
from tests.faults.moments import TIMEOUT, HeldChain, Moment, Victim
from tests.faults.test_kills import KILL, goes_on, log, whole
from tests.page import open_test_page

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("moment", [Moment.step, Moment.checkpoint, Moment.convert, Moment.merge])
def test_the_disk_is_full(
    on_small_disk: Workspace, moment: Moment, tmp_path: Path, record_fault: RecordFault
) -> None:
    """While it logs, saves, converts and merges; with room again it goes on."""
    held = HeldChain(on_small_disk, moment, tmp_path)
    kept = whole(held.run)
    filler = fill_disk(on_small_disk.root)
    held.let_go()
    state = held.ended()
    assert state is State.failed
    page = open_test_page("start", held.run.id)
    assert not page.exception
    assert any(say("cause.disk_full", "en") in error.value for error in page.error), page.error
    filler.unlink()
    record_fault("the disk is full", "", moment, goes_on(held, state, kept))


@pytest.mark.parametrize("moment", [Moment.step, Moment.merge])
def test_the_machine_is_restarted(
    page_workspace: Workspace, moment: Moment, tmp_path: Path, record_fault: RecordFault
) -> None:
    """Every process is gone, and other ones have their numbers."""
    held = HeldChain(page_workspace, moment, tmp_path)
    kept = whole(held.run)
    held.strike(Victim.all, KILL)
    held.let_go()
    for job in (CHAIN, moment.stage):
        for file in (JobPaths(held.run.job(job)).supervisor, JobPaths(held.run.job(job)).tool):
            write_json(file, {**(read_json(file) or {}), "pid": os.getpid(), "boot": "an earlier one"})
    state = held.ended()
    assert state is State.lost
    page = open_test_page("start", held.run.id)
    assert any("restarted" in error.value for error in page.error), page.error
    record_fault("the machine is restarted", "", moment, goes_on(held, state, kept))


def test_the_workspace_is_moved_to_another_machine(
    page_workspace: Workspace, tmp_path: Path, record_fault: RecordFault
) -> None:
    """While it trained; there it stands at the same path."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    held.strike(Victim.all, KILL)
    held.let_go()
    kept = whole(held.run)
    belongs_elsewhere(page_workspace)
    state = held.ended()
    assert state is State.lost
    record_fault("moved to another machine", "", Moment.step, goes_on(held, state, kept))


def test_at_another_path_it_says_what_to_do(
    page_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_fault: RecordFault
) -> None:
    """A recipe holds whole paths; with a link at the old one everything is found."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    held.strike(Victim.all, KILL)
    held.let_go()
    there = Workspace(tmp_path / "另一台" / "w")
    there.root.parent.mkdir()
    page_workspace.root.rename(there.root)
    belongs_elsewhere(there)
    monkeypatch.setenv("TUNEBOARD_HOME", str(there.root))
    run = there.run(held.run.id)
    page = open_test_page("start", run.id)
    page.button(key="chain_go_on").click().run()
    wait(run.job(CHAIN), poll=0.05, timeout=TIMEOUT)
    (error,) = open_test_page("start", run.id).error
    assert all(str(path) in error.value for path in (page_workspace.starter, page_workspace.root, there.root))
    assert f"make a link at {page_workspace.root}" in error.value and whole(run)
    page_workspace.root.symlink_to(there.root)
    open_test_page("start", run.id).button(key="chain_go_on").click().run()
    assert wait(run.job(CHAIN), poll=0.05, timeout=TIMEOUT).state is State.finished, log(run)
    record_fault(
        "the workspace is moved to another path",
        "",
        "",
        "it says where from, and what to do; then it goes on",
    )


def belongs_elsewhere(workspace: Workspace) -> None:
    """Another machine's, whose supervisors said an hour ago for the last time that they live."""
    for file in workspace.runs.rglob("*.json"):
        if file.name in {"supervisor.json", "tool.json"}:
            write_json(file, {**(read_json(file) or {}), "host": "another", "boot": "another"})
            os.utime(file, (time.time() - 3600,) * 2)


def test_there_is_no_memory(
    page_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_fault: RecordFault
) -> None:
    """A tool that gets no more of it says so, and what it had saved is there."""
    monkeypatch.setenv("FAKE_XTUNER_NO_MEMORY_AT", "25")
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    monkeypatch.delenv("FAKE_XTUNER_NO_MEMORY_AT")
    kept = whole(held.run)
    held.let_go()
    state = held.ended()
    assert state is State.failed
    failed = chain_stages.failure(page_workspace, held.run)
    assert failed and (failed[0], failed[1].cause) == ("train", "cpu_out_of_memory")
    record_fault("no memory", "", Moment.step, goes_on(held, state, kept))
