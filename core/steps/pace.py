"""How fast this machine trains, from what earlier runs of the workspace wrote down; never guessed."""

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import TuneboardError
from core.jobs.points import parse_scalars_line
from core.jobs.tail import last_lines
from core.recipe.method import has_teacher
from core.recipe.recipe import Recipe
from core.steps.train import recipe_of
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace

LOOKED_AT = 200
# Of smaller models a step is mostly Python and, on a GPU, waiting.
TELLING = {"cpu": 100_000_000, "cuda": 1_000_000_000}
RUNS_LOOKED_AT = 20
# What changes how long a token takes; a run that differs in one of them says nothing about another.
SAME = (
    "model",
    "method",
    "device",
    "precision",
    "quantization",
    "activation_checkpointing",
    "checkpointed_layers",
    "offload",
    "accelerate",
    "compile",
    "cuda_graph",
    "attention",
    "padding_free",
    "deepspeed",
    "pack",
    "replay_distillation",
    "target_modules",
    "layers_to_transform",
)


def pace(workspace: Workspace, recipe: Recipe) -> float | None:
    """Tokens a second of the newest earlier run alike enough to ``recipe``; None when there is none.

    Of several with the same batch size the newest counts, before any with another batch size.
    """
    alike = [run for run in _runs(workspace) if _alike(run[1], recipe)]
    alike.sort(key=lambda run: run[1].batch_size != recipe.batch_size)
    return next((found for paths, earlier in alike if (found := measured(paths, earlier))), None)


def measured(run: RunPaths, recipe: Recipe) -> float | None:
    """Tokens a second of one run: its median time an iteration, its mean tokens a batch."""
    about, seconds = read_object(run.data) or {}, _seconds(run.work_dir)
    if not seconds or not about.get("rows"):
        return None
    return row_tokens(recipe, about) * recipe.batch_size / statistics.median(seconds)


def row_tokens(recipe: Recipe, about: Mapping[str, Any]) -> float:
    """How many tokens a row that is trained has on average; ``about`` is the run's data.json."""
    return float(recipe.max_length if recipe.pack else about["kept"] / about["rows"])


def _seconds(work_dir: Path) -> list[float]:
    """Seconds an iteration over the newest start's last lines."""
    for scalars in sorted(work_dir.glob("*/vis_data/scalars.json"), reverse=True):
        points = (parse_scalars_line(line) for line in last_lines(scalars, LOOKED_AT))
        if seconds := [point.time for point in points if point and point.time]:
            return seconds
    return []


def _runs(workspace: Workspace) -> Iterator[tuple[RunPaths, Recipe]]:
    for folder in workspace.run_folders()[:RUNS_LOOKED_AT]:
        run = RunPaths(folder)
        if run.work_dir.is_dir():
            try:
                yield run, recipe_of(run)
            except TuneboardError:  # an unreadable recipe is no measure
                continue


def _alike(one: Recipe, other: Recipe) -> bool:
    """What the base says is read in a fraction of the time in which it is computed."""
    told = has_teacher(one) == has_teacher(other) or not other.replay_distillation
    return told and all(getattr(one, name) == getattr(other, name) for name in SAME)
