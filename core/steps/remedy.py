"""Remedy: the change of a recipe that the failure of a training asks for, as a recipe of its own.

docs/reliability.md lists which cause changes what.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.jobs.failure import why_failed
from core.jobs.status import State, status_of
from core.recipe.max_length import MOST
from core.recipe.method import lr_of
from core.recipe.recipe import Recipe
from core.steps import fit
from core.steps.prepare import model_of, recipe_of
from core.workspace.paths import RunPaths

# A learning rate that was too high is divided by so much, where the usual one for the model is not lower.
LOWER, HIGHER = 3.0, 3.0
LONGER = 4
OUT_OF_MEMORY = {"cuda_out_of_memory", "cpu_out_of_memory", "killed_out_of_memory", "killed"}
Values = Mapping[str, Any]
ON_THE_PROCESSOR = {
    "device": "cpu",
    "precision": "auto",
    "quantization": "none",
    "optimizer": "adamw",
    "deepspeed": "none",
    "offload": False,
}


@dataclass(frozen=True)
class Remedy:
    """The recipe to try instead, and what of it is changed: before and after, by field."""

    cause: str
    recipe: Recipe
    changes: Mapping[str, tuple[object, object]]


def of_run(run: RunPaths) -> Remedy | None:
    """What to change after the run's last training failed; None where it did not, or no setting would have
    prevented it. Raises MissingArtefact, InvalidRecipe, NoSuchModel."""
    return of_cause(run, why) if (why := cause_of(run)) else None


def cause_of(run: RunPaths) -> str:
    """Why the run's last training failed, where a rule says so; empty otherwise, and where it said so
    itself."""
    folder = run.job("train")
    if (status := status_of(folder)) is None or status.state is not State.failed:
        return ""
    why = why_failed(folder, status)
    return why.cause if why and not why.said else ""


def of_cause(run: RunPaths, cause: str) -> Remedy | None:
    """What a cause asks to be changed of the run's recipe. Raises as :func:`of_run` does."""
    before = recipe_of(run)
    if cause in OUT_OF_MEMORY:
        after = fit.smaller(run)
    else:
        change = CHANGES.get(cause)
        after = before.changed(**change(before, run)) if change else None
    changed = differences(before, after) if after else {}
    return Remedy(cause, after, changed) if after and changed else None


def differences(before: Recipe, after: Recipe) -> dict[str, tuple[object, object]]:
    """What differs between two recipes: before and after, by field."""
    old, new = asdict(before), asdict(after)
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}


def _to(**values: Any) -> Callable[[Recipe, RunPaths], Values]:
    return lambda _, __: values


def _lower_rate(recipe: Recipe, run: RunPaths) -> Values:
    """As low as is usual for the model, or a third: never higher. Half precision has its own way to NaN."""
    if recipe.precision == "fp16":
        return {"precision": "auto"}
    usual = lr_of(recipe.method, recipe.rank, model_of(run))
    return {"lr": float(f"{min(usual, recipe.lr / LOWER):.2g}")}


def _higher_rate(recipe: Recipe, run: RunPaths) -> Values:
    """The usual one, where this is lower; a higher one than that is nobody's advice."""
    usual = lr_of(recipe.method, recipe.rank, model_of(run))
    return {"lr": float(f"{min(usual, recipe.lr * HIGHER):.2g}")} if recipe.lr < usual else {}


def _longer(recipe: Recipe, run: RunPaths) -> Values:
    """Room for questions before which no answer was left, as far as the model can read."""
    return {"max_length": min(model_of(run).max_length or MOST, LONGER * recipe.max_length)}


def _fewer_checkpoints(recipe: Recipe, _: RunPaths) -> Values:
    return {"keep_checkpoints": min(recipe.keep_checkpoints, Recipe.keep_checkpoints)}


def _plain_weights(_: Recipe, __: RunPaths) -> Values:
    return {"quantization": "none", "optimizer": "adamw"}


CHANGES: Mapping[str, Callable[[Recipe, RunPaths], Values]] = {
    "nan_loss": _lower_rate,
    "lr_too_high": _lower_rate,
    "loss_not_falling": _higher_rate,
    "dataset_empty": _longer,
    "disk_full": _fewer_checkpoints,
    "quota": _fewer_checkpoints,
    "worker_killed": _to(dataloader_workers=0),
    "shared_memory": _to(dataloader_workers=0),
    "too_many_files": _to(dataloader_workers=0),
    "template_mismatch": _to(template="auto", template_reason=""),
    "flash_attention": _to(attention="auto"),
    "no_compiler": _to(compile="none"),
    "bitsandbytes_library": _plain_weights,
    "deepspeed_mpi": _to(deepspeed="none"),
    "nccl_timeout": _to(deepspeed="none"),
    "no_gpu": _to(**ON_THE_PROCESSOR),
    "driver_too_old": _to(**ON_THE_PROCESSOR),
    "gpu_unsupported": _to(**ON_THE_PROCESSOR),
    "gpu_taken": _to(**ON_THE_PROCESSOR),
    "gpu_error": _to(accelerate="off"),
    "crashed": _to(accelerate="off"),
}
