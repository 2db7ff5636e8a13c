"""Which of the fast path (``core.engine.fast``) a recipe uses: chosen by card, model and length of the run.

What each choice is worth was measured; docs/performance.md has the tables.
"""

from collections.abc import Mapping
from typing import Any

from core.models.folder import Model
from core.recipe.method import has_teacher, is_known_to_the_fast_path
from core.recipe.recipe import Accelerate, Choice, Compile, Recipe
from core.wording import Language, say

# transformers' classes whose layers are Llama's but for biases and norms of queries and keys.
LIKE_LLAMA = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
# All whose layers the fast path knows (core.engine.fast.families).
ARCHITECTURES = (
    *LIKE_LLAMA,
    "SmolLM3ForCausalLM",
    "MinistralForCausalLM",
    "Ministral3ForCausalLM",
    "Ernie4_5ForCausalLM",
    "HunYuanDenseV1ForCausalLM",
    "Phi3ForCausalLM",
    "GlmForCausalLM",
    "Glm4ForCausalLM",
    "GemmaForCausalLM",
    "Gemma3ForCausalLM",
)
# What of a family's layers is not Llama's, of those that people train: keys of ``unlike.…`` sentences.
UNLIKE = {
    **dict.fromkeys(("Qwen3_5ForCausalLM", "Qwen3NextForCausalLM"), "linear_attention"),
    **dict.fromkeys(("Olmo2ForCausalLM", "Olmo3ForCausalLM", "Exaone4ForCausalLM"), "norms_behind"),
    **dict.fromkeys(("CohereForCausalLM", "Cohere2ForCausalLM", "PhiForCausalLM"), "side_by_side"),
    **dict.fromkeys(("GraniteForCausalLM", "MiniCPM3ForCausalLM"), "multiplied"),
    **dict.fromkeys(("Gemma3nForCausalLM", "Gemma4ForCausalLM"), "own_inputs"),
    **dict.fromkeys(("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"), "bottleneck"),
    "Gemma2ForCausalLM": "capped",
    "GptOssForCausalLM": "sinks",
    "Lfm2ForCausalLM": "convolution",
    "SeedOssForCausalLM": "dropout",
    "Starcoder2ForCausalLM": "no_gate",
    "Glm4MoeForCausalLM": "experts",
    "MixtralForCausalLM": "experts",
    "Qwen2MoeForCausalLM": "experts",
    "Qwen3MoeForCausalLM": "experts",
    "Ernie4_5_MoeForCausalLM": "experts",
    "HunYuanMoEV1ForCausalLM": "experts",
}
# Compiling costs about 15 s and saves about a fifth of the time of a step.
WORTH_COMPILING = 90.0
# Multiplications a second of a trained step on a small card, for an estimate on the low side.
SLOW_CARD = 50e12
# Work of a step (weights × tokens) under which Python is slower than a large card: a graph then pays.
SMALL_STEP = 7e9 * 6000
# As a recipe has them before they are chosen for a card, a model and a length of run.
UNSETTLED = dict.fromkeys(("accelerate", "compile", "cuda_graph", "attention"), "auto")
# The settings, on a GPU, with which the fast path trains; more devices are none of its reasons.
FAST_WITH: Mapping[str, tuple[str, ...]] = {
    "deepspeed": ("none",),
    "precision": ("bf16", "auto"),
    "quantization": ("none", "nf4"),
}
# More than any model has.
ALL_LAYERS = 10_000


def unlike(architecture: str, language: Language | None = None) -> str:
    """What keeps a class of transformers from the fast path, as a part of a sentence; empty for one of
    ``ARCHITECTURES``."""
    if architecture in ARCHITECTURES:
        return ""
    return say(f"unlike.{UNLIKE.get(architecture, 'unknown')}", language)


def why_slow(recipe: Recipe, model: Model) -> str:
    """Why a training on a GPU is not the fast path's, by the model or by a setting; empty where nothing but
    ``accelerate`` keeps it from it."""
    if recipe.device != "cuda" or recipe.accelerate == "unsloth":
        return ""
    if not is_known_to_the_fast_path(recipe):
        key = "estimate.not_fast.distilled" if recipe.method == "pissa" else "estimate.not_fast"
        return say(key, setting="method", value=recipe.method)
    if what := unlike(model.architecture):
        return say("estimate.slow", architecture=model.architecture, what=what)
    slow = (name for name, fast in FAST_WITH.items() if getattr(recipe, name) not in fast)
    return next((say("estimate.not_fast", setting=name, value=getattr(recipe, name)) for name in slow), "")


def as_trained(recipe: Recipe, model: Model) -> Recipe:
    """``recipe`` with the fast path off where it does not know the model."""
    known = model.architecture in ARCHITECTURES or recipe.accelerate == "unsloth"
    return recipe if known else recipe.changed(accelerate="off")


def is_fast(recipe: Recipe) -> bool:
    """Whether the recipe is trained by the fast path, if its model allows it."""
    return (
        recipe.accelerate in {"auto", "on"}
        and is_known_to_the_fast_path(recipe)
        and recipe.device == "cuda"
        and all(getattr(recipe, name) in fast for name, fast in FAST_WITH.items())
    )


def settle_speed(recipe: Recipe, model: Model, tokens: int | None) -> Recipe:
    """``recipe`` with every "auto" of its speed replaced; ``tokens`` is how many the run reads, if known.

    "auto" never means Unsloth: it was slower than the fast path in every setting (docs/performance.md).
    """
    if not (is_fast(recipe) and model.architecture in ARCHITECTURES):
        other: Accelerate = "unsloth" if recipe.accelerate == "unsloth" else "off"
        return recipe.changed(accelerate=other, compile="none", cuda_graph="off", attention="flash")
    return recipe.changed(
        accelerate="on",
        compile=_compile(model, tokens) if recipe.compile == "auto" else recipe.compile,
        cuda_graph=_cuda_graph(recipe, model) if recipe.cuda_graph == "auto" else recipe.cuda_graph,
        # cuDNN's is 5 % faster on a Hopper card; two older runs with it ended in NaN (docs/performance.md).
        attention="flash" if recipe.attention == "auto" else recipe.attention,
    )


def _compile(model: Model, tokens: int | None) -> Compile:
    """Four multiplications and additions a weight and token: the weights themselves are not trained."""
    if tokens is None:
        return "layers"
    return "layers" if 4 * model.parameters * tokens / SLOW_CARD >= WORTH_COMPILING else "none"


def can_be_recorded(recipe: Recipe) -> bool:
    """Whether a step can be a CUDA graph: it holds no numbers chosen on the way (as by whether the base
    agrees with a row), and nothing that goes to the host and back."""
    agrees = recipe.replay_distillation and not has_teacher(recipe)
    return not (agrees or recipe.offload or recipe.dropout)


def _cuda_graph(recipe: Recipe, model: Model) -> Choice:
    if not can_be_recorded(recipe):
        return "off"
    small = model.parameters * recipe.batch_size * recipe.max_length < SMALL_STEP
    return "on" if small else "off"


def acceleration(recipe: Recipe) -> str:
    """What a config file says of it: the settings of ``core.engine.fast``, or "unsloth", or nothing."""
    if recipe.accelerate != "on":
        why = (
            ""
            if is_known_to_the_fast_path(recipe)
            else f"  # method: {recipe.method} is not for the fast path"
        )
        return '"unsloth"' if recipe.accelerate == "unsloth" else f"None{why}"
    again = 0
    if recipe.activation_checkpointing:
        again = recipe.checkpointed_layers or ALL_LAYERS
    return f"""dict(
    compile={recipe.compile!r},
    cuda_graph={recipe.cuda_graph == "on"},
    attention={recipe.attention!r},
    padding_free={recipe.padding_free},
    checkpointed_layers={again},  # from the first; computed again instead of kept
    offload={recipe.offload},  # what is kept of those waits in the host's memory
)"""


def from_acceleration(values: object) -> dict[str, Any]:
    """The recipe's fields from what :func:`acceleration` wrote, unchecked: that is the Recipe's own work."""
    if not isinstance(values, Mapping):
        return {"accelerate": "unsloth"} if values == "unsloth" else {}
    again = values.get("checkpointed_layers")
    return {
        **{
            name: values[name]
            for name in ("compile", "attention", "padding_free", "offload")
            if name in values
        },
        "accelerate": "on",
        "cuda_graph": "on" if values.get("cuda_graph") else "off",
        "checkpointed_layers": None if again in {0, ALL_LAYERS} else again,
    }
