"""How weights are trained: LoRA, one of its variants, or all of them; and what of a recipe goes by that.

LoRA: Hu et al. 2021 (arXiv 2106.09685); DoRA: Liu et al. 2024 (2402.09353); rsLoRA: Kalajdzievski 2023
(2312.03732); PiSSA: Meng et al. 2024 (2404.02948). "full" trains every weight and makes no adapter.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.models.folder import Model
from core.recipe.recipe import Method, Problem, Recipe
from core.workspace.paths import teacher_beside

# Measured on the starter: LoRA on these alone, and not in the first sixth of the layers, learns and keeps as
# much and takes a quarter less time; what lies below needs no backward pass.
MLP = ("gate_proj", "up_proj", "down_proj")
# Phi's and GLM's, with two of the matrices in one.
JOINED_MLP = ("gate_up_proj", "down_proj")
# A small model takes, and needs, a much higher rate than a large one: 2e-3 was best for 135 million weights,
# 2e-4 is usual for seven billion (XTuner's own configs); between them on the line of their logarithms.
SIZE, LR, POWER, LEAST_LR, MOST_LR = 135e6, 2e-3, -0.577, 1e-4, 3e-3
# Of LoRA's rate. All weights at once move the model further a step: XTuner 0.2.0's own configs have 2e-5
# where those of LoRA have 2e-4. PiSSA begins with the largest directions of a weight in its matrices: what
# they are multiplied with is several times larger than LoRA's random ones, and its paper has 2e-5 as well; at
# a fifth of LoRA's rate the starter was ruined in 30 steps (docs/performance.md).
SHARES: dict[Method, float] = {"lora": 1.0, "dora": 1.0, "rslora": 1.0, "pissa": 0.1, "full": 0.1}
# The fast path adds LoRA's product to a frozen weight's, whatever its scale and wherever it began.
FAST: tuple[Method, ...] = ("lora", "rslora", "pissa")


def has_adapter(recipe: Recipe) -> bool:
    """Whether training makes an adapter; without one it makes a whole model."""
    return recipe.method != "full"


def has_teacher(recipe: Recipe) -> bool:
    """Whether what the base says in the replayed rows is read from a file beside the rows, and not computed
    again in every step: the file is made with rows whose answers the base was asked for. Rows that are not
    made yet will have one; rows that are packed into others have none."""
    rows = Path(recipe.data)
    return not recipe.pack and (teacher_beside(rows).exists() or not rows.exists())


def is_known_to_the_fast_path(recipe: Recipe) -> bool:
    """It takes the base for what is left without the adapter, which with PiSSA is no longer the base."""
    return recipe.method in FAST and not (recipe.method == "pissa" and recipe.replay_distillation)


def lr_of(method: Method, rank: int, model: Model) -> float:
    """The peak learning rate to begin with."""
    plain = LR * (max(1, model.parameters) / SIZE) ** POWER
    return float(f"{min(MOST_LR, max(LEAST_LR, plain)) * _share(method, rank):.2g}")


def _share(method: Method, rank: int) -> float:
    """rsLoRA divides its output by the root of the rank instead of the rank: it is that root times larger."""
    return SHARES[method] / (math.sqrt(rank) if method == "rslora" else 1)


def places_of(method: Method, model: Model) -> dict[str, Any]:
    """Which layers are adapted, unless a recipe says otherwise; with "full" there is nothing to choose."""
    if method == "full":
        return {"target_modules": (), "layers_to_transform": ()}
    return {
        "target_modules": _mlp_of(model),
        "layers_to_transform": tuple(range(model.layers // 6, model.layers)),
    }


def _mlp_of(model: Model) -> tuple[str, ...]:
    """The MLP's layers where every token passes through them; else, as in a mixture of experts, none by name:
    every linear layer that there is."""
    return next((layers for layers in (MLP, JOINED_MLP) if model.linear.issuperset(layers)), ())


def with_method(recipe: Recipe, method: Method, model: Model) -> Recipe:
    """``recipe`` trained by another method: its learning rate in proportion, and nothing left that the method
    has no use for; from "full" to an adapter its layers are chosen anew."""
    share = _share(method, recipe.rank) / _share(recipe.method, recipe.rank)
    changed = recipe.changed(method=method, lr=float(f"{recipe.lr * share:.3g}"))
    if method == "full":
        changed = changed.changed(dropout=0.0, quantization="none", **places_of(method, model))
    elif recipe.method == "full":
        changed = changed.changed(**places_of(method, model))
    if "full" in {method, recipe.method} and recipe.device != "cuda":
        changed = changed.changed(precision="auto")  # a processor's is another for weights that are trained
    if method == "pissa":
        changed = changed.changed(quantization="none")
    return changed.changed(accelerate="auto") if recipe.accelerate in {"on", "off"} else changed


def method_problems(recipe: Recipe, device: str) -> Iterator[Problem]:
    """What cannot be combined with the recipe's method; ``device`` is the one that "auto" means here."""
    unfit: dict[str, tuple[bool, str]] = {}
    if recipe.method == "full":
        unfit = {
            "quantization": (recipe.quantization != "none", "none"),
            "dropout": (recipe.dropout != 0, "0"),
            "target_modules": (bool(recipe.target_modules), "[]"),
            "layers_to_transform": (bool(recipe.layers_to_transform), "[]"),
            # A step's change is often smaller than the last bit that a bfloat16 weight has.
            "precision": (device == "cpu" and recipe.precision == "bf16", "fp32"),
            # The base is kept as a copy, which ZeRO-3 would have divided before it is made.
            "replay_distillation": (recipe.replay_distillation and "zero3" in recipe.deepspeed, "false"),
        }
    if recipe.method == "pissa":
        unfit = {
            # PEFT takes a weight apart into what it trains and a rest, which a rounded weight has not.
            "quantization": (recipe.quantization != "none", "none"),
            "deepspeed": ("zero3" in recipe.deepspeed, "zero2"),
        }
    for field, (wrong, instead) in unfit.items():
        if wrong:
            value = getattr(recipe, field)
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            values = {"value": shown, "method": recipe.method, "instead": instead}
            yield Problem(field, "not_with_method", values)
