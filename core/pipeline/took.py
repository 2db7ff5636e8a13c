"""How long the stages of a chain take on this machine, by what the earlier chains of the workspace took."""

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.errors import TuneboardError
from core.jobs.job import JobPaths
from core.jobs.status import State, read_status
from core.pace import COSTS
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps.train import iterations, recipe_of
from core.workspace.paths import RunPaths, Workspace

# So many of the newest are looked at, and so many of those that are alike are enough.
LOOKED_AT, ENOUGH = 30, 5
# A stage that an earlier run had made already took no time.
LEAST_SECONDS = 0.5


def usual(workspace: Workspace, model: Path, recipe: Recipe | None = None) -> dict[str, float]:
    """Seconds by stage, the median of the newest whole chains on ``model``; of ``recipe``'s own device and
    method, and its training in proportion to its rows, where it is known. Empty where there was none."""
    found: dict[str, list[float]] = {}
    for run, earlier in _alike(workspace, model, recipe):
        for stage, seconds in seconds_of(run).items():
            by_size = _rows(recipe) / _rows(earlier) if recipe and stage == "train" else 1.0
            found.setdefault(stage, []).append(seconds * by_size)
    return {stage: statistics.median(each) for stage, each in found.items()}


def usual_of(workspace: Workspace, run: RunPaths, model: Path) -> dict[str, float]:
    """The same for a run, whether or not it has its recipe yet."""
    try:
        recipe = recipe_of(run)
        return usual(workspace, Path(recipe.model), recipe.changed(iterations=iterations(run, recipe)))
    except TuneboardError:
        return usual(workspace, model)


def _alike(workspace: Workspace, model: Path, recipe: Recipe | None) -> Iterator[tuple[RunPaths, Recipe]]:
    left = ENOUGH
    for folder in workspace.run_folders()[:LOOKED_AT]:
        run = RunPaths(folder)
        try:
            earlier = recipe_of(run)
        except TuneboardError:  # not made yet, or nobody can read it
            continue
        same = recipe is None or (earlier.device, earlier.method) == (recipe.device, recipe.method)
        if same and Path(earlier.model) == model and _is_whole(run):
            yield run, earlier
            left -= 1
        if not left:
            return


def _is_whole(run: RunPaths) -> bool:
    return JobPaths(run.job(CHAIN)).spec.exists() and read_status(run.job(CHAIN)).state is State.finished


def seconds_of(run: RunPaths) -> Mapping[str, float]:
    """How long the finished jobs of a run's stages took, start included."""
    found = {}
    for stage in COSTS:
        if stage != "starter" and JobPaths(run.job(stage)).spec.exists():
            status = read_status(run.job(stage))
            if status.state is State.finished and status.started and status.ended:
                found[stage] = max(LEAST_SECONDS, status.ended - status.started)
    return found


def _rows(recipe: Recipe) -> int:
    return (recipe.iterations or 1) * recipe.batch_size
