"""How long a training is, and how often it saves on its way."""

import math
from collections.abc import Mapping
from typing import Any

from core.recipe.recipe import Recipe

# A recipe that does not say how often saves so many times at least, and never later than so many iterations
# after the last time: whoever stops a training loses a quarter of it, or what 500 iterations take.
LEAST_SAVES, LONGEST_WAIT = 4, 500


def rows_of(recipe: Recipe, about: Mapping[str, Any]) -> int:
    """How many rows an epoch has; ``about`` is the run's data.json. Packed ones are ``max_length`` long."""
    return max(1, int(about["kept"]) // recipe.max_length if recipe.pack else int(about["rows"]))


def iterations_of(recipe: Recipe, about: Mapping[str, Any]) -> int:
    """How many iterations the whole training has."""
    epochs = recipe.epochs or 1
    return recipe.iterations or math.ceil(epochs * rows_of(recipe, about) / recipe.rows_at_once)


def saved_every(recipe: Recipe, iterations: int | None) -> int:
    """Iterations from one checkpoint to the next, in a training of so many (None: nobody knows)."""
    if recipe.save_every is not None:
        return recipe.save_every
    return LONGEST_WAIT if iterations is None else max(1, min(LONGEST_WAIT, iterations // LEAST_SAVES))


def first_saved(recipe: Recipe, iterations: int | None) -> int:
    """The iteration of the first checkpoint: the last iteration is always saved."""
    every = saved_every(recipe, iterations)
    return every if iterations is None else min(every, iterations)


def saves(recipe: Recipe, iterations: int | None) -> int | None:
    """How many checkpoints a training writes; None where its length is not known."""
    return None if iterations is None else math.ceil(iterations / saved_every(recipe, iterations))


def warm_up(ratio: float, iterations: int) -> int:
    """Iterations in which the learning rate rises, 0 for none. mmengine 0.10.7 refuses a schedule that ends
    where it begins, and a rise needs two points: a training of fewer than three iterations has none."""
    warm = min(max(2, math.ceil(ratio * iterations)), iterations - 1)
    return warm if ratio and warm >= 2 else 0
