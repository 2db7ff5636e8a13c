"""The largest settings that fit a card: batch, checkpointing and quantization, by the memory formula."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.models.folder import Model, ModelShape
from core.recipe.memory import Memory, memory
from core.recipe.method import has_adapter
from core.recipe.recipe import Recipe
from core.recipe.speed import as_trained, is_fast

# Fewer tokens a step leave the GPU waiting for Python: a 7B model read 1,024 of them at a third of the speed
# of 4,096 (XTuner 0.2.0, one H100).
ENOUGH_TOKENS = 4096


@dataclass(frozen=True)
class Fit:
    """A recipe that fits, and what it holds at its highest."""

    recipe: Recipe
    memory: Memory


def largest_that_fits(recipe: Recipe, model: Model, shape: ModelShape, card: int, longest: int) -> Fit | None:
    """``recipe`` as a card of ``card`` bytes can run it fastest; None when nothing fits.

    The rows of an optimizer step, and how often each is seen, stay as they are: a smaller batch is
    accumulated more often. Unquantized before quantized, because nothing is rounded; without checkpointing
    before with it, because that computes everything once; the first that reads enough tokens at once, else
    the one that reads the most. DeepSpeed is slower and takes less, and comes last; of a full fine-tune the
    optimizer then lies in the host's memory.
    """
    stages = [recipe.deepspeed]
    if recipe.device == "cuda" and recipe.deepspeed == "none" and recipe.accelerate != "unsloth":
        stages.append("zero2" if has_adapter(recipe) else "zero2_offload")
    tried = (_largest(recipe.changed(deepspeed=stage), model, shape, card, longest) for stage in stages)
    return next((found for found in tried if found), None)


def _largest(recipe: Recipe, model: Model, shape: ModelShape, card: int, longest: int) -> Fit | None:
    fitting = [fit for fit in _fits(recipe, model, shape, longest) if fit.memory.total <= card]
    length = recipe.max_length if recipe.pack else min(recipe.max_length, max(1, longest))
    rows = recipe.batch_size * recipe.gradient_accumulation_steps
    enough = min(ENOUGH_TOKENS, rows * length)
    full = next((fit for fit in fitting if fit.recipe.batch_size * length >= enough), None)
    return full or max(fitting, key=lambda fit: fit.recipe.batch_size, default=None)


def _fits(recipe: Recipe, model: Model, shape: ModelShape, longest: int) -> Iterator[Fit]:
    """Every choice, the fastest first; of one quantization and checkpointing the largest batch first."""
    rounded = recipe.device == "cuda" and not model.quantization and recipe.method not in {"full", "pissa"}
    kinds = ("none", "nf4") if rounded else ("none",)
    for quantization in kinds:
        for again, offload in _checkpointings(as_trained(recipe, model), shape):
            for batch in _batches(recipe.batch_size * recipe.gradient_accumulation_steps):
                changed = _with_batch(recipe, batch).changed(
                    quantization=quantization,
                    activation_checkpointing=again > 0,
                    checkpointed_layers=again if 0 < again < shape.layers else None,
                    offload=offload,
                    # What goes to the host and back is not recorded.
                    cuda_graph="off" if offload and recipe.cuda_graph == "on" else recipe.cuda_graph,
                )
                yield Fit(changed, memory(changed, model, shape, longest))


def _checkpointings(recipe: Recipe, shape: ModelShape) -> list[tuple[int, bool]]:
    """How many layers are checkpointed, and whether their inputs wait in the host's memory: XTuner knows none
    and all, the fast path also some."""
    if not is_fast(recipe):
        return [(0, False), (shape.layers, False)]
    some = sorted({shape.layers * quarter // 4 for quarter in range(5)})
    return [*((again, False) for again in some), (shape.layers, True)]


def _batches(rows: int) -> list[int]:
    """What divides an optimizer step's rows evenly, the largest first."""
    return [batch for batch in range(rows, 0, -1) if rows % batch == 0]


def _with_batch(recipe: Recipe, batch: int) -> Recipe:
    """The same rows an optimizer step, and the same rows in the whole training."""
    rows = recipe.batch_size * recipe.gradient_accumulation_steps
    iterations = recipe.iterations and max(1, round(recipe.iterations * recipe.batch_size / batch))
    return recipe.changed(batch_size=batch, gradient_accumulation_steps=rows // batch, iterations=iterations)
