"""XTuner's own config files: read without running them, opened as Recipes, what does not fit is said."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.errors import InTheWay, NoSuchConfig, NotAConfig, NotARecipe
from core.recipe.recipe import Recipe, parse
from core.recipe.xtuner_config import write_config
from core.recipe.xtuner_file.catalog import copy, find, search, shipped
from core.recipe.xtuner_file.compare import REASONS
from core.recipe.xtuner_file.opening import PLACES, Opened, open_config
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.settings import SECTIONS
from core.recipe.xtuner_file.values import Name, Unread
from core.steps.configs import kind, listing, opened
from core.wording import sentences
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
SFT = [one for one in EVERY if kind(one) == "sft"]


def open_shipped(name: str) -> Opened:
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
    """All 478 of 594; the whole takes two seconds."""
    for one in SFT:
        found = open_config(one.file.read_bytes(), one.name)
        recipe = found.recipe
        assert recipe.model != "?" and recipe.data != "?", one.name
        compile(written(recipe), one.name, "exec")
        assert all(f"config.why.{d.why}" in sentences("en") for d in found.differences)
        unread = [d for d in found.differences if d.file and "Unread" in d.file]
        assert not unread and len(found.differences) < 60, one.name


def test_all_that_is_read_is_followed() -> None:
    """None of XTuner's own configs has an expression that the reader gives up on."""
    for one in SFT:
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
                "accumulation": 16,
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
                "accumulation": 16,
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
    assert full["model.lora"].why == "lora_only" and full["model.use_varlen_attn"].why == "varlen"
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
        ("deepspeed_zero2", "scribes no training"),
        ("convert_xtuner_weights_to_hf", "scribes no training"),
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


# --- reading without running ---


def value(expression: str, before: str = "") -> Any:
    return read_config(f"{before}\nfound = {expression}".encode(), "x.py")["found"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2e-4 * 2", 4e-4),
        ("-1", -1),
        ("(1, [2, 'a'])", (1, [2, "a"])),
        ("dict(a=1, **dict(b=2))", {"a": 1, "b": 2}),
        ("{'a': {'b': None}}", {"a": {"b": None}}),
        ("'a' + f'{1 + 1}b'", "a2b"),
        ("int(3 * 1.5)", 4),
        ("[1] + [2] * 2", [1, 2, 2]),
        ("7 if 2 > 1 else 8", 7),
        ("1 in [1, 2] and not False", True),
        ("'a{b}'.replace('{', '{{')", "a{{b}"),
        ("dict(a=[5])['a'][0]", 5),
    ],
)
def test_an_expression(expression: str, expected: object) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("before", "expression", "expected"),
    [
        ("import torch", "torch.float16", Name("torch.float16")),
        ("import torch.nn as nn", "nn.ReLU", Name("torch.nn.ReLU")),
        ("import os.path as osp", "osp.join('a', 'b')", "a/b"),
        ("from torch.optim import AdamW as A", "dict(type=A)", {"type": Name("torch.optim.AdamW")}),
        ("from transformers import T", "T.from_pretrained", Name("transformers.T.from_pretrained")),
        ("a, b = 1, 2", "b", 2),
        ("a = dict(x=1)\na['x'] = 2\na['y'] = 3", "a", {"x": 2, "y": 3}),
        ("a = [1]\na += [2]", "a", [1, 2]),
        ("a = 1\nif a == 1:\n    a = 5\nelse:\n    a = 6", "a", 5),
        ("a: int = 4", "a", 4),
    ],
)
def test_statements(before: str, expression: str, expected: object) -> None:
    assert value(expression, before) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "open('/etc/passwd').read()",
        "[x for x in (1,)]",
        "(lambda: 1)()",
        "unknown",
        "10 ** 10 ** 10",
        "'x' * 10 ** 9",
        "[0] * 10 ** 9",
        "'%1000000000d' % 1",
        "'a'.replace('a', 'b' * 100000).replace('b', 'c' * 100000)",
        "1 / 0",
        "'a'.format()",
        "f'{1:1000000000d}'",
        "max(*[1, 2])",
    ],
)
def test_what_is_not_followed_is_named_and_not_run(expression: str) -> None:
    began = time.monotonic()
    found = value(expression)
    assert isinstance(found, Unread) and found.line == 2 and time.monotonic() - began < 1


def test_after_a_loop_or_a_call_nothing_is_believed() -> None:
    text = (
        "lr = 1\nhooks = []\nfor i in range(3):\n    lr = lr * i\nhooks.append(1)\ndef f(): pass\nbatch = 2"
    )
    found = read_config(text.encode(), "x.py")
    assert isinstance(found["lr"], Unread) and isinstance(found["hooks"], Unread) and found["batch"] == 2


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    text = f"import pathlib\nx = pathlib.Path({str(mark)!r}).touch()\nexec('1')\nif x.touch():\n    y = 1\n"
    with pytest.raises(NotARecipe):
        open_config(text.encode(), "evil.py")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = (", "line 1"),
        (b"\xff\xfe", "UTF-8"),
        (b"a = 1\0", "Python|deep"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "deep|Python"),
        (b"x = " + b"-" * 100_000 + b"1", "deep|Python"),
        (b"#" * 1_100_000, "larger"),
        (b"a = [0]\n" + b"a = [a, a]\n" * 60, "deep"),
        (b"a = dict()\na['a'] = a\n", "deep"),
    ],
    ids=["broken", "not text", "null", "brackets", "signs", "large", "doubling", "circle"],
)
def test_a_file_that_is_no_config(content: bytes, said: str) -> None:
    began = time.monotonic()
    with pytest.raises((NotAConfig, NotARecipe), match=said):
        open_config(content, "x.py")
    assert time.monotonic() - began < 5


def test_a_config_with_something_unread_opens_and_says_so() -> None:
    text = find(TUTORIAL_BASE).file.read_text(encoding="utf-8")
    text = text.replace("lr = 2e-4", "import os\nlr = float(os.environ['LR'])").replace("r=64", "r=choose()")
    found = open_config(text.encode(), "own.py")
    places = {one.place: one.file for one in found.misfits}
    assert "os.environ" in str(places["optim_wrapper.optimizer.lr"]) and places["model.lora.r"] == "choose()"
    assert (found.recipe.lr, found.recipe.rank) == (Recipe.lr, Recipe.rank)


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("r=64", "r=5000", "model.lora.r"),
        ("max_epochs = 3", "max_epochs = 1.5", "train_cfg.max_epochs"),
        ("save_total_limit = 2", "save_total_limit = -1", "default_hooks.checkpoint.max_keep_ckpts"),
        ("eta_min=0.0", "eta_min=1e-5", "param_scheduler.1.eta_min"),
        ('bias="none"', 'bias="all"', "model.lora.bias"),
        ('log_level = "INFO"', 'log_level = "DEBUG"', "log_level"),
        ("load_from = None", 'load_from = "a.pth"', "load_from"),
        (
            "optim_type = AdamW",
            "from torch.optim import SGD\noptim_type = SGD",
            "optim_wrapper.optimizer.type",
        ),
        ("clip_grad=dict(max_norm=max_norm, error_if_nonfinite=False),", "", "optim_wrapper.clip_grad"),
    ],
)
def test_any_change_that_a_recipe_cannot_hold_is_shown(before: str, after: str, place: str) -> None:
    text = find(TUTORIAL_BASE).file.read_text(encoding="utf-8")
    assert before in text
    known = {one.place for one in open_shipped(TUTORIAL_BASE).differences}
    found = {one.place for one in open_config(text.replace(before, after).encode(), "own.py").differences}
    assert place in found - known


def places_of(found: object, place: str = "") -> Iterator[str]:
    """Every place inside a config as Python names it."""
    pairs = enumerate(found) if isinstance(found, list) else found.items() if isinstance(found, dict) else ()
    for key, value in pairs:
        inner = f"{place}[{key!r}]" if place else str(key)
        yield inner
        yield from places_of(value, inner)


@pytest.mark.parametrize("junk", ["5", "[1, 'x']", "float('nan')", "unknown()", "{'type': 3}"])
def test_whatever_stands_somewhere_it_opens_or_says_why(junk: str) -> None:
    """Each part of a config in turn replaced by something that has no business there."""
    text = find(TUTORIAL_BASE).file.read_text(encoding="utf-8")
    values = read_config(text.encode(), "x.py")
    for place in places_of({name: values[name] for name in SECTIONS if name in values}):
        try:
            found = open_config(f"{text}\n{place} = {junk}\n".encode(), "x.py")
        except NotARecipe:
            continue
        json.dumps([asdict(one) for one in found.differences])
        parse(asdict(found.recipe))


# --- there and back ---


def written(recipe: Recipe) -> str:
    settled = recipe.changed(template="default") if recipe.template == "auto" else recipe
    return write_config(settled, Path(recipe.data), Path(recipe.model), Path("/run/train/work_dir"))


@pytest.mark.parametrize("recipe", SPREAD)
def test_what_this_project_writes_opens_as_the_same_recipe(recipe: Recipe) -> None:
    own = recipe.changed(model="/模型/m", data="/工作 区/[a] b/rows.jsonl")
    if own.evaluate_every is None:  # without the hook nobody asks
        own = own.changed(system="", evaluation_questions=Recipe.evaluation_questions)
    found = open_config(written(own).encode(), "config.py")
    assert [one.place for one in found.differences] == ["work_dir"]
    assert found.recipe == own.changed(self_distillation=False)


@pytest.mark.parametrize("name", ODD_PATHS)
def test_paths_come_back(name: str) -> None:
    own = SPREAD[0].changed(model=f"/m/{name}", data=f"/d/{name}")
    found = open_config(written(own).encode(), "config.py").recipe
    assert (found.model, found.data) == (own.model, own.data)


def test_every_place_is_a_field_and_every_reason_a_sentence() -> None:
    assert set(PLACES) <= set(Recipe.__dataclass_fields__)
    told = {key.removeprefix("config.why.") for key in sentences("en") if key.startswith("config.why.")}
    assert told == {why for _, why in REASONS} | {"no_place"}
    assert {f"config.kind.{name}" for name in KINDS} <= set(sentences("en"))


def test_opened_as_json() -> None:
    found = json.loads(json.dumps(opened(TUTORIAL_BASE)))
    assert found["recipe"]["rank"] == 64 and {"place", "file", "recipe", "why"} == set(found["misfits"][0])
