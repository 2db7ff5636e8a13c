"""Which of the fast path (``core.engine.fast``) a recipe uses: chosen by card, model and length of the run.

What each choice is worth was measured; docs/performance.md has the tables.
"""

from core.machine import Machine
from core.models import Model
from core.recipe.recipe import Recipe

# transformers' classes whose layers the fast path knows.
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
# Cards whose compute capability is 9 or more (Hopper) run cuDNN's attention faster than torch's own.
CUDNN_FROM = 9
# Compiling costs about 15 s and saves about a fifth of the time of a step.
WORTH_COMPILING = 90.0
# Multiplications a second of a trained step on a small card, for an estimate on the low side.
SLOW_CARD = 50e12
# Work of a step (weights × tokens) under which Python is slower than a large card: a graph then pays.
SMALL_STEP = 7e9 * 6000


def is_fast(recipe: Recipe) -> bool:
    """Whether the recipe is trained by the fast path, if its model allows it."""
    return (
        recipe.accelerate != "off"
        and recipe.device == "cuda"
        and recipe.precision in {"bf16", "auto"}
        and recipe.deepspeed == "none"
        and recipe.quantization != "int8"
    )


def settle_speed(recipe: Recipe, machine: Machine, model: Model, tokens: int | None) -> Recipe:
    """``recipe`` with every "auto" of its speed replaced; ``tokens`` is how many the run reads, if known."""
    if not (is_fast(recipe) and model.architecture in ARCHITECTURES):
        return recipe.changed(accelerate="off", compile="none", cuda_graph="off", attention="flash")
    return recipe.changed(
        accelerate="on",
        compile=_compile(recipe, model, tokens) if recipe.compile == "auto" else recipe.compile,
        cuda_graph=_cuda_graph(recipe, model) if recipe.cuda_graph == "auto" else recipe.cuda_graph,
        attention=_attention(machine) if recipe.attention == "auto" else recipe.attention,
    )


def _compile(recipe: Recipe, model: Model, tokens: int | None) -> str:
    """Six multiplications a weight and token, four where the weights themselves are not trained."""
    if tokens is None:
        return "layers"
    return "layers" if 4 * model.parameters * tokens / SLOW_CARD >= WORTH_COMPILING else "none"


def _cuda_graph(recipe: Recipe, model: Model) -> str:
    """Not where a graph cannot be: with rows chosen on the way, or what goes to the host and back."""
    if recipe.self_distillation or recipe.offload or recipe.dropout:
        return "off"
    small = model.parameters * recipe.batch_size * recipe.max_length < SMALL_STEP
    return "on" if small else "off"


def _attention(machine: Machine) -> str:
    return "cudnn" if all(gpu.capability >= CUDNN_FROM for gpu in machine.gpus) else "flash"
