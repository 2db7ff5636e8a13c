"""What a fine-tune will take before it is started: steps, tokens, memory; and time where a pace is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models.folder import Model, ModelShape
from core.recipe.length import iterations_of, rows_of
from core.recipe.memory import Memory, memory, trainable
from core.recipe.recipe import Recipe


@dataclass(frozen=True)
class Estimate:
    """``iterations`` are micro-batches, ``steps`` optimizer steps, ``passes`` how often a row is seen.

    ``tokens`` are those read in training; ``seconds`` is None without a pace.
    """

    iterations: int
    steps: int
    passes: float
    tokens: int
    memory: Memory
    trainable: int
    seconds: float | None


def estimate(
    recipe: Recipe, model: Model, shape: ModelShape, rows: Mapping[str, Any], pace: float | None
) -> Estimate:
    """What ``recipe`` takes. ``rows`` is the run's data.json; ``pace`` is tokens a second, measured here."""
    count, kept = rows_of(recipe, rows), int(rows["kept"])
    iterations = iterations_of(recipe, rows)
    tokens = int(iterations * recipe.batch_size * kept / count)
    return Estimate(
        iterations=iterations,
        steps=iterations // recipe.gradient_accumulation_steps,
        passes=iterations * recipe.batch_size / count,
        tokens=tokens,
        memory=memory(recipe, model, shape, int(rows["longest"])),
        trainable=trainable(recipe, model, shape),
        seconds=tokens / pace if pace else None,
    )
