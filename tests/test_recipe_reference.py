"""docs/recipe.md names for each field where it stands in XTuner's config: there it is, and nowhere else."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from core.recipe.recipe import Recipe
from core.recipe.xtuner_config import write_config
from core.recipe.xtuner_file.opening import PLACES
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.settings import look, settings
from scripts.documents import recipe as reference

# Settled, with every part of the config in it.
BASE = Recipe(
    model="/m",
    data="/d.json",
    template="qwen_chat",
    device="cuda",
    precision="bf16",
    evaluate_every=10,
    activation_checkpointing=True,
    accelerate="on",
    compile="none",
    cuda_graph="off",
    attention="flash",
)
OTHERS: dict[str, Any] = {
    "model": "/other",
    "data": "/other.json",
    "template": "internlm2_chat",
    "evaluation_questions": ("Who?",),
    "epochs": 3,
    "method": "dora",
    "save_every": 33,
    "target_modules": ("q_proj",),
    "layers_to_transform": (1,),
    "betas": (0.8, 0.9),
    "quantization": "nf4",
    "device": "cpu",
    "precision": "fp16",
    "optimizer": "adamw_8bit",
    "schedule": "linear",
    "accelerate": "off",
    "compile": "layers",
    "cuda_graph": "on",
    "attention": "cudnn",
    "deepspeed": "zero2",
    "checkpointed_layers": 3,
    "cards": (1,),
}


def other(name: str) -> Any:
    """Another value of the field."""
    value = getattr(BASE, name)
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(value, bool):
        return not value
    return (
        f"{value} x" if isinstance(value, str) else value + (1 if isinstance(value, int) else value / 2 + 0.1)
    )


def written(recipe: Recipe) -> str:
    return write_config(recipe, Path(recipe.data), Path(recipe.model), Path("/w"))


def unhurried(config: dict[str, Any]) -> dict[str, Any]:
    """Without how long processes wait for each other."""
    env = config["env_cfg"]
    waits = {key: value for key, value in env["dist_cfg"].items() if key != "timeout"}
    return {**config, "env_cfg": {**env, "dist_cfg": waits}}


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_a_field_stands_where_the_reference_says(name: str) -> None:
    changed = BASE.changed(**{name: other(name)})
    if name == "epochs":
        changed = changed.changed(iterations=None)
    before, after = (read_config(written(one).encode(), "config.py") for one in (BASE, changed))
    if name in reference.NOWHERE | {*reference.OPTIONS}:
        assert before == after
    elif name in reference.LAUNCHED:  # several processes wait for each other: nothing else of it is theirs
        assert unhurried(before) == unhurried(after)
    elif line := reference.OWN_LINES.get(name):
        assert before[line] != after[line]
        # Plain XTuner sees one of them: the fast path loads its model onto the GPU, with a fused optimizer.
        assert settings(before) == settings(after) or name == "accelerate"
    else:
        place = {**PLACES, **reference.ELSEWHERE}[name]
        assert look(settings(before), place) != look(settings(after), place)


@pytest.mark.parametrize("table", ["UNITS", "OWN_LINES", "ELSEWHERE"])
def test_a_field_without_a_line(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = dict(getattr(reference, table))
    name, _ = lines.popitem()
    lines["no_field"] = "x"
    monkeypatch.setattr(reference, table, lines)
    with pytest.raises(ValueError, match="no_field"):
        reference.pages()
    assert name not in lines
