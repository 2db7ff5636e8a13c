"""A training in several processes, tried on the processor, where they speak by gloo: it teaches what one
process teaches, stops and goes on as one does, and ends when one of them dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.engine import own_card
from core.errors import InvalidRecipe
from core.jobs.failure import why_failed
from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.process import read_identity
from core.jobs.ranks import rank_logs
from core.jobs.status import State, read_status
from core.steps import convert, dividing, merge, prepare, resuming, train
from core.steps.step import run_job
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.test_engine_fast_real import with_acceleration
from tests.test_stop_keeps import at_step, await_progress, held, losses, prepared, stopped

__all__ = ["held"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOGETHER, ALONE = {"devices": 2}, {"gradient_accumulation_steps": 2}
UPDATES = 6
# Short epochs: they end within an update and within a micro-batch.
SHORT = {"shuffle": True, "batch_size": 3, "save_every": 500}


def settled(run: RunPaths, **changes: object) -> RunPaths:
    recipe = prepare.recipe_of(run).changed(precision="fp32", **SHORT, **changes)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    return run


def of_few_rows(run: RunPaths, count: int = 10) -> RunPaths:
    rows = Path(prepare.recipe_of(run).data)
    rows.write_text("".join(rows.read_text(encoding="utf-8").splitlines(True)[:count]), encoding="utf-8")
    return run


def trained(run: RunPaths) -> dict[int, float]:
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run)))
    return {number: loss for number, loss in losses(run).items() if loss is not None}


def by_update(found: dict[int, float], accumulated: int) -> list[float]:
    """The mean loss of each update."""
    ordered = [found[number] for number in sorted(found)]
    parts = [ordered[at : at + accumulated] for at in range(0, len(ordered), accumulated)]
    return [sum(part) / len(part) for part in parts]


@pytest.mark.parametrize("way", ["plain", "fast"])
def test_two_processes_have_the_losses_of_one(workspace: Workspace, model: Path, way: str) -> None:
    """At the same global batch, update for update, over the ends of epochs; the plain way computes layers
    again, which DistributedDataParallel has to bear."""
    found = []
    for changes, accumulated in ((ALONE, 2), (TOGETHER, 1)):
        run = of_few_rows(prepared(workspace, model))
        again = way == "plain"
        settled(run, lr=0.01, iterations=UPDATES * accumulated, activation_checkpointing=again, **changes)
        if way == "fast":
            with_acceleration(run)
        found.append(by_update(trained(run), accumulated))
    assert len(found[0]) == UPDATES and found[0][-1] < found[0][0]
    assert found[1] == pytest.approx(found[0], abs=1e-4)


def ranks_of(run: RunPaths) -> dict[int, psutil.Process]:
    """The processes that train, by their ranks."""
    tool = read_identity(JobPaths(run.job("train")).tool)
    assert tool
    below = psutil.Process(tool.pid).children(recursive=True)
    return {
        int(one.environ()["RANK"]): one
        for one in below
        if "RANK" in one.environ() and "train" in one.cmdline()
    }


def standing_at_its_second(
    workspace: Workspace, model: Path, held: Callable[[str], None]
) -> tuple[RunPaths, dict[int, psutil.Process]]:
    """A long training together that stands at its second step, and its processes by their rank."""
    run = settled(prepared(workspace, model), iterations=500, **TOGETHER)
    held("step 2")
    launch(run.job("train"), train.plan(run, prepare.recipe_of(run)))
    await_progress(run, at_step(2))
    return run, ranks_of(run)


def test_a_dead_one_ends_the_job_and_is_named(
    workspace: Workspace, model: Path, held: Callable[[str], None]
) -> None:
    run, there = standing_at_its_second(workspace, model, held)
    assert sorted(there) == [0, 1]
    there[1].kill()
    began = time.monotonic()
    status = wait(run.job("train"), timeout=60)
    assert time.monotonic() - began < 30
    assert status.state is State.failed and status.code == 128 + signal.SIGKILL
    why = why_failed(run.job("train"), status)
    assert why and (why.rank, why.cause) == (1, "killed") and "rank 1" in why.text("en")
    assert sorted(rank_logs(run.job("train"))) == [1]
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in there.values())


def test_none_is_left_when_launcher_and_supervisor_are_killed(
    workspace: Workspace, model: Path, held: Callable[[str], None]
) -> None:
    """What they have learned is kept, as by a stop."""
    run, by_rank = standing_at_its_second(workspace, model, held)
    there = [*by_rank.values()]
    for killed in (JobPaths(run.job("train")).supervisor, JobPaths(run.job("train")).tool):
        found = read_identity(killed)
        assert found
        os.kill(found.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(there, timeout=60)
    assert len(there) == 2 and not left
    assert read_status(run.job("train")).state is State.lost
    assert train.read(run).iteration == 2


def test_a_stop_ends_all_and_going_on_in_another_number_of_processes_is_the_same_training(
    workspace: Workspace, model: Path, held: Callable[[str], None]
) -> None:
    """In two, then in one, then in two again: every update's loss is that of one that was never stopped."""
    whole = settled(prepared(workspace, model), iterations=2 * UPDATES, log_every=1, **ALONE)
    at_once = by_update(trained(whole), 2)
    run = settled(prepared(workspace, model), iterations=2 * UPDATES, log_every=1, **ALONE)
    seen: list[float] = []
    for devices, stop_at in ((2, 2), (1, 7), (2, 0)):
        dividing.put_on(run, devices)
        recipe, last = prepare.in_line(run), resuming.going_on(run)
        held(f"step {stop_at}" if stop_at else "")
        launch(run.job("train"), train.plan(run, recipe, last.checkpoint if last else None))
        if stop_at:
            await_progress(run, at_step(stop_at))
            there = ranks_of(run) if devices > 1 else {}
            assert stopped(run) == stop_at and len(there) == (devices if devices > 1 else 0)
            assert not any(one.is_running() for one in there.values())
        else:
            assert wait(run.job("train"), timeout=300).state is State.finished
    seen = [loss for loss in losses(run).values() if loss is not None]
    assert train.read(run).iteration == UPDATES
    # Two updates in two processes, one in one (its last half is taken again), and the rest in two.
    assert seen[:2] == pytest.approx(at_once[:2], abs=1e-4)
    assert seen[3:] == pytest.approx(at_once[3:], abs=1e-4)


@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_zero_learns_as_one_process_does_stops_goes_on_converts_and_merges(
    workspace: Workspace, model: Path, held: Callable[[str], None], stage: str
) -> None:
    """DeepSpeed begins with the same random numbers. What it wrote is refused to another number of
    processes before anything is changed."""
    alone = settled(prepared(workspace, model), iterations=2 * UPDATES, **ALONE)
    run = settled(prepared(workspace, model), iterations=UPDATES, deepspeed=stage, **TOGETHER)
    held("step 3")
    launch(run.job("train"), train.plan(run, prepare.recipe_of(run)))
    await_progress(run, at_step(3))
    assert stopped(run) == 3
    held("")
    last = train.read(run)
    assert len(list(last.checkpoint.glob("*optim_states.pt"))) == 2
    with pytest.raises(InvalidRecipe, match=r"2 processes .* not by 1"):
        dividing.put_on(run, 1)
    assert prepare.recipe_of(run).devices == 2 and resuming.going_on(run) == last
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run), last.checkpoint))
    found = [loss for loss in losses(run).values() if loss is not None]
    assert found == pytest.approx(by_update(trained(alone), 2), abs=1e-4)
    run_job("convert", run.job("convert"), convert.plan(run))
    run_job("merge", run.job("merge"), merge.plan(run))
    assert (convert.read(run) / "adapter_model.safetensors").exists()
    assert merge.read(run).architecture == "LlamaForCausalLM"


# What asks CUDA for something when it is imported, or soon after.
EARLY = """
import sys
from core.engine import own_card
def stop():
    early = ("xtuner", "bitsandbytes", "peft", "transformers", "deepspeed")
    print(*(name for name in early if sys.modules.get(name)))  # None is one that was left out
    sys.exit()
own_card.take_own_card = stop
from core.engine.__main__ import main
main(["train", sys.argv[1]])
"""


def test_each_process_takes_its_own_card_before_anything_else(
    workspace: Workspace, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made before would lie on the first card, and a stream there records nothing for the second."""
    taken: list[int] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", taken.append)
    own_card.take_own_card()
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    own_card.take_own_card()
    assert taken == [1]
    config = prepared(workspace, model).config
    said = subprocess.run([sys.executable, "-c", EARLY, config], capture_output=True, text=True, cwd=PROJECT)
    assert said.stdout == "\n", said
