"""XTuner's own config files: read without running them, opened as Recipes, what does not fit is said."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from core.errors import InTheWay, NoSuchConfig, NotARecipe
from core.recipe.length import saved_every
from core.recipe.recipe import Recipe
from core.recipe.xtuner_config import write_config
from core.recipe.xtuner_file.catalog import Shipped, copy, find, search, shipped
from core.recipe.xtuner_file.compare import BY_THE_VALUE, REASONS
from core.recipe.xtuner_file.opening import PLACES, OpenedConfig, open_config
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.values import Unread
from core.steps.configs import kind, listing, opened
from core.wording import sentences
from core.workspace.paths import Workspace
from tests.test_xtuner_config import ODD_PATHS, SPREAD

TUTORIAL_BASE = "internlm_chat_7b_qlora_oasst1_e3"
# What XTuner 0.2.0 ships, by what it trains.
KINDS = {
    "sft": 478,
    "images": 54,
    "pretrain": 33,
    "dpo": 8,
    "reward": 7,
    "orpo": 5,
    "deepspeed": 5,
    "none": 4,
}
EVERY = shipped()


@cache
def fine_tunings() -> list[Shipped]:
    return [one for one in EVERY if kind(one) == "sft"]


def open_shipped(name: str) -> OpenedConfig:
    return open_config(find(name).file.read_bytes(), name)


# --- what XTuner ships ---


@pytest.mark.slow
def test_the_names_are_those_of_list_cfg() -> None:
    program = "import json; from xtuner.configs import cfgs_name_path as c; print(json.dumps(sorted(c)))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [one.name for one in EVERY]


def test_every_config_is_of_a_known_kind() -> None:
    found = [kind(one) for one in EVERY]
    assert {name: found.count(name) for name in set(found)} == KINDS


def test_every_fine_tuning_on_conversations_opens() -> None:
    """All of them; the whole takes two seconds."""
    for one in fine_tunings():
        found = open_config(one.file.read_bytes(), one.name)
        recipe = found.recipe
        assert recipe.model != "?" and recipe.data != "?", one.name
        compile(written(recipe), one.name, "exec")
        assert all(f"config.why.{d.why}" in sentences("en") for d in found.differences)
        unread = [d for d in found.differences if d.file and "Unread" in d.file]
        assert not unread and len(found.differences) < 60, one.name


def test_all_that_is_read_is_followed() -> None:
    """None of XTuner's own configs has an expression that the reader gives up on."""
    for one in fine_tunings():
        values = read_config(one.file.read_bytes(), one.name)
        assert not [name for name, value in values.items() if isinstance(value, Unread)], one.name


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (
            TUTORIAL_BASE,
            {
                "model": "internlm/internlm-chat-7b",
                "template": "internlm_chat",
                "quantization": "nf4",
                "precision": "fp16",
                "rank": 64,
                "alpha": 16,
                "dropout": 0.1,
                "gradient_accumulation_steps": 16,
                "epochs": 3,
                "iterations": None,
                "pack": True,
                "activation_checkpointing": True,  # XTuner's default, which the file leaves out
                "evaluation_tokens": 600,  # likewise
                "warmup_ratio": 0.03,
                "weight_decay": 0.0,
            },
        ),
        (
            "internlm2_7b_qlora_alpaca_e3",
            {"system": "Below is an instruction that describes a task. Write a response that appropriately "
             "completes the request.\n"},
        ),
        (
            "llama2_70b_int8_lora_open_platypus_e1_hf",
            {
                "quantization": "int8",
                "lr": 3e-4,
                "target_modules": ("gate_proj", "down_proj", "up_proj"),
                "gradient_accumulation_steps": 16,
                "save_every": 1000,
                "epochs": 1,
            },
        ),
        ("llama3_8b_instruct_qlora_alpaca_e3", {"template": "llama3_chat", "optimizer": "adamw"}),
    ],
)  # fmt: skip
def test_fields_of_a_shipped_config(name: str, fields: dict[str, Any]) -> None:
    recipe = open_shipped(name).recipe
    assert {field: getattr(recipe, field) for field in fields} == fields


def test_what_does_not_fit_is_said() -> None:
    full = {
        one.place: one for one in open_shipped("internlm2_5_chat_7b_full_finetune_custom_dataset_e1").misfits
    }
    assert full["model.use_varlen_attn"].why == "varlen"
    zephyr = {one.place: one for one in open_shipped("zephyr_7b_beta_qlora_alpaca_e3").misfits}
    rows = zephyr["train_dataloader.dataset.dataset"]
    assert rows.why == "rows" and "tatsu-lab/alpaca" in str(rows.file)
    template = zephyr["train_dataloader.dataset.template_map_fn.template"]
    assert template.why == "template" and str(template.file).endswith("zephyr")
    several = open_shipped("yi_6b_qlora_alpaca_enzh_e3").misfits
    assert any("silk-road/alpaca-data-gpt4-chinese" in str(one.file) for one in several)
    validated = {one.why for one in open_shipped("internlm_7b_qlora_oasst1_mmlu_e3").misfits}
    assert "validation" in validated


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("internlm2_chat_1_8b_dpo_full", "DPO"),
        ("internlm2_chat_1_8b_orpo_full", "ORPO"),
        ("internlm2_chat_1_8b_reward_full_ultrafeedback", "reward"),
        ("llava_internlm2_chat_7b_clip_vit_large_p14_336_e1_gpu8_pretrain", "images"),
        ("internlm2_7b_full_custom_pretrain_e1", "plain text"),
        ("deepspeed_zero2", "not describe a training"),
        ("convert_xtuner_weights_to_hf", "not describe a training"),
    ],
)
def test_what_is_no_recipe_says_why(name: str, reason: str) -> None:
    with pytest.raises(NotARecipe) as refused:
        open_shipped(name)
    assert reason in refused.value.text("en") and name in refused.value.text("en")


def test_searching_and_finding() -> None:
    assert [one.name for one in search(["INTERNLM_chat_7b", "oasst1_e3"])][-1] == TUTORIAL_BASE
    assert search(["no such thing"]) == []
    found = listing(["oasst1"])
    assert found["of"] == sum(KINDS.values()) and found["opens"] == KINDS["sft"]
    assert found["count"] == len(found["configs"]) > 10
    with pytest.raises(NoSuchConfig) as missing:
        find("internlm_chat_7b_qlora_oasst_e3")
    assert TUTORIAL_BASE in missing.value.text("en")


def test_a_copy_is_the_file_and_a_changed_one_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "工作 区" / "a b"
    file = copy(TUTORIAL_BASE, folder)
    assert (
        file.name == f"{TUTORIAL_BASE}_copy.py" and file.read_bytes() == find(TUTORIAL_BASE).file.read_bytes()
    )
    assert copy(TUTORIAL_BASE, folder) == file
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(InTheWay):
        copy(TUTORIAL_BASE, folder)
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("r=64", "r=5000", "model.lora.r"),
        ("max_epochs = 3", "max_epochs = 1.5", "train_cfg.max_epochs"),
        ("save_total_limit = 2", "save_total_limit = 1", "default_hooks.checkpoint.max_keep_ckpts"),
        ("eta_min=0.0", "eta_min=1e-5", "param_scheduler.1.eta_min"),
        ('bias="none"', 'bias="all"', "model.lora.bias"),
        ('log_level = "INFO"', 'log_level = "DEBUG"', "log_level"),
        ("load_from = None", 'load_from = "a.pth"', "load_from"),
        (
            "optim_type = AdamW",
            "from torch.optim import SGD\noptim_type = SGD",
            "optim_wrapper.optimizer.type",
        ),
        ("max_norm=max_norm", "max_norm=max_norm, norm_type=1", "optim_wrapper.clip_grad.norm_type"),
    ],
)
def test_any_change_that_a_recipe_cannot_hold_is_shown(before: str, after: str, place: str) -> None:
    text = find(TUTORIAL_BASE).file.read_text(encoding="utf-8")
    assert before in text
    known = {one.place for one in open_shipped(TUTORIAL_BASE).differences}
    found = {one.place for one in open_config(text.replace(before, after).encode(), "own.py").differences}
    assert place in found - known


# --- there and back ---


def written(recipe: Recipe) -> str:
    settled = recipe.changed(template="default") if recipe.template == "auto" else recipe
    return write_config(settled, Path(recipe.data), Path(recipe.model), Path("/run/train/work_dir"))


@pytest.mark.parametrize("recipe", SPREAD)
def test_what_this_project_writes_opens_as_the_same_recipe(recipe: Recipe) -> None:
    own = recipe.changed(model="/模型/m", data="/工作 区/[a] b/rows.jsonl")
    if own.evaluate_every is None:  # without the hook nobody asks
        own = own.changed(system="", evaluation_questions=Recipe.evaluation_questions)
    own = own.changed(save_every=saved_every(own, own.iterations))  # a config has it as a number
    found = open_config(written(own).encode(), "config.py")
    assert [one.place for one in found.differences] == ["work_dir"]
    assert found.recipe == own


@pytest.mark.parametrize("name", ODD_PATHS)
def test_paths_come_back(name: str) -> None:
    own = SPREAD[0].changed(model=f"/m/{name}", data=f"/d/{name}")
    found = open_config(written(own).encode(), "config.py").recipe
    assert (found.model, found.data) == (own.model, own.data)


@pytest.mark.parametrize("name", ["replay_distillation", "self_distillation"])
@pytest.mark.parametrize("on", [True, False])
def test_whether_replay_is_distilled_comes_back(name: str, on: bool) -> None:
    """From a config of today, and from one written before 0.1.0."""
    own = SPREAD[0].changed(replay_distillation=on)
    text = written(own).replace("replay_distillation =", f"{name} =")
    assert open_config(text.encode(), "config.py").recipe.replay_distillation is on


def test_every_place_is_a_field_and_every_reason_a_sentence() -> None:
    assert set(PLACES) <= set(Recipe.__dataclass_fields__)
    told = {key.removeprefix("config.why.") for key in sentences("en") if key.startswith("config.why.")}
    assert told == {why for _, why in REASONS} | {*BY_THE_VALUE, "no_place"}
    assert {f"config.kind.{name}" for name in KINDS} <= set(sentences("en"))


def test_opened_as_json(tmp_path: Path) -> None:
    found = json.loads(json.dumps(opened(TUTORIAL_BASE, Workspace(tmp_path))))
    assert found["recipe"]["rank"] == 64 and {"place", "file", "recipe", "why"} == set(found["misfits"][0])
