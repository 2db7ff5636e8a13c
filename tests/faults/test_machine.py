"""What happens to the machine and to the folder: a full disk, no memory, a restart, another host."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.jobs.status import State
from core.pipeline import chain
from core.runs import CHAIN, list_runs
from core.wording import say
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace
from tests.conftest import end_leftovers, fill_disk
from tests.faults.moments import HeldChain, Moment, Victim
from tests.faults.test_kills import KILL, goes_on, whole
from tests.page import open_test_page

pytestmark = pytest.mark.slow
Record = Callable[[str, object], None]
# Enough for a chain of the small model, and less than the next checkpoint needs when it is filled.
DISK = "size=24m"


@pytest.fixture
def on_small_disk(
    small_disk: Callable[[str], Path], model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace on a disk of its own."""
    found = Workspace(small_disk(DISK) / "a b")
    shutil.copytree(model, found.starter)
    monkeypatch.setenv("TUNEBOARD_HOME", str(found.root))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    yield found
    end_leftovers(found.root)


@pytest.mark.parametrize("moment", [Moment.step, Moment.checkpoint, Moment.convert, Moment.merge])
def test_the_disk_is_full(
    on_small_disk: Workspace, moment: Moment, tmp_path: Path, record_property: Record
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
    record_property("fault", ["the disk is full", "", moment, goes_on(held, state, kept)])


@pytest.mark.parametrize("moment", [Moment.step, Moment.merge])
def test_the_machine_is_restarted(
    page_workspace: Workspace, moment: Moment, tmp_path: Path, record_property: Record
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
    record_property("fault", ["the machine is restarted", "", moment, goes_on(held, state, kept)])


def test_a_run_is_copied_to_another_machine(
    page_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    """Into another workspace there, under another path, while it trained."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    held.strike(Victim.all, KILL)
    held.let_go()
    there = Workspace(tmp_path / "另一台" / "w")
    shutil.copytree(page_workspace.root, there.root, symlinks=True)
    for file in there.runs.rglob("*.json"):
        if file.name in {"supervisor.json", "tool.json"}:
            write_json(file, {**(read_json(file) or {}), "host": "another", "boot": "another"})
    shutil.rmtree(page_workspace.root)
    monkeypatch.setenv("TUNEBOARD_HOME", str(there.root))
    (run,) = list_runs(there)
    held.workspace, held.run = there, there.run(run.paths.id)
    kept = whole(held.run)
    state = held.ended()
    assert state is State.lost and kept
    record_property("fault", ["copied to another machine", "", Moment.step, goes_on(held, state, kept)])


def test_there_is_no_memory(
    page_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    """A tool that gets no more of it says so, and what it had saved is there."""
    monkeypatch.setenv("FAKE_XTUNER_NO_MEMORY_AT", "25")
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    monkeypatch.delenv("FAKE_XTUNER_NO_MEMORY_AT")
    kept = whole(held.run)
    held.let_go()
    state = held.ended()
    assert state is State.failed
    assert say("cause.killed_out_of_memory", "en") in chain.failure(page_workspace, held.run)
    record_property("fault", ["no memory", "", Moment.step, goes_on(held, state, kept)])
