"""Health: what somebody should know of a training while it runs, from what it writes and what the machine
says.

Nothing is asked of the training itself. How each finding is decided stands at its function;
docs/reliability.md tells it in words. A finding's key is that of its sentence in ``locales/``.
"""

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from core.errors import TuneboardError
from core.jobs.job import JobPaths
from core.jobs.live import Snapshot
from core.jobs.process import read_identity
from core.jobs.progress import JobProgress, Phase, job_progress
from core.machine import GpuUse, gpu_users
from core.pace import about
from core.recipe.recipe import Recipe
from core.steps.checkpoints import checkpoints
from core.steps.step import megabytes
from core.workspace.files import ODD, folder_bytes, read_object
from core.workspace.paths import RunPaths

# A step that takes so many times as long as usual, and at least so many seconds, may hang.
STALLED, LEAST_STALLED = 20.0, 120.0
# A tool writes every four seconds that it is alive; so long without a word it is suspended. Seconds.
SILENT = 90.0
# Of a curve: so many points at least, and the means of so many pieces of it are compared.
ENOUGH_POINTS, PIECES = 20, 10
# The last piece against the lowest: so many times as high is rising; against the first: so much is falling.
RISEN, FALLEN = 1.5, 0.98
# How far a training has to be before its loss should have fallen, unless it began as low as this.
EARLY, LOW = 0.3, 0.5
# Validation: so much above its lowest, measured so often since.
WORSE, WORSE_TIMES = 1.05, 2
# A training loss under which rows are known by heart, and how often each was read by then.
BY_HEART, READ = 0.02, 5.0
# The disk's way is measured over at most and at least so many seconds, and told when it ends within a day.
LONGEST_LOOK, SHORTEST_LOOK, TOLD_WITHIN = 1200.0, 60.0, 86400.0
# Of a GPU that others use: bytes from which on it matters.
TAKEN = 500 << 20
# Seconds between two looks.
EVERY = 5.0
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Symptom:
    """``cause`` names what of the recipe would help (core.steps.remedy), where anything would."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""


class Health:
    """Watches one training; any number of sessions may ask. A look costs some milliseconds and is taken
    every few seconds; in between the last answer stands."""

    def __init__(self, run: RunPaths, recipe: Recipe, curve: Callable[[], Snapshot | None]) -> None:
        self.run, self.recipe, self.curve = run, recipe, curve
        self._disk: deque[tuple[float, int, int]] = deque()
        self._lock = threading.Lock()
        self._looked = 0.0
        self._found: tuple[Symptom, ...] = ()

    def look(self, now: float | None = None) -> tuple[Symptom, ...]:
        """What is to be said now, the most urgent first; nothing where it cannot be looked: a folder that is
        deleted meanwhile or a damaged file must not end who watches, as the training goes on."""
        at = time.time() if now is None else now
        with self._lock:
            if at - self._looked >= EVERY:
                self._looked, self._found = at, ()
                with suppress(TuneboardError, OSError, *ODD):
                    self._found = tuple(self._look(at))
            return self._found

    def _look(self, now: float) -> Iterator[Symptom]:
        job = self.run.job("train")
        told, curve = job_progress(job), self.curve()
        step = step_seconds(curve)
        yield from heartbeat(told, step, now)
        free = shutil.disk_usage(self.run.root).free
        self._disk.append((now, folder_bytes(self.run.root), free))
        while now - self._disk[0][0] > LONGEST_LOOK:
            self._disk.popleft()
        yield from disk_forecast(self._disk, seconds_left(told, step), self._seconds_between_saves(step))
        if self.recipe.device == "cuda":
            yield from gpu_taken(gpu_users(), own_processes(job))
        if curve is not None:
            yield from of_curve(curve, self.recipe, read_object(self.run.data) or {})

    def _seconds_between_saves(self, step: float | None) -> float | None:
        """How long it takes to one checkpoint more; None where nobody knows, or the next takes an older one's
        place."""
        if step is None or not self.recipe.save_every:
            return None
        full = len(checkpoints(self.run.work_dir)) >= self.recipe.keep_checkpoints
        return None if full else step * self.recipe.save_every


def said_once(health: Health, say: Callable[..., None]) -> Callable[[], None]:
    """A poll that says each kind of finding when it is found first, and never again."""
    said: set[str] = set()

    def poll() -> None:
        for found in health.look():
            if found.key not in said:
                said.add(found.key)
                say(found.key, **found.values)

    return poll


def of_curve(curve: Snapshot, recipe: Recipe, about_rows: Mapping[str, Any]) -> Iterator[Symptom]:
    """What the numbers say, of a training that runs or has ended: at most one thing."""
    if curve.not_numbers:
        count, first = curve.not_numbers
        yield Symptom("curve.not_numbers", {"count": count, "first_iter": first}, "nan_loss")
        return
    found = next(_learning(curve, recipe, about_rows), None)
    if found:
        yield found


def _learning(curve: Snapshot, recipe: Recipe, about_rows: Mapping[str, Any]) -> Iterator[Symptom]:
    at, losses = curve.validation
    if len(losses) > WORSE_TIMES:
        lowest = int(np.argmin(losses))
        if len(losses) - 1 - lowest >= WORSE_TIMES and losses[-1] > WORSE * losses[lowest]:
            yield Symptom(
                "health.overfitting", {"iteration": int(at[lowest]), "loss": f"{losses[lowest]:.3f}"}
            )
    # A batch of what is replayed has a loss of another kind than one of what is taught: they mix anyhow.
    if recipe.replay_distillation or len(means := pieces(curve.smooth[1])) < PIECES:
        return
    if means[-1] > RISEN * means[:-1].min() and means[-1] > means[0]:
        yield Symptom(
            "health.loss_rising", {"low": f"{means[:-1].min():.3f}", "now": f"{means[-1]:.3f}"}, "lr_too_high"
        )
    elif curve.share >= EARLY and means[-1] > max(LOW, FALLEN * means[0]):
        yield Symptom(
            "health.loss_not_falling",
            {"first": f"{means[0]:.3f}", "now": f"{means[-1]:.3f}"},
            "loss_not_falling",
        )
    elif means[-1] < BY_HEART and (read := _times_read(curve, recipe, about_rows)) >= READ:
        yield Symptom("health.by_heart", {"loss": f"{means[-1]:.3f}", "times": round(read)})


def pieces(losses: Floats) -> Floats:
    """The mean of each of :data:`PIECES` equal parts of a curve; none of one that is short."""
    numbers = losses[np.isfinite(losses)]
    if len(numbers) < ENOUGH_POINTS:
        return np.empty(0, np.float32)
    return np.array([part.mean() for part in np.array_split(numbers, PIECES)])


def _times_read(curve: Snapshot, recipe: Recipe, about_rows: Mapping[str, Any]) -> float:
    """How often the training has read each row; 0 where nobody knows, or where others are replayed with them:
    those keep the model from knowing only these."""
    rows = int(about_rows.get("rows") or 0)
    if not rows or recipe.pack or about_rows.get("replay"):
        return 0.0
    return curve.iteration * recipe.rows_at_once / rows


def step_seconds(curve: Snapshot | None) -> float | None:
    """Seconds a step usually takes: the median of what was logged."""
    if curve is None or "time" not in curve.traces:
        return None
    return float(np.nanmedian(curve.traces["time"][1]))


def seconds_left(told: JobProgress | None, step: float | None) -> float | None:
    """How long the training still takes at its usual pace; None where nobody knows."""
    if told is None or not told.total or told.done is None or step is None:
        return None
    return (told.total - told.done) * step


def heartbeat(told: JobProgress | None, step: float | None, now: float) -> Iterator[Symptom]:
    """No step for far longer than one usually takes; or no word at all of the process, which lives.

    Saving, loading and answering have no usual time and are not judged; a machine that slept was not stuck:
    then the word that it is alive is as old as the last step.
    """
    if told is None:
        return
    if told.written and now - told.written > SILENT:
        yield Symptom("health.silent", {"time": about(now - told.written)})
        return
    stalled = now - told.moved
    if told.phase is Phase.training and told.done and step and stalled > max(LEAST_STALLED, STALLED * step):
        yield Symptom("health.stalled", {"time": about(stalled), "usual": f"{step:.1f}"})


def disk_forecast(
    seen: Sequence[tuple[float, int, int]], left: float | None, saves: float | None = None
) -> Iterator[Symptom]:
    """When the disk will be full, at the pace at which the run's folder grew (time, its bytes, the disk's
    free bytes), or the disk was filled by anybody; said only if that is before the training's end.

    What came at once, a checkpoint or somebody's copy of a model, says nothing of a pace by itself; a
    checkpoint comes again after ``saves`` seconds, where that is known.
    """
    if (over := seen[-1][0] - seen[0][0]) < SHORTEST_LOOK:
        return
    _, sizes, frees = (np.array(column, np.float64) for column in zip(*seen, strict=True))
    steady, at_once = _growth(sizes)
    rate = max(steady, _growth(-frees)[0]) / over
    rate = max(rate, at_once / saves) if saves else rate
    if rate <= 0:
        return
    full = frees[-1] / rate
    if full < min(TOLD_WITHIN, TOLD_WITHIN if left is None else left):
        yield Symptom("health.disk", {"time": about(full), "free": megabytes(int(frees[-1]))})


def _growth(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """What was added over all looks but in the largest step, and what was added in that."""
    added = max(0.0, float(values[-1] - values[0]))
    at_once = min(added, float(np.diff(values).max(initial=0.0)))
    return added - at_once, at_once


def gpu_taken(users: tuple[GpuUse, ...], own: set[int]) -> Iterator[Symptom]:
    """Other programs on the GPU of this training. Where its own process is not among those that the driver
    names (a container sees other numbers than the driver), nobody can tell whose they are."""
    here = {use.gpu for use in users if use.pid in own}
    others = [use for use in users if use.gpu in here and use.pid not in own and use.memory >= TAKEN]
    if others:
        memory = megabytes(sum(use.memory for use in others))
        yield Symptom(
            "health.gpu",
            {"memory": memory, "count": len(others), "pids": ", ".join(str(o.pid) for o in others)},
        )


def own_processes(job: Path) -> set[int]:
    """The process ids of the job's tool and of what it has started."""
    tool = read_identity(JobPaths(job).tool)
    try:
        return (
            {tool.pid, *(child.pid for child in psutil.Process(tool.pid).children(True))} if tool else set()
        )
    except psutil.Error:
        return set()
