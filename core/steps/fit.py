"""Fit: what a run's recipe holds in memory, and the largest settings for a card."""

from dataclasses import asdict
from typing import Any

from core.jobs.job import read_record
from core.machine import this_machine
from core.models import read_shape
from core.paths import RunPaths
from core.recipe.fit import largest_that_fits
from core.recipe.memory import Memory, memory
from core.steps.train import model_of, recipe_of

# What the settings for a card are about.
CHOSEN = (
    "batch_size",
    "accumulation",
    "iterations",
    "epochs",
    "quantization",
    "activation_checkpointing",
    "checkpointed_layers",
    "deepspeed",
)


def report(run: RunPaths, card: int | None) -> dict[str, Any]:
    """``{"memory": bytes by what they hold, "card": bytes, "largest": settings with their memory or null}``.

    ``card`` is in GB (2^30 bytes, as cards are sold); without it this machine's GPU, or its memory. For a
    card that is named the recipe is taken as one for a GPU. An adopted run has no data: its rows count as
    long as they may be. Raises MissingArtefact, NoSuchModel.
    """
    recipe, model, machine = recipe_of(run), model_of(run), this_machine()
    shape = read_shape(model)
    longest = int((read_record(run.data) or {}).get("longest", recipe.max_length))
    size = max((gpu.memory for gpu in machine.gpus), default=machine.memory)
    if card is not None:
        size = card * 2**30
        recipe = recipe.changed(device="cuda", precision=recipe.precision.replace("fp32", "bf16"))
    found = largest_that_fits(recipe, model, shape, size, longest)
    settings = asdict(found.recipe) if found else {}
    return {
        "run": run.id,
        "memory": _as_json(memory(recipe, model, shape, longest)),
        "card": size,
        "largest": {**{name: settings[name] for name in CHOSEN}, "memory": _as_json(found.memory)}
        if found
        else None,
    }


def _as_json(found: Memory) -> dict[str, int]:
    parts = {name: getattr(found, name) for name in ("weights", "adapters", "activations", "logits")}
    return {**parts, "allocated": found.allocated, "total": found.total}
