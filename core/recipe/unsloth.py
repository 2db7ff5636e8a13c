"""What keeps a Recipe from being trained by Unsloth (``core.engine.unsloth_way``).

It is no requirement: it wants datasets below 5, and this project's own set has 5. It is looked for without
being imported, which takes half a minute and changes other packages.
"""

from importlib.util import find_spec

from core.machine import Machine
from core.models.folder import Model
from core.recipe.recipe import Problem, Recipe
from core.recipe.speed import LIKE_LLAMA

# The version that was read and tried; scripts and docs name the same.
PIN = "unsloth==2026.10.9"
# Whole in Unsloth where they are named, not by LoRA.
EMBEDDINGS = {"embed_tokens", "lm_head"}


def unsloth_problems(recipe: Recipe, machine: Machine, model: Model) -> list[Problem]:
    """All of them at once; none for a recipe that does not ask for Unsloth."""
    if recipe.accelerate != "unsloth":
        return []
    found = []
    if find_spec("unsloth") is None:
        found.append(Problem("accelerate", "no_unsloth", {"pin": PIN}))
    if machine.device_for(recipe.device) == "cpu":
        found.append(Problem("accelerate", "no_gpu", {"value": "unsloth"}))
    if model.architecture not in LIKE_LLAMA:
        known = {"found": model.architecture, "expected": ", ".join(LIKE_LLAMA)}
        found.append(Problem("accelerate", "unsloth_model", known))
    # What each has to be instead: it keeps no logits, and has been tried in bfloat16 alone.
    instead = {
        "method": "lora" if recipe.method != "lora" else "",
        "deepspeed": "none" if recipe.deepspeed != "none" else "",
        "quantization": "none / nf4" if recipe.quantization == "int8" else "",
        "precision": "bf16" if recipe.precision in {"fp32", "fp16"} else "",
        "replay_distillation": "false" if recipe.replay_distillation else "",
        "target_modules": "q_proj, …" if EMBEDDINGS & set(recipe.target_modules) else "",
    }
    for field, wanted in instead.items():
        if wanted:
            given = {"value": getattr(recipe, field), "instead": wanted}
            found.append(Problem(field, "not_with_unsloth", given))
    return found
