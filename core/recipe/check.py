"""What is wrong with a Recipe before it runs: every problem at once, each beside its field."""

from core.machine import Machine
from core.models import Model
from core.recipe.recipe import Problem, Recipe
from core.recipe.templates import MARKS, TEMPLATES, template_for


def problems(recipe: Recipe, machine: Machine, model: Model) -> list[Problem]:
    """All problems of ``recipe`` on ``machine`` with ``model``; an empty list means it can run."""
    return [*_length(recipe), *_template(recipe), *_device(recipe, machine), *_model(recipe, model)]


def settle(recipe: Recipe, machine: Machine, model: Model) -> Recipe:
    """``recipe`` with every "auto" replaced by what it means here, so that a file says what ran."""
    device = machine.device if recipe.device == "auto" else recipe.device
    precision = recipe.precision
    if precision == "auto":
        precision = "bf16" if device == "cuda" or machine.bf16 else "fp32"
    template = recipe.template
    if template == "auto":
        template = template_for(model.chat_template, model.model_type)
    return recipe.changed(device=device, precision=precision, template=template)


def _length(recipe: Recipe) -> list[Problem]:
    if (recipe.iterations is None) == (recipe.epochs is None):
        return [Problem("iterations", "iterations_or_epochs", {})]
    return []


def _template(recipe: Recipe) -> list[Problem]:
    found = []
    if recipe.template not in TEMPLATES and recipe.template != "auto":
        found.append(Problem("template", "not_one_of", _choice(recipe.template, "auto", *TEMPLATES)))
    if MARKS.search(recipe.system) or any(ord(c) < 32 and c not in "\n\t" for c in recipe.system):
        found.append(Problem("system", "special_text", {"found": recipe.system[:40]}))
    return found


def _choice(found: str, *expected: str) -> dict[str, object]:
    return {"found": found, "expected": ", ".join(expected)}


def _device(recipe: Recipe, machine: Machine) -> list[Problem]:
    found = []
    if recipe.device == "cuda" and not machine.gpus:
        found.append(Problem("device", "no_gpu", {"value": "cuda"}))
    device = machine.device if recipe.device == "auto" else recipe.device
    if device != "cpu":
        return found
    needs_gpu = {
        "quantization": recipe.quantization != "none",
        "deepspeed": recipe.deepspeed != "none",
        "optimizer": recipe.optimizer != "adamw",
        "precision": recipe.precision == "fp16",
    }
    for field, needed in needs_gpu.items():
        if needed:
            found.append(Problem(field, "no_gpu", {"value": getattr(recipe, field)}))
    return found


def _model(recipe: Recipe, model: Model) -> list[Problem]:
    found = []
    if model.quantization and recipe.quantization != "none":
        found.append(Problem("quantization", "already_quantized", {"found": model.quantization}))
    if max(recipe.layers_to_transform, default=-1) >= model.layers:
        found.append(Problem("layers_to_transform", "no_such_layer", {"last": model.layers - 1}))
    if 0 < model.max_length < recipe.max_length:
        found.append(Problem("max_length", "longer_than_model", {"limit": model.max_length}))
    return found
