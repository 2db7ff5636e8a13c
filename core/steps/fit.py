"""Fit: what a run's recipe holds in memory, and the largest settings for a card."""

from dataclasses import asdict
from typing import Any

from core.machine import meters, this_machine
from core.models.folder import Model, ModelShape, read_shape
from core.recipe.fit import Fit, largest_that_fits
from core.recipe.max_length import ROOM
from core.recipe.memory import Memory, memory
from core.recipe.recipe import Recipe
from core.recipe.speed import why_slow
from core.steps.prepare import model_of, recipe_of
from core.workspace.files import read_record
from core.workspace.paths import RunPaths

# What the settings for a card are about.
CHOSEN = (
    "batch_size",
    "gradient_accumulation_steps",
    "iterations",
    "epochs",
    "quantization",
    "activation_checkpointing",
    "checkpointed_layers",
    "offload",
    "cuda_graph",
    "deepspeed",
)
# No row of an identity, and no replayed one, is longer.
LONGEST_ROW = 128
# What a batch holds has to become smaller by so much at least: what ran out fitted by the formula, maybe.
SPARED = 0.2


def report(run: RunPaths, card: int | None) -> dict[str, Any]:
    """``{"memory": bytes by what they hold, "card": bytes, "largest": settings with their memory or null,
    "slow": why the fast path does not train it}``.

    ``card`` is in GB (2^30 bytes, as cards are sold); without it this machine's GPU, or its memory. For a
    card that is named the recipe is taken as one for a GPU. An adopted run has no data: its rows count as
    long as they may be. Raises MissingArtefact, NoSuchModel.
    """
    recipe, model, machine = recipe_of(run), model_of(run), this_machine()
    shape, longest = read_shape(model), _longest(run, recipe)
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
        "slow": why_slow(recipe, model),
    }


def fitting(recipe: Recipe, model: Model, shape: ModelShape, longest: int) -> Fit | None:
    """A settled recipe itself where this machine holds it, else the fastest settings that it does, if any."""
    room, held = room_for(recipe), memory(recipe, model, shape, longest)
    return Fit(recipe, held) if held.total <= room else largest_that_fits(recipe, model, shape, room, longest)


def room_for(recipe: Recipe) -> int:
    """Bytes that each process of a training may hold: of the largest card, or its part of the machine's
    memory."""
    machine = this_machine()
    if recipe.device == "cuda":
        return int(ROOM["cuda"] * max(gpu.memory for gpu in machine.gpus))
    return int(ROOM["cpu"] * machine.memory / recipe.devices)


def smaller(run: RunPaths) -> Recipe | None:
    """The recipe of a run that ran out of memory, as it fits what is free now; None when nothing does.

    It holds clearly less than the one that ran out, whatever the formula said of that. Raises
    MissingArtefact, NoSuchModel.
    """
    recipe, model = recipe_of(run), model_of(run)
    shape, longest = read_shape(model), _longest(run, recipe)
    held = memory(recipe, model, shape, longest)
    room = min(free_memory(recipe), held.total - int(SPARED * (held.activations + held.logits)))
    found = largest_that_fits(recipe, model, shape, room, longest)
    return found.recipe if found else None


def free_memory(recipe: Recipe) -> int:
    """Bytes that each process of a training may take now: what is free on the best GPU, else its part of the
    machine's memory."""
    machine = this_machine()
    if recipe.device == "cuda" and (used := meters().gpus):
        return max(gpu.memory - taken for gpu, (_, taken) in zip(machine.gpus, used, strict=False))
    return machine.memory // recipe.devices


def changes(before: Recipe, after: Recipe) -> dict[str, tuple[object, object]]:
    """What differs between two recipes' settings for a card: before and after, by field."""
    found = {name: (getattr(before, name), getattr(after, name)) for name in CHOSEN}
    return {name: (old, new) for name, (old, new) in found.items() if old != new}


def _longest(run: RunPaths, recipe: Recipe) -> int:
    """The longest conversation in tokens; where that is not known, as long as one may be."""
    return int((read_record(run.data) or {}).get("longest", recipe.max_length))


def _as_json(found: Memory) -> dict[str, int]:
    parts = {name: getattr(found, name) for name in ("weights", "adapters", "activations", "logits")}
    return {**parts, "allocated": found.allocated, "total": found.total}
