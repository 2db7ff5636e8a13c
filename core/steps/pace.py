"""How fast a training is, from what it has logged, and which other trainings would be as fast."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.jobs.points import parse_scalars_line
from core.jobs.tail import last_lines
from core.recipe.method import has_teacher
from core.recipe.recipe import Recipe
from core.workspace.files import read_object
from core.workspace.paths import RunPaths

LOOKED_AT = 200
# Of smaller models a step is mostly Python and, on a GPU, waiting.
TELLING = {"cpu": 100_000_000, "cuda": 1_000_000_000}
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
    "devices",
    "nodes",
    "pack",
    "replay_distillation",
    "target_modules",
    "layers_to_transform",
)


def trained_so_far(run: RunPaths, recipe: Recipe) -> float | None:
    """Tokens a second of a training by what it logged last: its median time an iteration, its mean tokens a
    batch. None before it has logged anything."""
    about, seconds = read_object(run.data) or {}, _seconds(run.work_dir)
    if not seconds or not about.get("rows"):
        return None
    return row_tokens(recipe, about) * recipe.rows_at_once / statistics.median(seconds)


def row_tokens(recipe: Recipe, about: Mapping[str, Any]) -> float:
    """How many tokens a row that is trained has on average; ``about`` is the run's data.json."""
    kept, rows = about.get("kept"), about.get("rows")
    return float(recipe.max_length if recipe.pack or not (kept and rows) else kept / rows)


def _seconds(work_dir: Path) -> list[float]:
    """Seconds an iteration over the newest start's last lines."""
    for scalars in sorted(work_dir.glob("*/vis_data/scalars.json"), reverse=True):
        points = (parse_scalars_line(line) for line in last_lines(scalars, LOOKED_AT))
        if seconds := [point.time for point in points if point and point.time]:
            return seconds
    return []


def is_alike(one: Recipe, other: Recipe) -> bool:
    """Whether trainings by both take as long for a token. What the base says is read in a fraction of the
    time in which it is computed."""
    told = has_teacher(one) == has_teacher(other) or not other.replay_distillation
    same_size = one.batch_size == other.batch_size
    return told and same_size and all(getattr(one, name) == getattr(other, name) for name in SAME)
