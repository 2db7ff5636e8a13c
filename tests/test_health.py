"""What is said of a training while it runs, and what is not."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pynvml
import pytest

from core import machine
from core.errors import DamagedFile
from core.jobs.job import JobPaths
from core.jobs.live import LiveCurve, Snapshot
from core.jobs.process import identify
from core.jobs.progress import JobProgress, Phase
from core.machine import Gpu, GpuUse, Machine, gpu_users
from core.recipe.recipe import Recipe
from core.steps import health
from core.steps.health import Health, Symptom, disk_forecast, gpu_taken, heartbeat, of_curve, said_once
from core.wording import say
from core.workspace.files import write_json
from core.workspace.paths import RunPaths

GB = 10**9
RECIPE = Recipe(model="m", data="d", device="cpu")


def curve(losses: list[float], total: int = 100, **values: object) -> Snapshot:
    at = np.arange(1, len(losses) + 1, dtype=np.int32)
    trace = (at, np.array(losses, np.float32))
    about = {"last": {}, "traces": {"loss": trace}, "smooth": trace, "samples": (), **values}
    return Snapshot(points=len(losses), iteration=len(losses), total=total, **about)  # type: ignore[arg-type]


def keys(found: Iterator[Symptom]) -> list[str]:
    every = list(found)
    for one in every:  # each has a sentence for its values
        assert say(one.key, "en", **one.values) and say(one.key, "zh", **one.values)
    return [one.key.removeprefix("health.") for one in every]


FALLING = list(np.linspace(3.0, 1.0, 40))


@pytest.mark.parametrize(
    ("losses", "about", "expected"),
    [
        (FALLING, {}, []),
        ([3.0] * 10, {}, []),  # too few to say anything
        ([3.0] * 40, {}, ["loss_not_falling"]),
        ([*np.linspace(3.0, 1.0, 20), *np.linspace(1.0, 8.0, 20)], {}, ["loss_rising"]),
        ([*np.linspace(3.0, 1.0, 20), *np.linspace(1.0, 1.2, 20)], {}, []),
        ([*np.linspace(3.0, 0.01, 20), *[0.01] * 20], {"rows": 16}, ["by_heart"]),
        ([*np.linspace(3.0, 0.01, 20), *[0.01] * 20], {"rows": 160}, []),  # read once
        ([*np.linspace(3.0, 0.01, 20), *[0.01] * 20], {"rows": 16, "replay": 8}, []),
        ([0.1] * 40, {}, []),  # it goes on from where it was good already
    ],
)
def test_what_the_losses_say(losses: list[float], about: dict[str, int], expected: list[str]) -> None:
    assert keys(of_curve(curve(losses), RECIPE, about)) == expected


def test_early_losses_need_not_have_fallen() -> None:
    assert keys(of_curve(curve([3.0] * 40, total=1000), RECIPE, {})) == []


def test_losses_of_two_kinds_are_not_compared() -> None:
    told = RECIPE.changed(replay_distillation=True)
    assert keys(of_curve(curve([3.0] * 40), told, {})) == []


def test_no_number_comes_first() -> None:
    found = list(of_curve(curve([3.0] * 40, not_numbers=(3, 38)), RECIPE, {}))
    assert [one.key for one in found] == ["curve.not_numbers"] and found[0].cause == "nan_loss"


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0, 1.5, 1.2, 1.1], []),
        ([2.0, 1.2, 1.22, 1.24], []),
        ([2.0, 1.2, 1.3], []),  # once since is no trend
        ([2.0, 1.2, 1.3, 1.4], ["overfitting"]),
    ],
)
def test_overfitting_shows_where_it_is_validated(losses: list[float], expected: list[str]) -> None:
    validated = (np.arange(len(losses)) * 10.0, np.array(losses))
    assert keys(of_curve(curve(FALLING, validation=validated), RECIPE, {})) == expected


def progress(phase: Phase, moved: float, written: float) -> JobProgress:
    return JobProgress(phase, done=5, total=100, share=0.05, began=0.0, moved=moved, written=written)


@pytest.mark.parametrize(
    ("told", "step", "expected"),
    [
        (None, 1.0, []),
        (progress(Phase.training, 990, 999), 1.0, []),
        (progress(Phase.training, 850, 999), 1.0, ["stalled"]),
        (progress(Phase.training, 850, 999), 30.0, []),  # it is slow here
        (progress(Phase.training, 350, 999), 30.0, ["stalled"]),
        (progress(Phase.training, 850, 999), None, []),
        (progress(Phase.saving, 500, 999), 1.0, []),
        (progress(Phase.training, 850, 850), 1.0, ["silent"]),
    ],
)
def test_the_heartbeat(told: JobProgress | None, step: float | None, expected: list[str]) -> None:
    assert keys(heartbeat(told, step, 1000.0)) == expected


Look = tuple[int, int, int]


def evenly(first: Look, last: Look, every: int = 5) -> list[Look]:
    """The looks between two at an even pace."""
    count = (last[0] - first[0]) // every
    return [
        tuple(a + (b - a) * n // count for a, b in zip(first, last, strict=True)) for n in range(count + 1)
    ]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("seen", "left", "expected"),
    [
        (((0, 0, 10 * GB),), 3600.0, ""),
        (evenly((0, 0, 10 * GB), (30, GB, 9 * GB)), 3600.0, ""),  # too short a look
        (evenly((0, 0, 3 * GB), (300, GB // 3, 3 * GB - GB // 3)), 7200.0, "about 40 minutes"),
        (evenly((0, 0, 3 * GB), (300, GB // 3, 3 * GB - GB // 3)), 600.0, ""),  # it will be over before
        (evenly((0, 0, 3 * GB), (300, 0, 2 * GB)), None, "about 10 minutes"),  # others write
        (((0, 0, 3 * GB), (300, 0, 3 * GB)), None, ""),
        (((0, 0, 900 * GB), (300, GB // 100, 900 * GB)), None, ""),  # in a year
        (((0, 0, 40 * GB), (55, 0, 40 * GB), (60, 10 * GB, 30 * GB)), 7200.0, ""),  # one checkpoint
        (((0, 0, 40 * GB), (55, 0, 40 * GB), (60, 0, 10 * GB)), 7200.0, ""),  # somebody copied a model
    ],
)
def test_the_disk_is_full_before_the_end(seen: Sequence[Look], left: float | None, expected: str) -> None:
    found = list(disk_forecast(seen, left))
    assert [one.values["time"] for one in found] == ([expected] if expected else [])


def test_checkpoints_fill_the_disk_as_often_as_they_come() -> None:
    """Two of 10 GB within a minute, and then one each quarter of an hour, with room for two more."""
    seen = [*evenly((0, 0, 40 * GB), (50, 0, 40 * GB)), (60, 10 * GB, 30 * GB), (960, 20 * GB, 20 * GB)]
    for looks in (seen[:-1], seen):
        assert not list(disk_forecast(looks, 600.0, 900.0))
        (found,) = disk_forecast(looks, 7200.0, 900.0)
        assert found.values["time"] == {30: "about 45 minutes", 20: "about 30 minutes"}[looks[-1][2] // GB]
    assert not list(disk_forecast(seen[:-1], 7200.0))  # a checkpoint that takes an older one's place


def test_a_checkpoint_more_is_expected_until_all_that_are_kept_are_there(run: RunPaths) -> None:
    recipe = RECIPE.changed(keep_checkpoints=2, save_every=10)
    watched = Health(run, recipe, lambda: None)
    for number in range(2):
        assert watched._seconds_between_saves(3.0) == 30.0 and watched._seconds_between_saves(None) is None
        run.work_dir.mkdir(parents=True, exist_ok=True)
        (run.work_dir / f"iter_{number + 1}0.pth").write_bytes(b"")
    assert watched._seconds_between_saves(3.0) is None


OWN = GpuUse(0, 7, 4 * GB)


@pytest.mark.parametrize(
    ("users", "others"),
    [
        ((OWN,), 0),
        ((OWN, GpuUse(0, 8, 4 * GB)), 1),
        ((OWN, GpuUse(0, 8, 4 * GB), GpuUse(0, 9, GB)), 2),
        ((OWN, GpuUse(0, 8, 1000)), 0),
        ((OWN, GpuUse(1, 8, 4 * GB)), 0),  # on a GPU that is not used here
        ((GpuUse(0, 8, 4 * GB),), 0),  # the driver's numbers are not ours
    ],
)
def test_others_on_the_gpu(users: tuple[GpuUse, ...], others: int) -> None:
    found = list(gpu_taken(users, {7}))
    assert [one.values["count"] for one in found] == ([others] if others else [])
    assert keys(iter(found)) == ["gpu"] * bool(others)


def test_who_uses_a_gpu_is_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    class Process:
        def __init__(self, pid: int, memory: int | None) -> None:
            self.pid, self.usedGpuMemory = pid, memory

    gpus = (Gpu(0, "H100", 80 * GB, GB),)
    monkeypatch.setattr(machine, "this_machine", lambda: Machine(1, GB, False, gpus))
    for name in ("nvmlInit", "nvmlShutdown"):
        monkeypatch.setattr(pynvml, name, lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    running = [Process(7, 4 * GB), Process(8, None)]
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda _: running)
    assert gpu_users() == (OWN, GpuUse(0, 8, 0))

    def refuse(_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", refuse)
    assert gpu_users() == ()


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    """A training whose process lives and has made no step for long."""
    found = RunPaths(tmp_path / "工作 区" / "a b")
    vis = found.work_dir / "20260101_000000" / "vis_data"
    vis.mkdir(parents=True)
    points = [{"step": n, "iter": n, "loss": 3.0 - n / 100, "lr": 1e-3, "time": 1.0} for n in range(1, 60)]
    (vis / "scalars.json").write_text("\n".join(map(json.dumps, points)) + "\n", encoding="utf-8")
    job = JobPaths(found.job("train"))
    write_json(job.tool, identify(os.getpid()).as_json())
    now = time.time()
    write_json(job.progress, asdict(progress(Phase.training, now - 200, now)))
    return found


@pytest.mark.parametrize(
    "failure", [FileNotFoundError("deleted while it was counted"), DamagedFile(path="data.json"), TypeError()]
)
def test_a_look_that_fails_ends_nobodys_training(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(_: Path) -> int:
        raise failure

    monkeypatch.setattr(health, "folder_bytes", fail)
    assert Health(run, RECIPE, LiveCurve(run.work_dir).snapshot).look() == ()


def test_a_look_stands_for_some_seconds_and_is_said_once(run: RunPaths) -> None:
    watched = Health(run, RECIPE, LiveCurve(run.work_dir).snapshot)
    now = time.time()
    first = watched.look(now)
    assert [one.key for one in first] == ["health.stalled"]
    JobPaths(run.job("train")).progress.unlink()
    assert watched.look(now + 1) is first, "nothing flickers in between"
    assert watched.look(now + health.EVERY) == ()
    said: list[str] = []
    again = Health(run, RECIPE, LiveCurve(run.work_dir).snapshot)
    write_json(JobPaths(run.job("train")).progress, asdict(progress(Phase.training, now - 200, now)))
    poll = said_once(again, lambda key, **_: said.append(key))
    for _ in range(3):
        poll()
        again._looked = 0.0
    assert said == ["health.stalled"]
