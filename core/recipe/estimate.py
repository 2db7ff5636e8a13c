"""What a fine-tune will take before it is started: iterations, updates, tokens, memory. How long it takes is
:mod:`core.pipeline.took`'s."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models.folder import Model, ModelShape
from core.recipe.length import iterations_of, rows_of
from core.recipe.memory import Memory, memory, trainable
from core.recipe.recipe import Recipe


@dataclass(frozen=True)
class Estimate:
    """``iterations`` are micro-batches of each device, ``updates`` optimizer steps, ``passes`` how often a
    row is seen, ``tokens`` those read in training; ``memory`` is one device's."""

    iterations: int
    updates: int
    passes: float
    tokens: int
    memory: Memory
    trainable: int


def estimate(recipe: Recipe, model: Model, shape: ModelShape, rows: Mapping[str, Any]) -> Estimate:
    """What ``recipe`` takes. ``rows`` is the run's data.json."""
    count, kept = rows_of(recipe, rows), int(rows["kept"])
    iterations = iterations_of(recipe, rows)
    read = iterations * recipe.rows_at_once
    return Estimate(
        iterations=iterations,
        updates=iterations // recipe.gradient_accumulation_steps,
        passes=read / count,
        tokens=int(read * kept / count),
        memory=memory(recipe, model, shape, int(rows["longest"])),
        trainable=trainable(recipe, model, shape),
    )
