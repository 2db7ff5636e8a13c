"""Starting points for a recipe: a few named sets of values, each for a purpose; ``preset.<name>`` says which.

A preset changes a recipe that suits the data and the model (``core.steps.first_recipe.suited``); what belongs
to the data (model, rows, template and system prompt) it leaves alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.machine import Machine
from core.recipe.recipe import Method, Recipe
from core.recipe.speed import UNSETTLED

OF_THE_DATA = ("model", "data", "template", "template_reason", "system")


@dataclass(frozen=True)
class Preset:
    """Values by field; whatever is not named stays as it suits the data, the length ``longer`` times."""

    name: str
    values: Mapping[str, Any]
    needs_gpu: bool = False
    longer: int = 1

    def method(self, recipe: Recipe) -> Method:
        """How it is trained: as ``recipe`` is, unless the preset is made for another method."""
        found: Method = self.values.get("method", recipe.method)
        return found

    def apply(self, suited: Recipe) -> Recipe:
        """``suited`` with this preset's values; what of its speed goes by them is chosen anew."""
        iterations = suited.iterations and suited.iterations * self.longer
        return suited.changed(**{**UNSETTLED, "iterations": iterations, **self.values})


PRESETS = (
    Preset("balanced", {}),
    Preset("quick", {"iterations": 40, "log_every": 2, "evaluate_every": 20}),
    Preset("thorough", {"rank": 32, "alpha": 64, "evaluate_every": 120}, longer=3),
    # 7B on a card of 80 GB: nothing is rounded and nothing computed twice. 38 GB at 8 x 512 tokens a step.
    Preset(
        "lora_80gb",
        {
            "method": "lora",
            "batch_size": 8,
            "rank": 64,
            "quantization": "none",
            "activation_checkpointing": False,
            "lr": 2e-4,
        },
        needs_gpu=True,
    ),
    # 7B on one card: measured at 8 x 512 tokens a step, 9.7 GB with activation checkpointing.
    Preset(
        "qlora_7b",
        {
            "method": "lora",
            "iterations": 160,
            "batch_size": 8,
            "rank": 64,
            "quantization": "nf4",
            "activation_checkpointing": True,
            "lr": 2e-4,
        },
        needs_gpu=True,
    ),
    # 7B on a card of 8 GB by the formula of core.recipe.memory, with 512 tokens a step.
    Preset(
        "qlora_8gb",
        {
            "method": "lora",
            "batch_size": 1,
            "gradient_accumulation_steps": 4,
            "max_length": 512,
            "rank": 16,
            "alpha": 32,
            "quantization": "nf4",
            "activation_checkpointing": True,
            "lr": 2e-4,
        },
        needs_gpu=True,
        longer=4,
    ),
    # XTuner 0.2.0's internlm_chat_7b_qlora_oasst1_e3, as its tutorial changes it.
    Preset(
        "tutorial",
        {
            "method": "lora",
            "iterations": None,
            "epochs": 3,
            "batch_size": 2,
            "gradient_accumulation_steps": 16,
            "lr": 2e-4,
            "rank": 64,
            "alpha": 16,
            "dropout": 0.1,
            "target_modules": (),
            "layers_to_transform": (),
            "quantization": "nf4",
            "optimizer": "paged_adamw_32bit",
            "activation_checkpointing": True,
            "evaluate_every": 90,
        },
        needs_gpu=True,
    ),
)


def presets(machine: Machine) -> dict[str, Preset]:
    """The presets that can run on this machine, by name."""
    return {preset.name: preset for preset in PRESETS if machine.gpus or not preset.needs_gpu}
