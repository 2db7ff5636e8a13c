"""How long each stage of a chain will take on this machine: by what earlier runs of the workspace took, in
proportion to what is to be done; where there were none, by what was measured elsewhere."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import TuneboardError
from core.jobs.job import JobPaths
from core.jobs.progress import job_progress
from core.jobs.status import status_of
from core.machine import this_machine
from core.models.folder import Model, read_model
from core.pace import IMPORT_COSTS, LINE, Cost
from core.proof.asking import READ, Ask
from core.recipe.recipe import Recipe
from core.recipe.speed import SLOW_CARD
from core.steps.pace import TELLING, is_alike, row_tokens, trained_so_far
from core.steps.prepare import iterations, recipe_of
from core.workspace.files import read_object, read_record
from core.workspace.paths import RunPaths, Workspace

# So many of the newest runs are looked at, and so many jobs of one kind that are alike are enough.
LOOKED_AT, ENOUGH = 30, 3
# A job that others made no slower than this had the machine for itself: a page that is looked at is no load.
QUIET = 1.25
# The stages of a chain in the order of their coming, and what kind of work each is.
KINDS = {"base": "answers", "train": "train", "convert": "convert", "merge": "merge", "ask": "answers"}
# Seconds until a stage comes further at all: on two cores of an EPYC, forked from a process that has imported
# everything; on a GPU its start, its kernels and its first step (scripts/bench chain).
STARTS = {
    "cpu": {"answers": 2.5, "train": 3.0, "convert": 0.5, "merge": 0.7},
    "cuda": {"answers": 8.0, "train": 20.0, "convert": 1.0, "merge": 3.0},
}
# Work a second and core of a processor that multiplies bfloat16 as fast as AMX does, of another one with
# AVX-512, and of any other: of rows that are trained in batches, and of answers, which are written token by
# token. Rented cores are half as fast again on one day as on another, with nobody else there to be seen.
CORE = {"train": (160e9, 72e9, 35e9), "answers": (95e9, 28e9, 45e9)}
# The same of a small card.
CARD = {"train": SLOW_CARD, "answers": SLOW_CARD / 10}
# Of answers the short ones come first.
SEEN = {"answers": 0.15, "train": 0.015, "convert": 0.05, "merge": 0.05}
# Bytes a second that a model is read, changed and written with.
COPIED = 350e6
# Seconds of unpacking the starter: a core and a disk.
STARTER = 12.0
# Bytes a second of a line that nobody knows.
A_SECOND = 8e6
# Tokens of a replayed row: a question, and what the base says to it.
REPLAYED_ROW = 78
# Of a taught one before its model is here to count them: what the template puts around it, and what a byte of
# its text comes to, between English (a quarter) and Chinese (up to two thirds).
AROUND, A_BYTE = 15, 0.5
# Few questions say nothing of many, which are answered side by side: of so many times as many at most.
MANY = 5.0


@dataclass(frozen=True)
class Workload:
    """What is to be done: on which ``device`` (cpu, cuda), by which ``method``, with a model of so many
    ``parameters`` and ``size`` bytes. In tokens: what is trained (``train``), what the base may write
    (``base``) and the tuned model (``ask``), and the checkpoints of which one is chosen (``choose``).
    ``fetched``: bytes to be downloaded, ``unpacked``: whether the starter has to be. ``recipe``: what a
    training differs from others by that take another time for the same, where it is known."""

    device: str
    method: str
    parameters: int
    size: int
    train: float
    base: float
    ask: float
    choose: float = 0.0
    fetched: int = 0
    unpacked: bool = False
    recipe: Recipe | None = None


def expected(workspace: Workspace, work: Workload, model: Path | None = None) -> dict[str, Cost]:
    """What each stage of ``work`` costs here, by all that the workspace knows (:meth:`Known.costs`)."""
    return Known.of(workspace).costs(work, model)


def tokens_of(asks: Sequence[Ask], given: int = 0, replayed: int = 0) -> float:
    """How many tokens a model may write to these questions, ``given`` answers to read and those that are to
    be ``replayed`` among them."""
    return _tokens(((ask.tokens, len(ask.earlier)) for ask in asks), given + replayed)


def _tokens(limits: Iterable[tuple[int, int]], read: int) -> float:
    """Of answers by their limit and the messages before them, each of which has one too, and of those that
    are only ``read``."""
    return float(sum(tokens * (1 + earlier) for tokens, earlier in limits) + READ * read)


@dataclass(frozen=True)
class Measured:
    """A finished job, or a training that came some way: its kind of work, by which recipe, with which model
    of how many parameters, how much work it was, its work a second on a machine left alone, and how many
    times as long it took by what others did beside it."""

    kind: str
    recipe: Recipe
    model: Path
    parameters: int
    work: float
    pace: float
    slowed: float = 1.0

    @property
    def device(self) -> str:
        return device_of(self.recipe)


@dataclass(frozen=True)
class Known:
    """What the jobs of a workspace's newest runs came to, the newest first."""

    jobs: tuple[Measured, ...] = ()

    @classmethod
    def of(cls, workspace: Workspace) -> "Known":
        return cls(tuple(_measured(workspace)))

    def costs(self, work: Workload, model: Path | None = None) -> dict[str, Cost]:
        """What each stage costs, in the order of their coming; what is not to be done is left out.

        The rule: a stage takes its start, and from there on its work over this machine's pace. Work is
        weights times tokens (four times for training, twice for answers), or bytes. The pace is the median of
        the newest jobs of the same kind, device and method: of ``model`` itself, the trainings whose recipe
        is like this one before the others; where there is none, of other models large enough to say
        something; else that of the processors and cards that were measured. Jobs beside which nobody else
        worked go before those of a busy machine (:func:`_alone`).
        """
        copied = work.size if work.method != "full" else 0
        stages = {
            "starter": Cost(0.0, STARTER if work.unpacked else 0.0, kind="starter"),
            "download": Cost(0.0, work.fetched / A_SECOND, kind=LINE),
            "import_model": Cost(0.0, IMPORT_COSTS["import_model"] if work.fetched else 0.0, kind="import"),
            "base": self._cost("answers", 2 * work.parameters * work.base, work, model),
            "train": self._cost("train", 4 * work.parameters * work.train, work, model),
            "choose": self._cost("answers", 2 * work.parameters * work.choose, work, model),
            "convert": self._cost("convert", work.size, work, model),
            "merge": self._cost("merge", copied, work, model),
            "ask": self._cost("answers", 2 * work.parameters * work.ask, work, model),
        }
        return {name: cost for name, cost in stages.items() if cost.whole}

    def _cost(self, kind: str, amount: float, work: Workload, model: Path | None) -> Cost:
        if not amount:
            return Cost(0.0, 0.0)
        pace = self._pace(kind, amount, work, model)
        seconds = amount / (pace or usual_pace(kind, work.device))
        seconds /= times_as_fast(work.recipe) if kind == "train" and work.recipe else 1
        return Cost(STARTS[work.device][kind], seconds, bool(pace), SEEN[kind], kind)

    def _pace(self, kind: str, amount: float, work: Workload, model: Path | None) -> float | None:
        alike = [one for one in self.jobs if (one.kind, one.device) == (kind, work.device)]
        if kind == "answers":
            tokens = amount / work.parameters
            alike = [one for one in alike if MANY * one.work / one.parameters >= tokens]
        else:
            alike = [one for one in alike if one.recipe.method == work.method]
        least = TELLING[work.device]
        own = [one for one in alike if one.model == model]
        same = [one for one in own if kind == "train" and work.recipe and is_alike(one.recipe, work.recipe)]
        others = [one for one in alike if min(one.parameters, work.parameters) >= least]
        return _alone(same or own or others, usual_pace(kind, work.device))


def _alone(found: Sequence[Measured], usual: float) -> float | None:
    """The pace of these jobs on a machine left alone: the median of the newest that had it nearly for
    themselves. Where none had, others have cost them more than their share of the cores (their caches, the
    other half of a core): the more they took, the less a pace below the ``usual`` one is believed."""
    if quiet := [one.pace for one in found if one.slowed <= QUIET][:ENOUGH]:
        return statistics.median(quiet)
    paces = [one.pace * max(1.0, usual / one.pace) ** (1 - 1 / one.slowed) for one in found[:ENOUGH]]
    return statistics.median(paces) if paces else None


def usual_pace(kind: str, device: str) -> float:
    """Where nobody measured: of a small card, of cores as fast as those that were measured elsewhere."""
    if kind not in CORE:
        return COPIED
    if device == "cuda":
        return CARD[kind]
    machine = this_machine()
    return CORE[kind][0 if machine.bf16 else 1 if machine.avx512 else 2] * machine.cores


def _measured(workspace: Workspace) -> Iterator[Measured]:
    for folder in workspace.run_folders(newest=LOOKED_AT):
        run = RunPaths(folder)
        with suppress(TuneboardError, OSError):  # not made yet, or nobody can read it, or its model is gone
            recipe = recipe_of(run)
            model = read_model(Path(recipe.model))
            for stage, kind in KINDS.items():
                told = job_progress(run.job(stage))
                slowed = told.slowed if told else 1.0
                if found := _work_of(run, stage, recipe, model, slowed):
                    work, pace = found
                    pace /= times_as_fast(recipe) if kind == "train" else 1
                    yield Measured(kind, recipe, model.folder, model.parameters, work, pace, slowed)


def _work_of(
    run: RunPaths, stage: str, recipe: Recipe, model: Model, slowed: float
) -> tuple[float, float] | None:
    """The work of a stage's job and that a second, as if nobody else had worked on the machine, by whom it
    took so many times as long; of a training that has not ended by what it has logged."""
    seconds = seconds_of(run, stage)
    if seconds and (done := _done(run, stage, recipe, model.parameters, model.size)):
        alone = seconds / slowed
        return done, done / max(alone / 3, alone - STARTS[device_of(recipe)][KINDS[stage]])
    if stage == "train" and (tokens := trained_so_far(run, recipe)):
        return 0.0, 4 * model.parameters * tokens * slowed
    return None


def device_of(recipe: Recipe) -> str:
    """The device that times are known of: cpu or cuda."""
    return "cuda" if recipe.device == "cuda" else "cpu"


def times_as_fast(recipe: Recipe) -> int:
    """On all its cards than on one; processes on a processor divide its cores."""
    return recipe.ranks if device_of(recipe) == "cuda" else 1


def _done(run: RunPaths, stage: str, recipe: Recipe, parameters: int, size: int) -> float:
    """The work of a stage's job; 0 where that cannot be said."""
    if stage in {"convert", "merge"}:
        return float(size)
    if stage == "train":
        resumed = (read_record(JobPaths(run.job(stage)).request) or {}).get("resume")
        return 0.0 if resumed else 4 * parameters * trained_tokens(run, recipe)
    return 2 * parameters * asked_tokens(run, stage)


def asked_tokens(run: RunPaths, stage: str) -> float:
    """How many tokens a model may write to the questions of a stage's job; 0 where it has none."""
    asked = read_record(JobPaths(run.job(stage)).request) or {}
    limits = ((one["tokens"], len(one.get("earlier", ()))) for one in asked.get("questions", ()))
    return _tokens(limits, len(asked.get("texts", ())) + len(asked.get("replayed", ())))


def trained_tokens(run: RunPaths, recipe: Recipe) -> float:
    """How many tokens a whole training of this run reads; 0 where its rows are not known."""
    about = read_object(run.data) or {}
    if not about.get("rows"):
        return 0.0
    return (iterations(run, recipe) or 0) * recipe.rows_at_once * row_tokens(recipe, about)


def seconds_of(run: RunPaths, stage: str) -> float | None:
    """How long a stage's finished job took; None where there is none."""
    status = status_of(run.job(stage))
    return max(0.05, status.took) if status and status.took is not None else None
