"""What a training holds in memory at its highest, from a formula: nothing is run for it.

Counted tensor by tensor as Korthikanti et al. 2022 ("Reducing activation recomputation in large transformer
models", arXiv 2205.05198) count a GPT layer, for a Llama layer (SwiGLU, grouped keys and values, RMSNorm)
whose weights are frozen: autograd then keeps no input of a linear layer, except of those that LoRA is added
to. Attention itself is recomputed (SDPA: Dao et al. 2022, arXiv 2205.14135). Weights and optimizer: Dettmers
et al. 2023 (QLoRA, arXiv 2305.14314), Hu et al. 2021 (LoRA, arXiv 2106.09685), Kingma & Ba 2014 (Adam);
full fine-tuning: Rajbhandari et al. 2020 (ZeRO, arXiv 1910.02054), 16 bytes a weight in mixed precision.

How near it comes to what was measured on one H100 with a 7.3B model stands below; the peaks themselves are in
tests/test_recipe_memory.py. Not measured: on a GPU full fine-tuning, DoRA and PiSSA; other shapes and cards,
dropout's masks, int8, what the allocator holds beside what is used; on a processor all but one full fine-tune
(tests/test_method.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from core.models.folder import Model, ModelShape
from core.recipe.method import has_adapter, has_teacher
from core.recipe.recipe import Recipe
from core.recipe.speed import as_trained, is_fast

# So many peaks were measured, and no one is further from the formula than this.
MEASURED_PEAKS, WITHIN_PERCENT = 32, 7
# NF4: half a byte, a byte for each 64 weights and four for each 256 of those (double quantization).
QUANTIZED = {"nf4": 0.5 + 1 / 64 + 4 / (64 * 256), "int8": 1.0}
PLAIN = {"fp32": 4, "bf16": 2, "fp16": 2, "auto": 4}
# An 8-bit optimizer keeps each of Adam's two moments in one byte instead of four.
SAVED_BY_8BIT = 6
# DeepSpeed 0.18.9 keeps as many weights whole at once as stage3_max_live_parameters says.
LIVE_WEIGHTS = 1_000_000_000
# Of a trained weight's 16 bytes what ZeRO divides among devices (Rajbhandari et al. 2020, section 5): from
# stage 1 its float32 copy and moments, from 2 its gradient, from 3 itself.
DIVIDED = {"none": 0, "zero1": 12, "zero2": 14, "zero2_offload": 14, "zero3": 16, "zero3_offload": 16}
# torch with its libraries, and on a processor what of the heap stays between two steps (1.27 GB measured); on
# a GPU its context, and what its allocator holds beside what is used.
RUNTIME = {"cpu": 1_300_000_000, "cuda": 600_000_000}
FRAGMENTED = 0.05
# On a processor rows of changing length leave holes in the heap between what comes and goes in every step.
# They are given back now and then (core.engine.returned_memory), and until then it is so much more.
HOLES = 0.2


@dataclass(frozen=True)
class Footprint:
    """How a footprint holds its numbers, in bytes each.

    ``rest``: weights that are not quantized (embeddings, last layer, norms); ``adapter``: a trained weight
    with gradient and moments; ``norm``: what a norm keeps of its input; ``stream``: the hidden states between
    two layers; ``number``: queries, keys, values, attention's output and LoRA's inputs; ``gated``: what the
    MLP's gate keeps of one place, all its tensors together; ``logit``: logits, their copies and their
    gradient, 0 where the loss is computed in pieces, ``piece`` bytes of them at once if not as Liger does.
    ``shared``: layers with one input keep one copy of it for LoRA.
    """

    rest: int
    adapter: int
    norm: int
    stream: int
    number: int
    gated: int
    logit: int
    shared: bool
    piece: int = 0


# XTuner 0.2.0 on a GPU: prepare_model_for_kbit_training turns what is not quantized into float32, and with it
# the hidden states; under autocast each of LoRA's matrices keeps its own half-precision copy of its input.
XTUNER = Footprint(rest=4, adapter=16, norm=4, stream=4, number=2, gated=12, logit=14, shared=False)
# With DeepSpeed everything is half precision again; what is trained has float32 copies in the optimizer.
DEEPSPEED = Footprint(rest=2, adapter=16, norm=4, stream=2, number=2, gated=6, logit=14, shared=True)
# Without mixed precision, on a GPU or a processor.
FLOAT32 = Footprint(rest=4, adapter=16, norm=4, stream=4, number=4, gated=12, logit=12, shared=True)
# This project's way on a processor that multiplies bfloat16.
PROCESSOR_BF16 = Footprint(rest=2, adapter=16, norm=4, stream=2, number=2, gated=6, logit=12, shared=False)
# No float32 casts, fused kernels for norm, gate and loss (Liger, Unsloth); LoRA in float32 or bfloat16.
FUSED = Footprint(rest=2, adapter=16, norm=2, stream=2, number=2, gated=4, logit=0, shared=True)
FUSED_BF16 = replace(FUSED, adapter=8)
# The fast path (core.engine.fast) with compiled layers, and its own pieces of the logits.
FAST = replace(FUSED, piece=256 * 2**20)
# The same not compiled: a norm keeps its input in float32, and the gate what silu made of it.
FAST_EAGER = replace(FAST, norm=4, gated=6)


@dataclass(frozen=True)
class Memory:
    """Bytes at the highest, by what they hold: ``weights`` that are not trained, ``adapters`` what is, with
    gradients and optimizer. ``allocated`` is what torch's own counter calls its peak."""

    weights: int
    adapters: int
    activations: int
    logits: int
    device: str

    @cached_property
    def allocated(self) -> int:
        return self.weights + self.adapters + self.activations + self.logits

    @cached_property
    def total(self) -> int:
        """With the runtime: what a card must have free."""
        on_card, comes_and_goes = self.device == "cuda", self.activations + self.logits
        kept_back = FRAGMENTED * self.allocated if on_card else HOLES * comes_and_goes
        return int(self.allocated + kept_back) + RUNTIME[self.device]


def memory(
    recipe: Recipe, model: Model, shape: ModelShape, longest: int, footprint: Footprint | None = None
) -> Memory:
    """What ``recipe`` holds at its highest; ``longest`` is the longest conversation in tokens."""
    recipe = as_trained(recipe, model)
    footprint = footprint or footprint_of(recipe)
    length = recipe.max_length if recipe.pack else min(recipe.max_length, max(longest, 1))
    tokens = recipe.batch_size * length
    logits = _logits(footprint, shape, tokens)
    layers = [_layer(recipe, footprint, shape, number) for number in range(shape.layers)]
    again = _computed_again(recipe, shape)
    activations = int(tokens * sum(layers[max(again, _first_adapted(recipe)) :]))
    if again:
        # Of each its input, and while the loss is computed the logits; later one layer anew.
        kept = min(2, again) if _wait_in_the_host(recipe) else again
        activations += tokens * footprint.stream * shape.hidden * kept
        logits = max(logits, int(tokens * max(layers, default=0.0)))
    trained = trainable(recipe, model, shape)
    weights = (
        _weights(recipe, model, shape, footprint) if has_adapter(recipe) else _beside(recipe, model, shape)
    )
    return Memory(
        weights=int(weights),
        adapters=int(trained * _trained_bytes(recipe, footprint) + _live(recipe, model)),
        activations=activations + _made_for_a_layer(recipe, shape),
        logits=logits,
        device="cuda" if recipe.device == "cuda" else "cpu",
    )


def footprint_of(recipe: Recipe) -> Footprint:
    """How the recipe is trained today."""
    if recipe.device != "cuda":
        return PROCESSOR_BF16 if recipe.precision == "bf16" else FLOAT32
    if recipe.deepspeed != "none":
        return DEEPSPEED
    if is_fast(recipe):
        return FAST_EAGER if recipe.compile == "none" else FAST
    if recipe.accelerate == "unsloth":
        return FUSED
    return FLOAT32 if recipe.precision in {"fp32", "auto"} else XTUNER


def _wait_in_the_host(recipe: Recipe) -> bool:
    """Whether the inputs of checkpointed layers do: Unsloth 2026.10.9 does it for every model of 512 tokens
    or more (``apply_unsloth_gradient_checkpointing``)."""
    if recipe.accelerate == "unsloth":
        return recipe.max_length >= 512
    return recipe.offload and is_fast(recipe)


def _computed_again(recipe: Recipe, shape: ModelShape) -> int:
    """How many layers, from the first, keep their input alone."""
    if not recipe.activation_checkpointing:
        return 0
    if recipe.checkpointed_layers is None or not is_fast(recipe):
        return shape.layers
    return min(recipe.checkpointed_layers, shape.layers)


def trainable(recipe: Recipe, model: Model, shape: ModelShape) -> int:
    """All weights, or LoRA's: r·(in + out) for every adapted layer; with DoRA a length for each row."""
    if not has_adapter(recipe):
        return model.parameters
    adapted = [size for name, size in shape.linear.items() if _adapted(recipe, name)]
    lengths = sum(rows for rows, _ in adapted) if recipe.method == "dora" else 0
    return lengths + sum(recipe.rank * (rows + columns) for rows, columns in adapted)


def _adapted(recipe: Recipe, weight: str) -> bool:
    """Whether LoRA is added to a weight, by its name: ``model.layers.7.mlp.up_proj.weight``. To the gradient
    of a weight that is trained itself its input is as needful."""
    layer, name = _place(weight)
    wanted, layers = recipe.target_modules, recipe.layers_to_transform
    return (not wanted or name in wanted) and (not layers or layer in layers)


def _place(weight: str) -> tuple[int, str]:
    _, _, place = weight.removesuffix(".weight").partition(".layers.")
    layer, _, name = place.partition(".")
    return int(layer), name.rpartition(".")[2]


def _first_adapted(recipe: Recipe) -> int:
    """Below the first adapted layer nothing is kept: no gradient flows there."""
    return min(recipe.layers_to_transform, default=0)


def _trained_bytes(recipe: Recipe, footprint: Footprint) -> float:
    """Bytes a trained weight on each device: itself, its gradient, two moments; with DeepSpeed a copy in half
    precision as well, and of all weights what is offloaded lies in the host's memory. What ZeRO divides, each
    of several devices has a part of."""
    whole = not has_adapter(recipe)
    if whole and recipe.deepspeed == "zero3_offload":
        return 0
    if whole and recipe.deepspeed == "zero2_offload":
        return 4  # the weight and its gradient, in half precision
    moments = SAVED_BY_8BIT if "8bit" in recipe.optimizer else 0
    began = 4 if recipe.method == "pissa" else 0
    divided = max(0, DIVIDED[recipe.deepspeed] - moments)
    return footprint.adapter + began - moments - divided * (recipe.ranks - 1) / recipe.ranks


def _live(recipe: Recipe, model: Model) -> int:
    """Of weights that wait in the host's memory: those that a layer at work has on the card, with their
    gradients, in half precision."""
    if has_adapter(recipe) or recipe.deepspeed != "zero3_offload":
        return 0
    return 4 * min(model.parameters, LIVE_WEIGHTS)


def _beside(recipe: Recipe, model: Model, shape: ModelShape) -> int:
    """Beside weights that are all trained: their halves, which autocast keeps until the gradients are there,
    and the base as it was, where replayed rows keep to it and nobody has written down what it says."""
    cuda = recipe.device == "cuda"
    linear = sum(rows * columns for rows, columns in shape.linear.values()) + shape.vocabulary * shape.hidden
    halves = 2 * linear if cuda and recipe.deepspeed == "none" and recipe.precision != "fp32" else 0
    copied = recipe.replay_distillation and not has_teacher(recipe)
    return halves + (model.parameters * (2 if cuda else 4) if copied else 0)


def _made_for_a_layer(recipe: Recipe, shape: ModelShape) -> int:
    """What DoRA makes of one layer and lets go of again (PEFT 0.21): a square of ones on the diagonal, LoRA's
    product, and its sum with the weight, in float32."""
    if recipe.method != "dora":
        return 0
    sizes = (size for name, size in shape.linear.items() if _adapted(recipe, name))
    return max((4 * (columns * columns + 2 * rows * columns) for rows, columns in sizes), default=0)


def _weights(recipe: Recipe, model: Model, shape: ModelShape, footprint: Footprint) -> float:
    """Quantizing leaves embeddings and the last layer whole; ZeRO-3 divides what is not quantized, and a
    layer at work has all of its own."""
    if "zero3" in recipe.deepspeed and recipe.quantization == "none":
        largest = max(shape.linear.values(), key=lambda size: size[0] * size[1], default=(0, 0))
        whole = max(shape.vocabulary * shape.hidden, largest[0] * largest[1])
        return footprint.rest * (model.parameters / recipe.ranks + whole * (recipe.ranks > 1))
    if recipe.quantization == "none":
        plain = PLAIN[recipe.precision]
        return model.parameters * (footprint.rest if recipe.device == "cuda" else plain)
    layers = sum(rows * columns for rows, columns in shape.linear.values())
    return layers * QUANTIZED[recipe.quantization] + (model.parameters - layers) * footprint.rest


def _layer(recipe: Recipe, footprint: Footprint, shape: ModelShape, number: int) -> float:
    """Bytes a token keeps in one layer: two norms' inputs, queries, keys, values and attention's output, the
    MLP's gate, and what LoRA needs."""
    attention = shape.queries * (2 + 2 * shape.heads_of_keys)
    # A norm's own weight wants what it multiplies.
    norms = 2 * footprint.norm * (1 if has_adapter(recipe) else 2)
    return (
        norms * shape.hidden
        + footprint.number * attention
        + footprint.gated * shape.intermediate
        + sum(_lora_inputs(recipe, footprint, shape, number))
    )


# Layers with the same input; attention's output layer takes what attention keeps anyway.
_SAME_INPUT = {"q_proj": "attention", "k_proj": "attention", "v_proj": "attention", "o_proj": "kept"}
_SAME_INPUT |= {"gate_proj": "mlp", "up_proj": "mlp"}
# Linear attention (Qwen3.5).
_SAME_INPUT |= dict.fromkeys(("in_proj_qkv", "in_proj_z", "in_proj_a", "in_proj_b"), "attention")


def _lora_inputs(recipe: Recipe, footprint: Footprint, shape: ModelShape, number: int) -> Iterator[float]:
    """Bytes a token: the input of each adapted layer (dropout makes a copy of its own, and a mask of a byte),
    and what lies between LoRA's two matrices."""
    seen = {"kept"}
    for weight, (rows, columns) in shape.linear.items():
        layer, name = _place(weight)
        if layer != number or not _adapted(recipe, weight):
            continue
        if has_adapter(recipe):
            yield footprint.number * recipe.rank
        if recipe.method == "dora":  # both parts of its sum, for the length of each row
            yield 2 * footprint.number * rows
        source = _SAME_INPUT.get(name, name)
        if recipe.dropout:
            yield (footprint.number + 1) * columns
        elif not footprint.shared or source not in seen:
            yield footprint.number * columns
        seen.add(source)


def _logits(footprint: Footprint, shape: ModelShape, tokens: int) -> int:
    """In pieces: those of the fast path with their gradient beside them; those of Liger's fused linear
    cross-entropy are rows enough for one hidden state's worth, twice."""
    if footprint.logit:
        return tokens * shape.vocabulary * footprint.logit
    if footprint.piece:
        rows = min(tokens, footprint.piece // (2 * shape.vocabulary))
        return rows * shape.vocabulary * 4 + tokens * shape.hidden * 2
    pieces = -(-shape.vocabulary // max(1, shape.hidden))
    rows = 1 << max(0, -(-tokens // pieces) - 1).bit_length()
    return rows * shape.vocabulary * 8 + tokens * shape.hidden * 2
