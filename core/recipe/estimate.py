"""What a fine-tune will take before it is started: steps, tokens, memory; and time where a pace is known.

Memory counts, in bytes: the weights as they are held; LoRA's r·(in + out) weights a layer, each with its
gradient and Adam's two moments in float32 (Hu et al. 2021, arXiv 2106.09685; Kingma & Ba 2014); the
activations kept for the backward pass, counted tensor by tensor for a Llama layer as Korthikanti et al. 2022
(arXiv 2205.05198) count a GPT layer, attention itself recomputed (SDPA); and the logits with their gradient.
Against XTuner 0.2.0 on one H100 and a 7.3B Llama it is within 25 % (tests/test_config_page.py has the rows).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models import Model, Shape
from core.recipe.recipe import Recipe

# NF4 with double quantization and int8, bytes a weight (Dettmers et al. 2023, arXiv 2305.14314).
QUANTIZED = {"nf4": 0.516, "int8": 1.0}
PLAIN = {"fp32": 4, "bf16": 2, "fp16": 2, "auto": 4}
# Weight, gradient and two moments, float32 each; the 8-bit optimizers keep their moments in a byte.
TRAINED, TRAINED_8BIT = 16, 10
# torch with its libraries; on a GPU its context.
RUNTIME = {"cpu": 1_000_000_000, "cuda": 700_000_000}
# Logits, their float32 copy and their gradient.
LOGIT_BYTES = 12


@dataclass(frozen=True)
class Estimate:
    """``iterations`` are micro-batches, ``steps`` optimizer steps, ``passes`` how often a row is seen.

    ``tokens`` are those read in training; ``memory`` is the most bytes, ``seconds`` None without a pace.
    """

    iterations: int
    steps: int
    passes: float
    tokens: int
    memory: int
    trainable: int
    seconds: float | None


def estimate(
    recipe: Recipe, model: Model, shape: Shape, rows: Mapping[str, Any], pace: float | None
) -> Estimate:
    """What ``recipe`` takes. ``rows`` is the run's data.json; ``pace`` is tokens a second, measured here."""
    count, kept = max(1, int(rows["rows"])), int(rows["kept"])
    if recipe.pack:
        count = max(1, kept // recipe.max_length)
    iterations = recipe.iterations or math.ceil((recipe.epochs or 1) * count / recipe.batch_size)
    tokens = int(iterations * recipe.batch_size * kept / count)
    return Estimate(
        iterations=iterations,
        steps=iterations // recipe.accumulation,
        passes=iterations * recipe.batch_size / count,
        tokens=tokens,
        memory=memory(recipe, model, shape, int(rows["longest"])),
        trainable=trainable(recipe, shape),
        seconds=tokens / pace if pace else None,
    )


def trainable(recipe: Recipe, shape: Shape) -> int:
    """LoRA's weights: r·(in + out) for every adapted layer."""
    adapted = (size for name, size in shape.linear.items() if _adapted(recipe, name))
    return sum(recipe.rank * (rows + columns) for rows, columns in adapted)


def _adapted(recipe: Recipe, weight: str) -> bool:
    """Whether LoRA is added to a weight, by its name: ``model.layers.7.mlp.up_proj.weight``."""
    _, _, place = weight.removesuffix(".weight").partition(".layers.")
    layer, _, name = place.partition(".")
    wanted, layers = recipe.target_modules, recipe.layers_to_transform
    return (not wanted or name.rpartition(".")[2] in wanted) and (not layers or int(layer) in layers)


def memory(recipe: Recipe, model: Model, shape: Shape, longest: int) -> int:
    """Bytes at the highest; of the GPU's memory on a GPU, of the process on a processor."""
    length = recipe.max_length if recipe.pack else min(recipe.max_length, max(longest, 1))
    tokens = recipe.batch_size * length
    moments = TRAINED_8BIT if "8bit" in recipe.optimizer else TRAINED
    parts = (
        _weights(recipe, model, shape),
        trainable(recipe, shape) * moments,
        tokens * _activation_bytes(recipe, shape),
        tokens * shape.vocabulary * LOGIT_BYTES,
        RUNTIME["cuda" if recipe.device == "cuda" else "cpu"],
    )
    return int(sum(parts))


def _weights(recipe: Recipe, model: Model, shape: Shape) -> float:
    """Quantizing leaves embeddings and the last layer whole; peft then casts them to float32."""
    if recipe.quantization == "none":
        return model.parameters * PLAIN[recipe.precision]
    layers = sum(rows * columns for rows, columns in shape.linear.values())
    return layers * QUANTIZED[recipe.quantization] + (model.parameters - layers) * 4


def _activation_bytes(recipe: Recipe, shape: Shape) -> float:
    """Bytes a token keeps through all layers.

    A Llama layer keeps 7 tensors of the hidden size (two norms' inputs and outputs, queries, attention's
    output and input of the second half), keys and values, and 4 of the intermediate size.
    """
    half = recipe.precision in {"bf16", "fp16"} and recipe.quantization == "none"
    size = 2 if half else 4
    layer = 7 * shape.hidden + 2 * shape.hidden * shape.heads_of_keys + 4 * shape.intermediate
    if recipe.activation_checkpointing:
        return size * (shape.layers * shape.hidden + layer)
    return size * shape.layers * layer
