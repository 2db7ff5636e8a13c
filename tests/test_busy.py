"""Other programs beside a training: what they keep from it is measured, said, and made room for."""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import machine
from core.errors import DamagedFile
from core.jobs.job import JobPaths
from core.jobs.progress import Phase, ProgressWriter, job_progress
from core.machine import Look, Neighbours, OtherWork, free_threads, slowdown_on
from core.steps import busy as busy_step
from core.steps.busy import busy, busy_now
from core.steps.step import THREADS_VARIABLE, engine_environment
from core.wording import say
from core.workspace.files import read_record, write_json
from core.workspace.paths import RunPaths, Workspace
from tests.small_run import make_run


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine of eight, which this process may use all of, but four at a time."""
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("busy", "own", "kept"), [(80, 40, 0.0), (60, 10, 1.0), (75, 5, 3.0), (5, 9, 0.0)])
def test_what_others_take_is_what_this_process_does_not(busy: float, own: float, kept: float) -> None:
    """Over ten seconds. Four of the eight cores are others' without anybody's loss."""
    looks = iter([Look(0.0, 1000.0, 7.0), Look(10.0, 1000.0 + busy, 7.0 + own)])
    assert OtherWork(look=lambda: next(looks)).cores() == pytest.approx(kept)


@pytest.mark.usefixtures("four_cores")
def test_a_mean_over_some_seconds_stays_until_they_have_passed() -> None:
    """Before the first has, it is one over those that have."""
    looks = iter([Look(0.0, 0.0, 0.0), Look(5.0, 40.0, 0.0), Look(10.0, 60.0, 0.0), Look(12.0, 76.0, 0.0)])
    others = OtherWork(10.0, lambda: next(looks))
    assert [others.cores() for _ in range(3)] == [4.0, 2.0, 2.0]


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("kept", "threads"), [(0.0, 4), (0.9, 4), (1.0, 3), (2.2, 2), (3.6, 1), (4.0, 1)])
def test_as_many_threads_as_cores_are_free(kept: float, threads: int) -> None:
    assert free_threads(kept) == threads


@pytest.mark.parametrize(
    ("kept", "times"), [(0.0, 1.0), (0.5, 1.125), (1.0, 4 / 3), (2.0, 2.0), (4.0, 5.0)], ids=str
)
def test_how_much_slower_everything_is(kept: float, times: float) -> None:
    """Of four cores: as many threads as are free, each with its share."""
    assert slowdown_on(4, kept) == pytest.approx(times)


@pytest.mark.parametrize(("kept", "times"), [(0.0, 1.0), (1.0, 4 / 3), (3.0, 4.0), (4.0, 20.0)], ids=str)
def test_who_computes_gets_what_others_leave(kept: float, times: float) -> None:
    """In a crowd that is less than beside a few."""
    assert slowdown_on(4, kept, computing=True) == pytest.approx(times)


def looks_of(*cores: float) -> tuple[Neighbours, list[SimpleNamespace]]:
    """One after the other, the first a moment old."""
    works = [SimpleNamespace(passed=0.1, whole=False, cores=lambda kept=kept: kept) for kept in cores]
    made = iter(works)
    return Neighbours(lambda: next(made)), works  # type: ignore[arg-type,return-value]


def test_what_others_do_is_the_same_to_everybody_for_a_while() -> None:
    neighbours, works = looks_of(1.5, 0.5)
    assert neighbours.cores() == 0.0, "a moment says nothing"
    works[0].passed = machine.LEAST_SECONDS
    assert [neighbours.cores(), neighbours.cores()] == [1.5, 1.5]
    works[0].passed, works[0].whole = 0.1, True
    assert neighbours.cores() == 1.5, "a whole time before does"
    works[0].passed = machine.STALE_SECONDS + 1
    assert neighbours.cores() == 0.0
    works[1].passed = machine.LEAST_SECONDS
    assert neighbours.cores() == 0.5


def test_the_load_of_a_job_that_has_just_ended_is_nobody_elses() -> None:
    """What was seen until then cannot be told from it."""
    neighbours, works = looks_of(1.9, 0.0)
    neighbours.cores()
    works[0].passed, works[0].whole = 8.0, True
    assert neighbours.cores(time.time() - 60) == 1.9
    assert neighbours.cores(time.time() - 5) == 0.0
    works[1].passed, works[1].whole = 3.0, False
    assert neighbours.cores(time.time() - 5) == 0.0


def test_before_the_press_it_is_said_that_others_work(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a time that is of a machine left alone; a GPU computes as it does alone."""
    monkeypatch.setattr(busy_step, "this_machine", lambda: SimpleNamespace(cores=2, gpus=()))
    monkeypatch.setattr(machine.NEIGHBOURS, "cores", lambda *_: 1.53)
    monkeypatch.setattr(busy_step, "_SEEN", [])
    assert busy_step.kept_just_now() == 0.0
    found = busy_now(home)
    assert found and say(found.key, **found.values) == (
        "Other programs take 1.5 of this machine's 2 cores now: longer while they do."
    )
    assert busy_step.kept_just_now() == 1.53, "until what begins now has looked itself"
    monkeypatch.setattr(busy_step, "this_machine", lambda: SimpleNamespace(cores=2, gpus=("a card",)))
    assert busy_now(home) is None


@pytest.mark.parametrize(("kept", "least", "most"), [(0.0, 2.0, 3.0), (1.5, 2.5, 4.0), (2.0, 3.0, 4.5)])
def test_who_begins_beside_another_shares_the_cores(
    monkeypatch: pytest.MonkeyPatch, kept: float, least: float, most: float
) -> None:
    """What is said of a press on "Run now": 8 minutes alone are 20 to 32 beside 1.5 of two cores."""
    monkeypatch.setattr(machine, "slowdown_on", slowdown_on)
    monkeypatch.setattr(machine, "this_machine", lambda: SimpleNamespace(gpus=()))
    for module in (machine, busy_step):
        monkeypatch.setattr(module, "usable_cores", lambda: 2)
    assert busy_step.beside(kept) == pytest.approx((least, most))


def test_a_gpu_is_not_slowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "slowdown_on", slowdown_on)
    assert machine.slowdown(1.0) > 1.0
    monkeypatch.setattr(machine, "this_machine", lambda: SimpleNamespace(gpus=("a card",)))
    assert machine.slowdown(1.0) == 1.0


def test_this_machine_can_be_looked_at() -> None:
    assert 0.0 <= OtherWork().cores() <= machine.usable_cores()


COMPUTING = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


def test_what_its_own_children_take_is_its_own() -> None:
    """While they live, and when they have ended."""
    before = machine._look().own
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", COMPUTING], text=True, **pipes) as child:  # type: ignore[call-overload]
        mine = time.process_time()
        child.stdout.readline()
        assert machine._look().own - before > 0.25
        child.communicate("\n")
    assert machine._look().own - before - (time.process_time() - mine) > 0.25


def test_a_machine_that_does_not_say_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError("/proc/stat")

    monkeypatch.setattr(machine.psutil, "cpu_times", refuse)
    assert OtherWork().cores() == 0.0


@pytest.mark.parametrize(("said", "expected"), [("", "free"), ("3", "said")])
def test_whoever_says_how_many_threads_there_are_to_be_is_heard(
    monkeypatch: pytest.MonkeyPatch, said: str, expected: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    found = engine_environment()
    assert found[THREADS_VARIABLE] == expected
    assert found["OMP_NUM_THREADS"] == (said or str(machine.this_machine().cores))


def test_what_a_tool_found_while_it_computed_stands_while_it_saves(tmp_path: Path) -> None:
    kept = [1.9]
    writer = ProgressWriter(JobPaths(tmp_path).progress, lambda: kept[0], partial(slowdown_on, 2))

    def slower() -> float:
        writer.write()
        found = job_progress(tmp_path)
        return found.slower if found else 0.0

    loading = slower()
    assert loading < 3
    writer.phase(Phase.training, 10)
    assert slower() == 20
    writer.phase(Phase.saving)
    assert slower() == 20
    kept[0] = 0.0
    assert slower() == 1
    writer.end()


def test_a_tool_writes_what_others_take(tmp_path: Path) -> None:
    writer = ProgressWriter(JobPaths(tmp_path).progress, lambda: 1.2345, lambda kept, _: 2 * kept)
    writer.end()
    found = job_progress(tmp_path)
    assert found and (found.others, found.slower, found.slowed) == (1.2, 2.47, 2.47)


@pytest.fixture
def run(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """A training at its tenth iteration, half a minute after its fifth, which took 6 s each."""
    monkeypatch.setattr(busy_step, "is_live", lambda _: True)
    monkeypatch.setattr(busy_step, "this_machine", lambda: SimpleNamespace(cores=2))
    made, now = make_run(home), time.time()
    writer = ProgressWriter(JobPaths(made.job("train")).progress, lambda: 1.8)
    writer.phase(Phase.training, 40, 0)
    writer.end()
    file = JobPaths(made.job("train")).progress
    far = {"done": 10, "share": 0.25, "moved": now, "lately": [now - 30, 0.125]}
    write_json(file, {**(read_record(file) or {}), **far})
    return made


def test_it_is_said_how_much_others_take(run: RunPaths) -> None:
    found = busy(run, "train")
    assert (
        found
        and say(found.key, **found.values) == "This machine is busy: other programs take 1.8 of 2 cores."
    )


def test_and_what_an_iteration_takes_where_that_is_known(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_step, "_usual", lambda _: 0.6)
    found = busy(run, "train")
    assert found and say(found.key, **found.values).endswith(" An iteration takes 6.0 s instead of 0.6 s.")
    monkeypatch.setattr(busy_step, "_usual", lambda _: 5.0)
    again = busy(run, "train")
    assert again and again.key == "busy.cores"


def test_where_it_cannot_be_looked_up_the_training_goes_on(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said in the poll of who waits for a training."""

    def refuse(*_: object, **__: object) -> None:
        raise DamagedFile(path=run.data)

    monkeypatch.setattr(busy_step, "read_object", refuse)
    found = busy(run, "train")
    assert found and found.key == "busy.cores"


def test_on_a_quiet_machine_nothing_is_said(run: RunPaths) -> None:
    file = JobPaths(run.job("train")).progress
    write_json(file, {**(read_record(file) or {}), "others": 0.3})
    assert busy(run, "train") is None and busy(run, "merge") is None


@pytest.mark.slow
@pytest.mark.parametrize(("said", "kept", "taken"), [("free", 1.0, 1), ("free", 0.0, 2), ("said", 1.0, 2)])
def test_a_training_takes_the_free_cores(
    monkeypatch: pytest.MonkeyPatch, said: str, kept: float, taken: int
) -> None:
    import torch

    from core.engine.threads import take_free_cores

    threads = [2]
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(THREADS_VARIABLE, said)
    take_free_cores(SimpleNamespace(cores=lambda: kept, passed=9.0))  # type: ignore[arg-type]
    assert threads[-1] == taken


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("said", "acceleration", "expected"),
    [
        ("free", None, [1, 2]),
        ("free", {"compile": "none"}, [1, 2]),
        ("free", {"compile": "layers"}, []),
        ("said", None, []),
    ],
)
def test_a_training_follows_them(
    monkeypatch: pytest.MonkeyPatch, said: str, acceleration: object, expected: list[int]
) -> None:
    """Another program comes, and goes; between two looks nothing is done."""
    import torch

    from core.engine.free_cores import FollowFreeCores

    threads: list[int] = []
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(THREADS_VARIABLE, said)
    others = SimpleNamespace(passed=10.0, cores=lambda: 1.2)
    hook = FollowFreeCores(others)  # type: ignore[arg-type]
    hook.before_train(SimpleNamespace(cfg={"acceleration": acceleration}))
    hook.after_train_iter()
    others.passed, others.cores = 1.0, lambda: 0.1
    hook.after_train_iter()
    others.passed = 11.0
    hook.after_train_iter()
    assert threads == expected
