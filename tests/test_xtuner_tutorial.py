"""The tutorial's config, opened as a Recipe and written out again, gives XTuner the same run.

Both files are resolved by mmengine itself, in a child process, and compared field by field. What may differ
is listed here with its reason; anything else fails.
"""

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from core.recipe.xtuner_config import write_config
from core.recipe.xtuner_file.catalog import find
from core.recipe.xtuner_file.opening import open_config
from core.workspace.paths import PROJECT

SHIPPED = "internlm_chat_7b_qlora_oasst1_e3"
MODEL = "/root/personal_assistant/model/Shanghai_AI_Laboratory/internlm-chat-7b"
DATA = "/root/personal_assistant/data/personal_assistant.json"
# The tutorial's edits of the copied file, as it gives them.
EDITS = (
    (
        'pretrained_model_name_or_path = "internlm/internlm-chat-7b"',
        f"pretrained_model_name_or_path = {MODEL!r}",
    ),
    ('data_path = "timdettmers/openassistant-guanaco"', f"data_path = {DATA!r}"),
    ("max_length = 2048", "max_length = 512"),
    ("batch_size = 1  # per_device", "batch_size = 2  # per_device"),
    ("max_epochs = 3", "max_epochs = 3"),
    ("evaluation_freq = 500", "evaluation_freq = 90"),
    (
        'evaluation_inputs = ["请给我介绍五个上海的景点", "Please tell me five scenic spots in Shanghai"]',
        'evaluation_inputs = ["请介绍一下你自己", "请做一下自我介绍"]',
    ),
    (
        "dataset=dict(type=load_dataset, path=data_path)",
        'dataset=dict(type=load_dataset, path="json", data_files=dict(train=data_path))',
    ),
    ("dataset_map_fn=oasst1_map_fn", "dataset_map_fn=None"),
)
# Where the two resolved configs may differ, and why the run is the same for it.
ALLOWED = {
    "*.trust_remote_code": "code of a model's folder is never run; InternLM is a native Llama here",
    "model.llm.attn_implementation": "sdpa is what transformers 4.57 takes when nothing is said",
    "model.lora.target_modules": "None, as peft has it when nothing is said",
    "model.lora.layers_to_transform": "None, likewise",
    "model.use_activation_checkpointing": "True, as XTuner has it when nothing is said",
    "train_dataloader.dataset.map_num_proc": "one process: of 32 each would drop the tail of its rows",
    "custom_hooks.1.max_new_tokens": "600, as XTuner has it when nothing is said",
    "custom_hooks.1.generation_kwargs": "greedy, so that answers can be compared; training does not read it",
    "randomness.seed": "a fixed one instead of a new one each time, so that the run can be repeated",
    "log_processor.window_size": "each value in the log instead of a mean of ten; training does not read it",
    "work_dir": "a folder of the run's own; the tutorial's is made from the file's name",
}
# What is written out although it is the default, so that the file says it.
DEFAULTS = {
    "model.llm.attn_implementation": "sdpa",
    "model.lora.target_modules": None,
    "model.lora.layers_to_transform": None,
    "model.use_activation_checkpointing": True,
    "custom_hooks.1.max_new_tokens": 600,
}
RESOLVE = """
import json, sys
import core.engine
from mmengine.config import Config
from xtuner.utils import PROMPT_TEMPLATE

def plain(value):
    if isinstance(value, dict):
        return {name: plain(one) for name, one in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (int, float, str, bool, type(None))):
        return value
    built = value.build() if type(value).__name__.startswith("Lazy") else value
    return f"{built.__module__}.{built.__qualname__}" if hasattr(built, "__qualname__") else str(built)

for file in sys.argv[1:]:
    config = Config.fromfile(file)
    runner = {name: getattr(config, name) for name in SECTIONS if name in config}
    print(json.dumps(plain(runner)))
"""
SECTIONS = (
    "tokenizer", "model", "train_dataloader", "optim_wrapper", "param_scheduler", "train_cfg",
    "default_hooks", "custom_hooks", "env_cfg", "visualizer", "log_level", "load_from", "resume",
    "randomness", "log_processor", "work_dir",
)  # fmt: skip


def tutorial() -> str:
    text = find(SHIPPED).file.read_text(encoding="utf-8")
    for before, after in EDITS:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def resolved(*files: Path) -> list[dict[str, Any]]:
    """The configs as mmengine gives them to its runner, classes by their names."""
    program = RESOLVE.replace("SECTIONS", repr(SECTIONS))
    command = [sys.executable, "-W", "ignore", "-c", program, *map(str, files)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def flat(found: Any, place: str = "") -> dict[str, Any]:
    if isinstance(found, list):
        found = {str(number): one for number, one in enumerate(found)}
    if not isinstance(found, dict) or not found:
        return {place: found}
    return {
        name: value
        for part, one in found.items()
        for name, value in flat(one, f"{place}.{part}" if place else part).items()
    }


def allowed_by(place: str) -> list[str]:
    return [p for p in ALLOWED if fnmatchcase(place, p) or place.startswith(f"{p}.")]


@pytest.mark.slow
def test_the_tutorial_s_config_opened_and_written_is_the_same_run(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "工作 区" / "tutorial.py", tmp_path / "工作 区" / "ours.py"
    theirs.parent.mkdir()
    theirs.write_text(tutorial(), encoding="utf-8")
    found = open_config(tutorial().encode(), "tutorial.py")
    assert found.misfits == [], "the tutorial's config fits whole"
    recipe = found.recipe
    work_dir = tmp_path / "work_dir"
    ours.write_text(write_config(recipe, Path(recipe.data), Path(recipe.model), work_dir), encoding="utf-8")
    one, other = (flat(config) for config in resolved(theirs, ours))
    places = sorted(one.keys() | other.keys())
    differ = [place for place in places if one.get(place, "absent") != other.get(place, "absent")]
    for place in differ:
        assert allowed_by(place), f"{place}: {one.get(place)} is now {other.get(place)}"
    assert {pattern for place in differ for pattern in allowed_by(place)} == set(ALLOWED), "one too many"
    for place, default in DEFAULTS.items():
        assert place not in one and other[place] == default
    assert other["train_dataloader.dataset.dataset.data_files.train"] == DATA


def test_the_tutorial_s_values_are_in_the_recipe() -> None:
    recipe = open_config(tutorial().encode(), "tutorial.py").recipe
    assert (recipe.model, recipe.data, recipe.max_length, recipe.batch_size) == (MODEL, DATA, 512, 2)
    assert (recipe.epochs, recipe.evaluate_every, recipe.gradient_accumulation_steps) == (3, 90, 16)
    assert recipe.evaluation_questions == ("请介绍一下你自己", "请做一下自我介绍")
