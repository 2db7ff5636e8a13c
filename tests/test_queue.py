"""Jobs that wait for a device: their order, who goes first, and that none is lost."""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.process import is_alive, read_identity
from core.jobs.status import State, read_status
from core.jobs.take_up import take_up
from core.jobs.turn import another_has_it, line_in, position
from core.pipeline import chain, queued, tune_request
from core.queue import cards, line, neighbours
from core.queue.devices import HELD_VARIABLE, Devices, Held, chosen, held_already
from core.recipe.recipe import to_yaml
from core.steps import prepare
from core.workspace.paths import PROJECT, Workspace, workspace_around
from tests.page import open_test_page
from tests.small_model import make_small_model
from tests.small_run import make_run, stop_jobs
from tests.waiting import until

ENDLESS = ("sleep", "1000")
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _nothing_is_left(workspace: Workspace) -> Iterator[None]:
    yield
    stop_jobs(workspace)


def job_of(workspace: Workspace, name: str) -> Path:
    return workspace.runs / name / "train"


def ask(workspace: Workspace, name: str, command: Sequence[str] = ("true",), **devices: object) -> Path:
    folder = job_of(workspace, name)
    launch(folder, JobSpec(tuple(command), PROJECT, devices=Devices(**devices)))  # type: ignore[arg-type]
    return folder


def begins(folder: Path) -> None:
    until(lambda: JobPaths(folder).spec.exists() and read_status(folder).state is State.running)


def kill(written: Path, by: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the process that a file names, and wait for its end."""
    process = read_identity(written)
    assert process
    os.kill(process.pid, by)
    until(lambda: not is_alive(process))


def kill_supervisor(folder: Path) -> None:
    kill(JobPaths(folder).supervisor)


def is_supervised(folder: Path) -> bool:
    supervisor = read_identity(JobPaths(folder).supervisor)
    return supervisor is not None and is_alive(supervisor)


def order(jobs: Sequence[Path]) -> list[str]:
    """The runs of ended jobs in the order in which they began."""
    began = sorted((wait(folder, timeout=PATIENCE).started or 0.0, folder.parent.name) for folder in jobs)
    return [name for _, name in began]


def test_the_second_job_waits_until_the_first_has_ended(workspace: Workspace) -> None:
    first = ask(workspace, "one", ENDLESS)
    begins(first)
    second = ask(workspace, "two")
    assert read_status(second).state is State.waiting and position(second) == 1
    assert not JobPaths(second).log.exists()
    stop(first, "test")
    assert wait(second, timeout=PATIENCE).state is State.finished
    assert line_in(workspace.root).entries() == []


def test_what_computes_little_waits_for_nobody(workspace: Workspace) -> None:
    begins(ask(workspace, "one", ENDLESS))
    folder = job_of(workspace, "two")
    launch(folder, JobSpec(("true",), PROJECT))
    assert wait(folder, timeout=PATIENCE).state is State.finished


def test_who_was_moved_to_the_front_begins_first(workspace: Workspace) -> None:
    first = ask(workspace, "0", ENDLESS)
    begins(first)
    jobs = [ask(workspace, name) for name in "abcd"]
    found = line_in(workspace.root)
    found.move(found.id_of(jobs[3]), 1)
    found.move(found.id_of(jobs[0]), 3)
    assert [position(folder) for folder in jobs] == [3, 2, 4, 1]
    stop(first, "test")
    assert order(jobs) == ["d", "b", "a", "c"]


def test_a_waiting_job_that_is_stopped_ends_at_once_and_can_be_asked_for_again(workspace: Workspace) -> None:
    begins(ask(workspace, "one", ENDLESS))
    second, third = ask(workspace, "two"), ask(workspace, "three")
    stop(second, "test")
    assert wait(second, timeout=PATIENCE).state is State.stopped
    assert position(third) == 1 and not JobPaths(second).tool.exists()
    ask(workspace, "two")
    assert position(second) == 2


def test_one_that_is_to_run_now_begins_beside_who_has_the_device(workspace: Workspace) -> None:
    first = ask(workspace, "one", ENDLESS)
    begins(first)
    second, third = ask(workspace, "two"), ask(workspace, "three", ENDLESS)
    found = line_in(workspace.root)
    found.hurry(found.id_of(third))
    begins(third)
    assert read_status(first).state is State.running and position(second) == 1


def test_a_killed_supervisor_gets_another_one_in_its_place(workspace: Workspace) -> None:
    first = ask(workspace, "0", ENDLESS)
    begins(first)
    jobs = [ask(workspace, name) for name in "abc"]
    for folder in jobs[:2]:
        kill_supervisor(folder)
    assert {read_status(folder).state for folder in jobs} == {State.waiting}
    until(lambda: all(is_supervised(folder) for folder in jobs))
    assert [position(folder) for folder in jobs] == [1, 2, 3]
    stop(first, "test")
    assert order(jobs) == ["a", "b", "c"]


def test_when_everything_went_down_whatever_starts_takes_the_line_up_again(workspace: Workspace) -> None:
    first = ask(workspace, "0", ENDLESS)
    begins(first)
    jobs = [ask(workspace, name) for name in "abc"]
    for folder in reversed(jobs):
        kill_supervisor(folder)
    stop(jobs[1], "test")
    stop(first, "test")
    assert take_up(workspace.root) == [jobs[0], jobs[2]]
    assert order([jobs[0], jobs[2]]) == ["a", "c"]
    assert read_status(jobs[1]).state is State.stopped
    assert take_up(workspace.root) == []


def test_a_supervisor_that_is_asked_to_end_with_its_machine_keeps_its_place(workspace: Workspace) -> None:
    first = ask(workspace, "0", ENDLESS)
    begins(first)
    second = ask(workspace, "a")
    kill(JobPaths(second).supervisor, signal.SIGTERM)
    assert not JobPaths(second).exit.exists() and position(second) == 1
    assert take_up(workspace.root) == [second]
    assert read_status(second).state is State.waiting


def test_a_tool_that_outlives_its_supervisor_keeps_its_device(workspace: Workspace) -> None:
    first = ask(workspace, "one", ENDLESS)
    begins(first)
    until(lambda: JobPaths(first).tool.exists())
    kill_supervisor(first)
    second = ask(workspace, "two")
    assert read_status(first).state is State.running
    assert line_in(workspace.root).entries()[0].devices == ("cpu",) and position(second) == 1
    stop(first, "test")
    assert wait(second, timeout=PATIENCE).state is State.finished


def test_what_a_job_starts_has_its_devices_and_keeps_them(workspace: Workspace) -> None:
    """A chain and its stages; the stage is at work still when the chain was killed."""
    inner = job_of(workspace, "inner")
    code = (
        "import sys; from pathlib import Path; from core.jobs.job import JobSpec; "
        "from core.jobs.launch import launch, wait; from core.queue.devices import Devices; "
        f"folder = Path({str(inner)!r}); "
        "launch(folder, JobSpec(('sleep', '1000'), Path('/'), devices=Devices())); wait(folder)"
    )
    outer = ask(workspace, "outer", (sys.executable, "-c", code))
    begins(inner)
    entries = line_in(workspace.root).entries()
    assert [(entry.job, entry.devices) for entry in entries] == [(outer, ("cpu",))]
    second = ask(workspace, "two")
    for part in (JobPaths(outer).supervisor, JobPaths(outer).tool):
        kill(part)
    # A killed process of several threads lets go of its files with the last of them.
    until(lambda: [entry.job for entry in line_in(workspace.root).entries()] == [inner, second])
    stop(inner, "test")
    assert wait(second, timeout=PATIENCE).state is State.finished


def test_the_order_stands_whoever_is_killed_when(workspace: Workspace) -> None:
    dice = random.Random(7)
    first = ask(workspace, "00", ENDLESS)
    begins(first)
    jobs = [ask(workspace, f"{number:02d}") for number in range(1, 9)]
    for folder in dice.sample(jobs, 4):
        kill_supervisor(folder)
        time.sleep(dice.random() / 10)
    stop(first, "test")
    assert order(jobs) == [folder.parent.name for folder in jobs]
    assert {read_status(folder).state for folder in jobs} == {State.finished}


@pytest.mark.parametrize(
    ("devices", "here", "taken", "at_once", "got"),
    [
        (Devices(), ["cpu"], {}, False, ["cpu"]),
        (Devices(), ["cpu"], {"cpu": 1}, False, None),
        (Devices(), ["cpu"], {"cpu": 1}, True, ["cpu"]),
        (Devices(4), ["cpu"], {}, False, ["cpu"]),
        (Devices(1, "gpu"), ["gpu:0", "gpu:1"], {"gpu:0": 1}, False, ["gpu:1"]),
        (Devices(2, "gpu"), ["gpu:0", "gpu:1", "gpu:2"], {"gpu:1": 1}, False, ["gpu:0", "gpu:2"]),
        (Devices(2, "gpu"), ["gpu:0", "gpu:1"], {"gpu:1": 1}, False, None),
        (Devices(1, "gpu"), ["gpu:0", "gpu:1"], {"gpu:0": 2, "gpu:1": 1}, True, ["gpu:1"]),
        (Devices(8, "gpu"), ["gpu:0", "gpu:1"], {}, False, ["gpu:0", "gpu:1"]),
        (Devices(1, "gpu"), [], {}, False, []),
        (Devices(1, "gpu", named=("gpu:1",)), ["gpu:0", "gpu:1"], {}, False, ["gpu:1"]),
        (Devices(1, "gpu", named=("gpu:1",)), ["gpu:0", "gpu:1"], {"gpu:1": 1}, False, None),
        (Devices(1, "gpu", named=("gpu:1",)), ["gpu:0", "gpu:1"], {"gpu:1": 1}, True, ["gpu:1"]),
        (Devices(1, "gpu", named=("gpu:7",)), ["gpu:0", "gpu:1"], {"gpu:0": 1}, False, ["gpu:1"]),
    ],
)
def test_which_devices_a_job_gets(
    devices: Devices, here: list[str], taken: dict[str, int], at_once: bool, got: list[str] | None
) -> None:
    assert chosen(devices, here, taken, at_once) == got


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = replace(cards.this_machine(), gpus=tuple(cards_of(2)))
    monkeypatch.setattr(cards, "this_machine", lambda: machine)
    monkeypatch.delenv(cards.VISIBLE, raising=False)


def cards_of(count: int) -> Iterator[object]:
    from core.machine import Gpu

    yield from (Gpu(index, "H200", 141 << 30, 140 << 30) for index in range(count))


def begun(place: line.LinePlace) -> line.Hold:
    """What a job has that has just begun."""
    hold = place.begin()
    assert hold
    hold.settle()
    place.settle()
    return hold


@pytest.mark.usefixtures("two_cards")
def test_several_cards_are_had_together_or_not_at_all_and_nobody_overtakes(workspace: Workspace) -> None:
    found = line.Line(workspace.root, cards.here)
    one = begun(found.join(job_of(workspace, "one"), Devices(1, "gpu")))
    both = found.join(job_of(workspace, "both"), Devices(2, "gpu"))
    late = found.join(job_of(workspace, "late"), Devices(1, "gpu"))
    assert one.devices == ("gpu:0",)
    assert both.begin() is None and late.begin() is None  # a card is free, and kept for the first
    chat = begun(found.join(job_of(workspace, "chat"), Devices(1, "gpu", waits=False)))
    assert chat.devices == ("gpu:1",)
    one.release()
    assert both.begin() is None
    chat.release()
    assert begun(both).devices == ("gpu:0", "gpu:1")
    assert begun(found.join(job_of(workspace, "cpu"), Devices())).devices == ("cpu",)


@pytest.mark.usefixtures("two_cards")
def test_a_card_that_was_chosen_is_the_one_that_is_held(workspace: Workspace) -> None:
    """Also by what is read of a job's file, and of its ticket."""
    found = line.Line(workspace.root, cards.here)
    second = Devices.of(json.loads(json.dumps(cards.computing(1, cards=(1,)).as_json())))
    assert second == Devices(1, "gpu", named=("gpu:1",))
    one = begun(found.join(job_of(workspace, "one"), second))
    assert one.devices == ("gpu:1",)
    found.join(job_of(workspace, "two"), second)
    assert found.waits_at(job_of(workspace, "two")) == 1
    one.release()
    assert found.waits_at(job_of(workspace, "two")) is None


@pytest.mark.usefixtures("two_cards")
def test_a_program_sees_its_cards_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cards.here("gpu") == ["gpu:0", "gpu:1"] and cards.here("cpu") == ["cpu"]
    assert cards.only(["gpu:1"])[cards.VISIBLE] == "1"
    assert cards.only(["gpu:0", "gpu:1"]) == {} and cards.only(["cpu"]) == {}
    assert cards.computing(2) == Devices(2, "gpu") and cards.computing(hidden=True) == Devices()
    monkeypatch.setenv(cards.VISIBLE, "MIG-a,MIG-b")
    assert cards.here("gpu") == ["gpu:MIG-a", "gpu:MIG-b"]


def test_what_holds_devices_says_so_to_what_it_starts() -> None:
    held = Held("abc", ("gpu:0", "gpu:1"))
    assert held_already({HELD_VARIABLE: held.as_text()}) == held
    assert held_already({}) is None and held_already({HELD_VARIABLE: "slurm"}) == Held("slurm", ())


@pytest.mark.parametrize(
    ("job", "found"),
    [
        ("/w/runs/r/train", "/w"),
        ("/runs/w/sets/data/job", "/runs/w"),
        ("/w/chat-server", "/w"),
        ("/w/adapters/a/prove", "/w"),
        ("/w/x/job", None),
        ("/", None),
    ],
)
def test_where_a_job_waits(job: str, found: str | None) -> None:
    assert workspace_around(Path(job)) == (Path(found) if found else None)


def test_a_line_that_cannot_be_written_keeps_no_job_from_its_work(workspace: Workspace) -> None:
    workspace.root.mkdir(parents=True, exist_ok=True)
    workspace.queue.write_text("no folder")
    folder = ask(workspace, "one")
    assert wait(folder, timeout=PATIENCE).state is State.finished


@pytest.mark.usefixtures("two_cards")
def test_a_chain_holds_what_its_recipe_is_on_by_now(workspace: Workspace) -> None:
    """And not what it was asked for: somebody may have put the run on others since."""
    make_small_model(workspace.starter)
    request = tune_request.TuneRequest("Ada", devices=1)
    run = make_run(workspace)
    assert chain.plan(workspace, run, request, "me", "en").devices == Devices(1, "gpu")
    changed = prepare.recipe_of(run).changed(devices=2, cards=(0, 1))
    run.recipe.write_text(to_yaml(changed), encoding="utf-8")
    held = chain.plan(workspace, run, request, "me", "en").devices
    assert held == Devices(2, "gpu", named=("gpu:0", "gpu:1"))


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Workspace]:
    """Another workspace of the same user on the same machine."""
    found = Workspace(tmp_path / "另 一个" / "w")
    yield found
    stop_jobs(found)


def test_a_device_is_taken_in_every_workspace(workspace: Workspace, another: Workspace) -> None:
    first = ask(another, "theirs", ENDLESS)
    begins(first)
    second, third = ask(workspace, "mine", ENDLESS), ask(workspace, "later")
    until(lambda: position(second) == 1)
    assert another_has_it(second) == another_has_it(third) == another.root
    assert [(one.run, one.position, one.workspace) for one in queued.queued(workspace).jobs] == [
        (None, None, another.root),
        ("mine", 1, None),
        ("later", 2, None),
    ]
    assert [one.run for one in queued.queued(another).jobs] == ["theirs"]
    stop(first, by="test")
    begins(second)
    assert another_has_it(second) is None
    again = ask(another, "theirs", ENDLESS)
    until(lambda: position(again) == 1)
    assert another_has_it(again) == workspace.root


def test_when_it_begins_behind_another_workspace_is_a_range(
    workspace: Workspace, another: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job says half a minute, and may take longer; who waits there may come first."""
    begins(ask(another, "theirs", ENDLESS))
    behind = ask(another, "their-next", ENDLESS)
    until(lambda: position(behind) == 1)
    mine = ask(workspace, "mine", ENDLESS)
    until(lambda: position(mine) == 1)
    really = queued._left
    monkeypatch.setattr(queued, "_left", lambda _, entry: 600.0 if entry.position else 30.0)
    (found,) = [one for one in queued.queued(workspace).jobs if one.run == "mine"]
    assert (found.begins, found.latest) == (30.0, 930.0)
    assert "begins in about 30 seconds to about 16 minutes" in found.told()
    turns = queued.queued(workspace)
    assert turns.is_another_before and "nobody knows exactly" in turns.next_told
    monkeypatch.setenv("TUNEBOARD_HOME", str(workspace.root))
    page = open_test_page("start", language="zh")
    said = "".join(str(one.value) for one in page.caption)
    assert "后开始，说不准" in said and "你在这台电脑上开的另一个调音台正在用处理器" in said
    assert str(another.root) not in said and not page.exception
    monkeypatch.setattr(queued, "_left", really)
    (found,) = [one for one in queued.queued(workspace).jobs if one.run == "mine"]
    assert found.begins is None, "of such a job nobody knows"


def test_one_of_several_workspaces_gets_a_device_at_a_time(workspace: Workspace, another: Workspace) -> None:
    """However many ask in the same instant."""
    jobs = [
        ask(where, f"{where.root.name}{number}", ENDLESS)
        for number in range(3)
        for where in (workspace, another)
    ]
    left = {*jobs}
    while left:
        until(lambda: any(read_status(folder).state is State.running for folder in left))
        (one,) = (folder for folder in left if read_status(folder).state is State.running)
        left.remove(one)
        stop(one, by="test")
        wait(one, timeout=PATIENCE)


def test_now_begins_beside_another_workspaces(workspace: Workspace, another: Workspace) -> None:
    begins(ask(another, "theirs", ENDLESS))
    mine = ask(workspace, "mine", ENDLESS)
    until(lambda: position(mine) == 1)
    queued.run_now(workspace, mine)
    begins(mine)


@pytest.mark.parametrize("damage", ["{", "[]", '{"workspaces": 3}', '{"workspaces": ["/proc/1", 5, "gone"]}'])
def test_what_is_known_of_other_workspaces_is_damaged(workspace: Workspace, damage: str) -> None:
    """Then a job waits for those of its own workspace alone."""
    (file := neighbours._file()).parent.mkdir(parents=True)
    file.write_text(damage, encoding="utf-8")
    begins(ask(workspace, "one", ENDLESS))
    second = ask(workspace, "two")
    until(lambda: position(second) == 1)


def test_a_home_that_cannot_be_written(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    begins(ask(workspace, "one", ENDLESS))
    second = ask(workspace, "two")
    until(lambda: position(second) == 1)
