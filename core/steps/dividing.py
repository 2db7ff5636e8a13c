"""Among how many devices a run's training is divided: those that are asked for, or that this machine has."""

from dataclasses import dataclass

from core.errors import JobRunning
from core.jobs.status import State, is_live, state_of
from core.machine import this_machine
from core.recipe.ranks import fitted, ranks_problems, with_ranks
from core.recipe.recipe import Problem, Recipe, invalid, to_yaml
from core.steps.prepare import recipe_of
from core.steps.resuming import written_by_others
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


def put_there(run: RunPaths, devices: int, nodes: int) -> None:
    """The same of so many machines, of which this one need not be any; 0 devices: as many as it has. Raises
    as :func:`put_on` does."""
    recipe = recipe_of(run)
    devices = devices or recipe.devices
    if (recipe.devices, recipe.nodes) != (devices, nodes):
        _divide(run, with_ranks(recipe, devices, nodes))


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


def _divide(run: RunPaths, recipe: Recipe, anew: bool = False) -> None:
    if is_live(run.job("train")):
        raise JobRunning(folder=run.job("train"))
    if not anew and (there := written_by_others(run, recipe)):
        raise invalid([Problem("devices", "deepspeed_ranks", {"there": there, "ranks": recipe.ranks})])
    write_text(run.recipe, to_yaml(recipe))
