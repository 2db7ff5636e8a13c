"""The max length of a training for which nobody named one: it follows the data, the model and the machine.

It is the smallest of 512, 1024, 2048, … tokens that keeps ``ENOUGH`` of the answers' tokens; powers of two,
so that two runs seldom differ in the shapes that are compiled. It ends where the model does (its positions),
where by the memory formula no batch of the same rows fits any more (smaller and accumulated, layers computed
again; nothing is quantized for it), and on a processor where one night would not be enough.
"""

from collections.abc import Iterator
from typing import Protocol

from core.machine import Machine
from core.models.folder import Model, read_shape
from core.recipe.fit import largest_that_fits
from core.recipe.memory import memory
from core.recipe.recipe import Recipe

LEAST, MOST = Recipe.max_length, 1 << 20
ENOUGH = 0.99
# Where nothing keeps enough, a longer length has to keep so much more.
WORTH = 0.01
NIGHT = 12 * 3600.0
# Of the memory that there is: the formula is within 7 % of what was measured on a card; on a processor others
# live in the same memory, and nobody measured.
ROOM = {"cuda": 0.93, "cpu": 0.75}
# Weights times tokens times four (forward and back) a second and core: what the starter's default came to on
# two cores of an EPYC without bfloat16 (docs/performance.md, "On a processor").
PACE_OF_A_CORE = 25e9
# What a longer length may change besides itself: the rows of an optimizer step stay the same.
FOLLOWS = (
    "max_length",
    "batch_size",
    "gradient_accumulation_steps",
    "iterations",
    "activation_checkpointing",
    "checkpointed_layers",
    "offload",
)


class Lengths(Protocol):
    """How long the rows of some data are."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""

    def kept(self, max_length: int) -> float:
        """The share of the answers' tokens that is left at this length."""

    def mean(self, max_length: int) -> float:
        """Tokens of a row, cut at this length."""


def lengthened(recipe: Recipe, model: Model, machine: Machine, found: Lengths, share: float = 1.0) -> Recipe:
    """A settled ``recipe`` with the length that suits its rows, and a batch that fits it. ``share`` of the
    rows are as long as ``found``, the others (replayed ones) short.

    Raises NotAModel.
    """
    tried = [recipe.changed(max_length=least(model))]
    for length in _longer(model):
        if found.kept(tried[-1].max_length) >= ENOUGH:
            return tried[-1]
        longer = _fitting(recipe.changed(max_length=length), model, machine, found, share)
        if longer is None:
            break
        tried.append(longer)
    best = found.kept(tried[-1].max_length)
    if best >= ENOUGH:
        return tried[-1]
    return next(one for one in tried if found.kept(one.max_length) > best - WORTH)


def least(model: Model) -> int:
    """As long as short rows are trained, and longer ones on a model with few positions."""
    return min(model.max_length or LEAST, LEAST)


def enough(model: Model, found: Lengths) -> int:
    """The step that keeps enough of the answers, whatever it costs; the model's last one where none does."""
    steps = (least(model), *_longer(model))
    return next((length for length in steps if found.kept(length) >= ENOUGH), steps[-1])


def _longer(model: Model) -> Iterator[int]:
    """The steps above the least; the last one is all that the model has."""
    most = min(model.max_length or MOST, MOST)
    length = 2 * LEAST
    while length <= most:
        yield length
        length *= 2
    if LEAST < most < length and most != length // 2:
        yield most


def _fitting(recipe: Recipe, model: Model, machine: Machine, found: Lengths, share: float) -> Recipe | None:
    """The recipe in the memory and the time that there are; None where it does not fit."""
    if recipe.device != "cuda" and share * _seconds(recipe, model, machine, found) > NIGHT:
        return None
    shape = read_shape(model)
    on_card = max((gpu.memory for gpu in machine.gpus), default=0)
    device = "cuda" if recipe.device == "cuda" else "cpu"
    room = int(ROOM[device] * (on_card if device == "cuda" else machine.memory))
    if memory(recipe, model, shape, found.longest).total <= room:
        return recipe
    fit = largest_that_fits(recipe, model, shape, room, found.longest)
    same = ("quantization", "deepspeed")
    if fit is None or any(getattr(fit.recipe, name) != getattr(recipe, name) for name in same):
        return None
    return fit.recipe


def tokens_seen(recipe: Recipe, found: Lengths) -> int:
    """How many tokens a run reads whose rows are as long as ``found``."""
    return int((recipe.iterations or 1) * recipe.rows_at_once * found.mean(recipe.max_length))


def _seconds(recipe: Recipe, model: Model, machine: Machine, found: Lengths) -> float:
    return 4 * model.parameters * tokens_seen(recipe, found) / (PACE_OF_A_CORE * machine.cores)
