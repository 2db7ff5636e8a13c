"""A sweep as it was asked for: which run's recipe, what is varied, and by which rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import with_config

from core.jobs.request import as_record, read_record_of
from core.machine import Machine, this_machine
from core.models.folder import read_shape
from core.recipe.disk import disk_use
from core.recipe.recipe import Problem, Recipe, parse
from core.recipe.speed import UNSETTLED
from core.slurm.profile import Profile, machine_of
from core.steps import data, prepare
from core.steps.dividing import asked_of_slurm
from core.steps.step import check_space
from core.sweep.axes import (
    MOST_TRIALS,
    REPLAY_SHARE,
    Axis,
    invalid,
    read_axes,
    refuse_unfit,
    size_of,
)
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, SweepPaths, Workspace

Sampler: TypeAlias = Literal["grid", "search"]
USUAL_TRIALS = 20
MOST_AT_ONCE = 1000
# With another value of these a loss is of something else: of other rows, of another sum, of fewer weights.
CHANGE_THE_LOSS = (REPLAY_SHARE, "replay_distillation", "dropout", "max_length", "pack")


@dataclass(frozen=True)
class Where:
    """Where a sweep's trials are made: on this machine, or as a ``profile`` asks Slurm for it, ``at_once`` at
    a time."""

    profile: Profile | None = None
    at_once: int = 0


HERE = Where()


@with_config(extra="forbid")
@dataclass(frozen=True)
class Sweep:
    """The trials of a sweep are the run ``base`` with its ``recipe`` (all of its values) but for the
    ``axes``: every combination (``grid``), or as many ``trials`` as are said, each chosen by what the earlier
    ones came to (``search``). ``prune``: whether one whose loss is worse than most is stopped early
    (:mod:`core.sweep.pruning`). ``seed``: of the search. With a ``profile`` its trials are handed to Slurm,
    ``at_once`` at a time; 0: as many as may run, of a search one after the other."""

    base: str
    name: str
    recipe: Mapping[str, Any]
    axes: tuple[Axis, ...]
    sampler: Sampler
    trials: int
    prune: bool = True
    seed: int = 0
    profile: Profile | None = None
    at_once: int = 0

    @property
    def is_array(self) -> bool:
        """Whether Slurm gets its trials together: they are known beforehand, and Slurm begins one after the
        other."""
        return self.profile is not None and self.sampler == "grid"

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(axis.field for axis in self.axes)

    @property
    def incomparable(self) -> tuple[str, ...]:
        """What of the axes keeps losses from being compared, so that nothing is stopped early."""
        return tuple(field for field in self.fields if field in CHANGE_THE_LOSS)

    @property
    def prunes(self) -> bool:
        return self.prune and not self.incomparable

    def as_recipe(self) -> Recipe:
        """What the axes are laid on. Raises InvalidRecipe."""
        return parse(self.recipe)


def planned(
    run: RunPaths,
    recipe: Recipe,
    over: tuple[str, ...],
    trials: int | None = None,
    prune: bool = True,
    where: Where = HERE,
) -> Sweep:
    """The sweep that varies ``recipe``, of the run's own or like it, ``over`` the fields that are said.

    Raises InvalidSweep with everything that is wrong, MissingArtefact, NoSuchModel.
    """
    model, axes = prepare.model_of(run), read_axes(over, recipe)
    base = _unsettled(run, recipe)
    if where.profile:
        base = as_asked_of_slurm(base, where.profile)
    refuse_unfit(axes, base, machine_for(where.profile), model)
    size = size_of(axes)
    searches = any(axis.is_range for axis in axes) or (trials is not None and trials < (size or 0))
    if size is not None and not searches and size > MOST_TRIALS:
        raise invalid([Problem("--over", "sweep_too_many", {"count": size, "most": MOST_TRIALS})])
    wanted = min(trials or USUAL_TRIALS, size or MOST_TRIALS) if searches else size or 0
    name = str(data.about_data(run)["name"])
    sampler: Sampler = "search" if searches else "grid"
    asked = as_record(base)
    return Sweep(run.id, name, asked, axes, sampler, wanted, prune, recipe.seed, where.profile, where.at_once)


def _unsettled(run: RunPaths, recipe: Recipe) -> Recipe:
    """The recipe with its speed to be chosen anew for each trial, unless somebody has chosen it."""
    loose = recipe.changed(**UNSETTLED)
    return loose if prepare.settle_for(run, loose, prepare.model_of(run)) == recipe else recipe


def machine_for(profile: Profile | None) -> Machine:
    """The machine that a sweep's trials are made on, as far as anybody knows it."""
    return machine_of(profile, this_machine()) if profile else this_machine()


def as_asked_of_slurm(recipe: Recipe, profile: Profile) -> Recipe:
    """``recipe`` on all that a profile asks for (:func:`core.steps.dividing.asked_of_slurm`). Raises
    InvalidSweep for a recipe of GPUs, of which the profile asks for none."""
    if recipe.device == "cuda" and not profile.gpus:
        raise invalid([Problem("device", "sweep_no_gpus", {"profile": profile.name})])
    return asked_of_slurm(recipe, profile, max(1, profile.gpus))


def begin(workspace: Workspace, sweep: Sweep) -> SweepPaths:
    """Keep a sweep in a folder of its own. Raises DiskFull where its runs would find no room, NotWritable."""
    workspace.prepare()
    check_space(workspace.root, room_for(workspace, sweep))
    place = workspace.new_sweep(sweep.name, datetime.now())
    write_json(place.about, as_record(sweep))
    return place


def room_for(workspace: Workspace, sweep: Sweep) -> int:
    """Bytes that all its trials take, each a run with checkpoints, adapter and merged model."""
    run, recipe = workspace.run(sweep.base), sweep.as_recipe()
    model = prepare.model_of(run)
    use = disk_use(recipe, model, read_shape(model), prepare.iterations(run, recipe))
    return sweep.trials * use.whole


def read(place: SweepPaths) -> Sweep:
    """Raises NoSuchFile, DamagedFile."""
    return read_record_of(Sweep, place.about)
