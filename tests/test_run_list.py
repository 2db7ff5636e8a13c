"""The index of runs is never the truth: whatever happens to it, or to a run beneath it, the list is right."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.errors import DamagedFile
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.process import identify
from core.jobs.status import State
from core.run_list import FEW, RunIndex, list_runs, run_index
from core.runs import read_or_lost, rename
from core.workspace import file_states
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, Workspace
from tests.page import no_errors, open_test_page

COUNT = FEW + 8
ENDED = {"code": 0, "signal": None, "reason": "finished", "started": 1.0, "ended": 2.0}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """So many runs that ended long ago: no tick of a clock is waited for."""
    monkeypatch.setattr("core.run_list.TICK", -1)
    monkeypatch.setattr("core.workspace.paths.TICK", -1)
    workspace = Workspace(tmp_path / "工作 区" / "a b")
    for number in range(COUNT):
        make(workspace, number)
    return workspace


def put(file: Path, value: object) -> None:
    """Without waiting for the disk, as the program does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value), encoding="utf-8")


def make(workspace: Workspace, number: int) -> RunPaths:
    run = workspace.new_run(f"person {number}", datetime(2026, 1, 1) + timedelta(hours=number))
    put(run.about, {"title": f"Person {number}", "name": f"Person {number}"})
    put(run.data, {"name": f"Person {number}"})
    put(run.result, {"learned": 0.5, "kept": 1.0, "leaked": 0, "answers": []})
    for step in ("chain", "train", "merge"):
        job = JobPaths(run.job(step))
        put(job.spec, JobSpec(("true",), Path("/")).as_json())
        put(job.exit, ENDED)
    return run


def truth(workspace: Workspace) -> list[object]:
    """What the folders say, read one by one."""
    names = sorted((folder.name for folder in workspace.runs.iterdir()), reverse=True)
    return [read_or_lost(RunPaths(workspace.runs / name)) for name in names]


def listed_anew(workspace: Workspace) -> list[object]:
    """By another process, which knows no more than the file says."""
    return [*RunIndex(workspace).all()]


@pytest.fixture
def index(workspace: Workspace) -> RunIndex:
    """One that has read all of them, and written its file."""
    index = RunIndex(workspace)
    assert index.all() == truth(workspace)
    assert workspace.run_index.exists()
    return index


def middle(workspace: Workspace) -> RunPaths:
    return RunPaths(workspace.run_folders()[COUNT // 2])


def in_place(file: Path, value: object) -> None:
    """As an editor writes that replaces no file: its folder does not change."""
    with file.open("r+", encoding="utf-8") as stream:
        stream.truncate()
        json.dump(value, stream)


def asked_again(run: RunPaths) -> None:
    launch(run.job("train"), JobSpec(("false",), run.root))
    wait(run.job("train"), poll=0.02, timeout=20)


def started(run: RunPaths) -> None:
    job = JobPaths(run.job("ask"))
    write_json(job.spec, JobSpec(("true",), Path("/")).as_json())
    write_json(job.tool, identify(os.getpid()).as_json())


CHANGES: dict[str, Callable[[RunPaths], object]] = {
    "renamed": lambda run: rename(run, "another title"),
    "title in place": lambda run: in_place(run.about, {"title": "x", "name": "Person 1"}),
    "result in place": lambda run: in_place(run.result, {"learned": 0.25, "kept": 0.5, "leaked": 3}),
    "result of the same size": lambda run: in_place(run.result, {"learned": 0.9, "kept": 1.0, "leaked": 0}),
    "result gone": lambda run: run.result.unlink(),
    "result damaged": lambda run: run.result.write_text("{ half"),
    "a folder in its place": lambda run: (run.about.unlink(), run.about.mkdir()),
    "data say another name": lambda run: write_json(run.data, {"name": "Grace"}),
    "a job begun": started,
    "a job asked for again": asked_again,
    "an end in place": lambda run: in_place(JobPaths(run.job("chain")).exit, {**ENDED, "reason": "failed"}),
    "an end gone": lambda run: JobPaths(run.job("merge")).exit.unlink(),
    "a job gone": lambda run: shutil.rmtree(run.job("train")),
    "adopted": lambda run: (started(run), write_json(run.adopted, {"work_dir": "/x"})),
    "deleted": lambda run: shutil.rmtree(run.root),
    "another folder in its place": lambda run: (
        run.root.rename(run.root.with_name(".away")),
        shutil.copytree(run.root.with_name(".away"), run.root),
        (run.job("train") / "exit.json").unlink(),
        shutil.rmtree(run.root.with_name(".away")),
    ),
    "its folder called otherwise": lambda run: run.root.rename(run.root.with_name("20260101-000000-z")),
    "closed": lambda run: run.root.chmod(0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_that_changes_beneath_it(workspace: Workspace, index: RunIndex, change: str) -> None:
    before = truth(workspace)
    CHANGES[change](middle(workspace))
    for name in (entry.name for entry in workspace.runs.iterdir() if entry.name.startswith(".")):
        shutil.rmtree(workspace.runs / name)
    now = truth(workspace)
    assert now != before or (change == "closed" and os.geteuid() == 0)  # root reads what is closed
    assert index.all() == now and listed_anew(workspace) == now


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_is_set(workspace: Workspace, index: RunIndex, hours: int) -> None:
    """What is changed then has times before, or long after, those that are known."""
    run = middle(workspace)
    in_place(run.result, {"learned": 0.9, "kept": 1.0, "leaked": 0})
    os.utime(run.result, (time.time() + hours * 3600,) * 2)
    assert index.all() == listed_anew(workspace) == truth(workspace)


def test_a_time_that_is_set_back_to_what_it_was(workspace: Workspace, index: RunIndex) -> None:
    """As ``rsync --inplace -t`` and the like do: the inode's own time tells."""
    run = middle(workspace)
    about = run.result.stat()
    with run.result.open("r+", encoding="utf-8") as stream:
        text = stream.read().replace("0.5", "0.9")
        stream.seek(0)
        stream.write(text)
    os.utime(run.result, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert run.result.stat().st_size == about.st_size
    assert index.all() == listed_anew(workspace) == truth(workspace)
    assert index.look(run.id).learned == 0.9


def test_what_has_just_changed_is_read_each_time(
    workspace: Workspace, index: RunIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change in the same tick of a coarse clock leaves the same times."""
    monkeypatch.setattr("core.run_list.TICK", file_states.TICK)
    monkeypatch.setattr("core.workspace.paths.TICK", file_states.TICK)
    run = middle(workspace)
    in_place(run.result, {"learned": 0.1, "kept": 1.0, "leaked": 0})
    assert index.all() == truth(workspace)
    assert run.id not in index._known, "too young to be kept"


def test_a_run_of_this_very_second_is_listed(workspace: Workspace, index: RunIndex) -> None:
    for number in range(3):
        make(workspace, COUNT + number)
        assert index.all() == truth(workspace)


@pytest.mark.parametrize(
    "damage", ["gone", "empty", "half", "a byte", "other form", "folder", "pipe", "closed", "other"]
)
def test_an_index_that_is_damaged_is_none(workspace: Workspace, index: RunIndex, damage: str) -> None:
    file, whole = workspace.run_index, workspace.run_index.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage == "pipe":
        os.mkfifo(file)
    elif damage != "gone":
        at = len(whole) // 2
        file.write_bytes(
            {
                "empty": b"",
                "half": whole[:at],
                "a byte": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
                "other form": b"9" + whole[1:],
                "closed": whole,
                "other": b'{"runs": []}',
            }[damage]
        )
    if damage == "closed":
        file.chmod(0)
    assert index.all() == listed_anew(workspace) == truth(workspace)
    if damage not in {"folder", "closed"}:
        assert file.is_file() and [*RunIndex(workspace)._known] == [], (
            "nothing is read before it is asked for"
        )


@pytest.mark.parametrize("what", ["folder", "pipe", "socket", "/dev/zero", "itself"])
def test_what_is_no_file_is_never_read(tmp_path: Path, what: str) -> None:
    place = tmp_path / "about.json"
    if what == "folder":
        place.mkdir()
    elif what == "pipe":
        os.mkfifo(place)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.relpath(place))
    else:
        place.symlink_to(place.name if what == "itself" else what)
    with pytest.raises(OSError if what == "itself" else DamagedFile):
        read_json(place)


def test_it_is_rebuilt_silently(
    workspace: Workspace, index: RunIndex, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(workspace.run_index.parent)
    assert listed_anew(workspace) == truth(workspace)
    assert workspace.run_index.exists() and capfd.readouterr() == ("", "")


def test_nothing_can_be_written(workspace: Workspace) -> None:
    workspace.run_index.parent.write_text("a file where its folder should be")
    assert listed_anew(workspace) == truth(workspace)


def test_two_that_know_different_runs(workspace: Workspace, index: RunIndex) -> None:
    """Whoever writes last wins: what that one did not know is read again."""
    other = RunIndex(workspace)
    other.all()
    for number in range(COUNT):
        make(workspace, COUNT + number)
    index.all()
    middle(workspace).result.unlink()
    other.all()
    assert index.all() == other.all() == listed_anew(workspace) == truth(workspace)


@pytest.fixture
def at_work(workspace: Workspace) -> Iterator[RunPaths]:
    run = make(workspace, COUNT)
    launch(run.job("ask"), JobSpec(("sleep", "1000"), run.root))
    while not JobPaths(run.job("ask")).tool.exists():
        time.sleep(0.02)
    yield run
    stop(run.job("ask"), by="test", grace=0.1)
    wait(run.job("ask"), timeout=20)


def test_one_that_runs_is_kept_as_long_as_it_does(workspace: Workspace, at_work: RunPaths) -> None:
    index = RunIndex(workspace)
    assert index.all()[0].steps["ask"] is State.running
    assert at_work.id in index._known and [run.id for run in index.at_work()] == [at_work.id]
    assert [run.id for run in RunIndex(workspace).at_work()] == [at_work.id]
    stop(at_work.job("ask"), by="test", grace=0.1)
    wait(at_work.job("ask"), timeout=20)
    assert index.all() == listed_anew(workspace) == truth(workspace)
    assert index.all()[0].steps["ask"] is State.stopped and index.at_work() == []


def test_a_supervisor_that_touches_its_file(workspace: Workspace, at_work: RunPaths) -> None:
    """It says to other machines that it lives: nothing is read again for that."""
    index = RunIndex(workspace)
    known = index.all()[0]
    JobPaths(at_work.job("ask")).supervisor.touch()
    assert index.look(at_work.id) is known


def test_one_whose_processes_are_killed_is_lost_at_once(workspace: Workspace, at_work: RunPaths) -> None:
    index = RunIndex(workspace)
    index.all()
    job = JobPaths(at_work.job("ask"))
    for file in (job.supervisor, job.tool):
        os.kill(json.loads(file.read_text())["pid"], 9)
    until = time.monotonic() + 20
    while index.all()[0].steps["ask"] is State.running and time.monotonic() < until:
        time.sleep(0.02)
    assert index.all()[0].steps["ask"] is State.lost and index.all() == truth(workspace)


def test_a_run_that_works_elsewhere_is_asked_for_each_time(workspace: Workspace, index: RunIndex) -> None:
    run = middle(workspace)
    job = JobPaths(run.job("train"))
    job.exit.unlink()
    write_json(job.tool, {**identify(os.getpid()).as_json(), "boot": "another", "host": "elsewhere"})
    os.utime(job.spec, (time.time() - 3600,) * 2)
    assert index.all() == truth(workspace) and index.at_work() == []
    write_json(job.supervisor, {**identify(os.getpid()).as_json(), "boot": "another", "host": "elsewhere"})
    assert index.all() == truth(workspace)
    assert [one.id for one in index.at_work()] == [run.id], "its supervisor has just said that it lives"
    os.utime(job.supervisor, (time.time() - 3600,) * 2)
    assert index.all() == listed_anew(workspace) == truth(workspace) and index.at_work() == []
    write_json(job.exit, ENDED)
    assert index.all() == truth(workspace)


def test_what_was_looked_at_lately(workspace: Workspace, index: RunIndex) -> None:
    """New ones and deleted ones are told at once all the same."""
    new, gone = make(workspace, COUNT), middle(workspace)
    shutil.rmtree(gone.root)
    names = [run.run for run in index.all(within=1000)]
    assert new.id in names and gone.id not in names


def test_on_a_slow_disk_many_are_looked_at_at_once(
    workspace: Workspace, index: RunIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.run_list.TRIED", 2)
    monkeypatch.setattr("core.run_list.SLOW", 0)
    threads = set()
    look = RunIndex.look

    def noted(self: RunIndex, name: str) -> object:
        threads.add(threading.current_thread().name.partition("_")[0])
        return look(self, name)

    monkeypatch.setattr(RunIndex, "look", noted)
    middle(workspace).result.unlink()
    assert index.all() == listed_anew(workspace) == truth(workspace)
    assert "look at runs" in threads


def test_few_runs_write_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make(workspace, 1)
    assert len(list_runs(workspace)) == 1 and not workspace.run_index.exists()


def test_the_start_page_shows_the_newest_and_finds_the_others(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        make(page_workspace, number)
    oldest = page_workspace.run_folders()[-1].name
    page = open_test_page("start")
    assert no_errors(page) and len(page.dataframe[0].value) == 30
    page.button(key="runs_show_more").click().run()
    assert len(page.dataframe[0].value) == 40
    page.text_input(key="runs_find").input("person 0").run()
    assert run_index(page_workspace).has_looked
    assert no_errors(page) and list(page.dataframe[0].value["title"]) == ["Person 0"]
    rename(page_workspace.run(oldest), "Zoë")
    page.text_input(key="runs_find").input("nobody").run()
    assert no_errors(page) and not page.dataframe
    page_workspace.run(oldest).result.unlink()
    page = open_test_page("start", run=oldest)
    assert no_errors(page) and page.button(key=f"run_delete_now {oldest}")
