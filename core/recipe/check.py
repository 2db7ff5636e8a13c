"""What is wrong with a Recipe before it runs: every problem at once, each beside its field."""

from collections.abc import Mapping
from contextlib import suppress

from core.errors import InvalidRecipe, NotAModel
from core.machine import Machine
from core.models.folder import Model
from core.recipe.method import method_problems
from core.recipe.own_template import spoken_by, template_of
from core.recipe.ranks import ranks_problems
from core.recipe.recipe import Problem, Recipe, parse
from core.recipe.speed import can_be_recorded, settle_speed
from core.recipe.templates import MARKS, TEMPLATES, template_names
from core.recipe.unsloth import unsloth_problems

# Of DeepSpeed: with torch's own optimizer and in float32. It is no faster there, but needs no card.
ON_A_PROCESSOR = {"none", "zero1", "zero2", "zero3"}


def problems(recipe: Recipe, machine: Machine, model: Model) -> list[Problem]:
    """All problems of ``recipe`` on ``machine`` with ``model``; an empty list means it can run."""
    return [
        *_length(recipe),
        *_template(recipe, model),
        *_device(recipe, machine),
        *ranks_problems(recipe, machine),
        *_model(recipe, model),
        *method_problems(recipe, machine.device_for(recipe.device)),
        *_speed(recipe),
        *unsloth_problems(recipe, machine, model),
    ]


def check(
    values: Mapping[str, object], machine: Machine, model: Model
) -> tuple[Recipe | None, list[Problem]]:
    """The Recipe of plain values, if they are one, and everything that keeps it from running.

    Values that cannot be used do not hide what is wrong with the others.
    """
    try:
        recipe = parse(values)
    except InvalidRecipe as error:
        found: list[Problem] = list(error.values["found"])  # type: ignore[call-overload]
    else:
        return recipe, problems(recipe, machine, model)
    unusable = {problem.field.partition(".")[0] for problem in found}
    others = {name: value for name, value in values.items() if name not in unusable}
    with suppress(InvalidRecipe):  # a field without a default is among the unusable ones
        found += [p for p in problems(parse(others), machine, model) if p.field not in unusable]
    return None, found


def settle(recipe: Recipe, machine: Machine, model: Model, tokens: int | None = None) -> Recipe:
    """``recipe`` with every "auto" replaced by what it means here, so that a file says what ran.

    ``tokens``: how many the whole run reads, where that is known.
    """
    device = machine.device_for(recipe.device)
    precision = recipe.precision
    if precision == "auto":
        # mmengine 0.10.7 has no mixed precision on a processor, and trained weights are float32.
        alone = recipe.method != "full" and recipe.deepspeed == "none"
        half = device == "cuda" or (machine.bf16 and alone)
        precision = "bf16" if half else "fp32"
    template = recipe.template
    if template == "auto":
        template = spoken_by(model)
    settled = recipe.changed(device=device, precision=precision, template=template)
    return settle_speed(settled, model, tokens)


def _length(recipe: Recipe) -> list[Problem]:
    if (recipe.iterations is None) == (recipe.epochs is None):
        return [Problem("iterations", "iterations_or_epochs", {})]
    return []


def _template(recipe: Recipe, model: Model) -> list[Problem]:
    found = []
    if recipe.template not in template_names():
        found.append(Problem("template", "not_one_of", _choice(recipe.template, *template_names())))
    elif recipe.template not in ("auto", *TEMPLATES):
        try:
            template_of(recipe.template, model.folder)
        except NotAModel as error:
            found.append(Problem("template", "not_spoken", {"reason": error.values["reason"]}))
    if MARKS.search(recipe.system) or any(ord(c) < 32 and c not in "\n\t" for c in recipe.system):
        found.append(Problem("system", "special_text", {"found": recipe.system[:40]}))
    return found


def _choice(found: str, *expected: str) -> dict[str, object]:
    return {"found": found, "expected": ", ".join(expected)}


def _device(recipe: Recipe, machine: Machine) -> list[Problem]:
    found = []
    if recipe.device == "cuda" and not machine.gpus:
        found.append(Problem("device", "no_gpu", {"value": "cuda"}))
    if machine.device_for(recipe.device) != "cpu":
        return found
    needs_gpu = {
        "quantization": recipe.quantization != "none",
        "deepspeed": recipe.deepspeed not in ON_A_PROCESSOR,
        "optimizer": recipe.optimizer != "adamw",
        "precision": recipe.precision == "fp16"
        or (recipe.deepspeed != "none" and recipe.precision == "bf16"),
    }
    for field, needed in needs_gpu.items():
        if needed:
            found.append(Problem(field, "no_gpu", {"value": getattr(recipe, field)}))
    return found


def _speed(recipe: Recipe) -> list[Problem]:
    if recipe.cuda_graph == "on" and not can_be_recorded(recipe):
        return [Problem("cuda_graph", "not_recordable", {})]
    return []


def _model(recipe: Recipe, model: Model) -> list[Problem]:
    found = []
    if model.quantization and recipe.quantization != "none":
        found.append(Problem("quantization", "already_quantized", {"found": model.quantization}))
    if max(recipe.layers_to_transform, default=-1) >= model.layers:
        found.append(Problem("layers_to_transform", "no_such_layer", {"last": model.layers - 1}))
    if 0 < model.max_length < recipe.max_length:
        found.append(Problem("max_length", "longer_than_model", {"limit": model.max_length}))
    return found
