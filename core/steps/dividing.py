"""Among how many devices a run's training is divided: those that are asked for, or that this machine has."""

from dataclasses import dataclass

from core.errors import JobRunning
from core.jobs.status import State, is_live, state_of
from core.machine import this_machine
from core.recipe.ranks import fitted, ranks_problems, with_ranks
from core.recipe.recipe import Problem, Recipe, invalid, to_yaml
from core.recipe.speed import UNSETTLED
from core.slurm.profile import Profile, machine_of
from core.steps.prepare import prepare_anew, recipe_of
from core.steps.resuming import resumable, written_by_others
from core.workspace.files import write_text
from core.workspace.paths import RunPaths


def put_on(run: RunPaths, devices: int, anew: bool = False) -> None:
    """From its next start on this run trains on so many devices of each machine, an update as before;
    ``anew``: that start is from the beginning.

    Raises JobRunning, InvalidRecipe, MissingArtefact.
    """
    recipe = recipe_of(run)
    if recipe.devices == devices:
        return
    divided = with_ranks(recipe, devices, recipe.nodes)
    if found := list(ranks_problems(divided, this_machine())):
        raise invalid(found)
    _divide(run, divided, anew)


def put_there(run: RunPaths, profile: Profile | None, devices: int | None = None) -> None:
    """The same of what ``profile`` asks Slurm for, of which this machine need not be any part: all of it, or
    of each of its machines so many ``devices`` as somebody said; without a profile on one machine. A run that
    is trained stays as it was; one that was prepared for a processor is prepared anew for a profile's GPUs.

    Raises as :func:`put_on` does, InvalidRecipe as well where a training that was begun on a processor would
    have to go on with GPUs; BothEdited, NoSuchModel, DiskFull.
    """
    recipe = recipe_of(run)
    there = asked_of_slurm(recipe, profile, devices) if profile else _on_nodes(recipe, recipe.devices, 1)
    if there == recipe or _is_trained(run):
        return
    if profile is None or there.device == recipe.device:
        _divide(run, there)
        return
    _refuse_live(run)
    if last := resumable(run):
        begun = {"iteration": last.iteration, "profile": profile.name}
        raise invalid([Problem("device", "begun_on_processor", begun)])
    prepare_anew(run, there, machine_of(profile, this_machine()))


def asked_of_slurm(recipe: Recipe, profile: Profile, devices: int | None = None) -> Recipe:
    """``recipe`` on all that a profile asks for, or of each machine on so many ``devices``. One that was made
    where there is no GPU is for the profile's then, in the precision that is usual there."""
    recipe = _on_nodes(recipe, devices or profile.gpus or recipe.devices, profile.nodes)
    if profile.gpus and recipe.device == "cpu":
        return recipe.changed(device="auto", precision="auto", cards=(), **UNSETTLED)
    return recipe


def _on_nodes(recipe: Recipe, devices: int, nodes: int) -> Recipe:
    same = (recipe.devices, recipe.nodes) == (devices, nodes)
    return recipe if same else with_ranks(recipe, devices, nodes)


def put_here(run: RunPaths, anew: bool = False) -> "FewerDevices | None":
    """Let a run that was made where there are more GPUs, or others, train on those of this machine from its
    next start on, an update as before; one that is trained stays as it was, unless it is trained ``anew``.
    Returns how many there were; None where nothing changed.

    Raises InvalidRecipe where there is none at all, or where DeepSpeed's checkpoint needs as many as wrote
    it; JobRunning, MissingArtefact.
    """
    if run.adopted.exists() or (_is_trained(run) and not anew):
        return None
    recipe, machine = recipe_of(run), this_machine()
    if recipe.device == "cuda" and not machine.gpus:
        raise invalid([Problem("device", "no_gpu", {"value": "cuda"})])
    if (now := fitted(recipe, machine)) == recipe:
        return None
    _divide(run, now, anew)
    return _fewer(recipe, now)


@dataclass(frozen=True)
class FewerDevices:
    """A run was on so many devices ``before``, and this machine has as many as it is on ``now``."""

    before: int
    now: int


def fewer_here(run: RunPaths) -> FewerDevices | None:
    """What :func:`put_here` would return, of a run that has a recipe."""
    if not run.recipe.exists() or _is_trained(run):
        return None
    recipe = recipe_of(run).changed(nodes=1)
    return _fewer(recipe, fitted(recipe, this_machine()))


def _fewer(before: Recipe, now: Recipe) -> FewerDevices | None:
    return FewerDevices(before.devices, now.devices) if before.devices != now.devices else None


def _is_trained(run: RunPaths) -> bool:
    return state_of(run.job("train")) is State.finished


def _refuse_live(run: RunPaths) -> None:
    if is_live(run.job("train")):
        raise JobRunning(folder=run.job("train"))


def _divide(run: RunPaths, recipe: Recipe, anew: bool = False) -> None:
    _refuse_live(run)
    if not anew and (there := written_by_others(run, recipe)):
        raise invalid([Problem("devices", "deepspeed_ranks", {"there": there, "ranks": recipe.ranks})])
    write_text(run.recipe, to_yaml(recipe))
