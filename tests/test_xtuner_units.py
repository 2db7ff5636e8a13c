"""Configs as people edit them by hand: each number in its own unit, each change in the recipe or said.

What XTuner and mmengine make of a number was read in their sources (xtuner 0.2.0, mmengine 0.10.7); the last
tests ask mmengine itself.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.recipe.xtuner_file.catalog import find
from core.recipe.xtuner_file.opening import OpenedConfig, open_config
from core.recipe.xtuner_file.units import Size
from core.steps.configs import opened
from core.wording import sentences
from core.workspace.paths import Workspace
from tests.page import open_test_page
from tests.small_run import make_run

SHIPPED = "internlm2_chat_7b_qlora_oasst1_e3"
# A shipped config trains on a data set of a hub with its own map function: said for each of them.
OF_THE_DATA = {"train_dataloader.dataset.dataset", "train_dataloader.dataset.dataset_map_fn"}
LOCAL = (
    ("dataset=dict(type=load_dataset, path=data_path)",
     "dataset=dict(type=load_dataset, path='json', data_files=dict(train=data_path))"),
    ("data_path = \"timdettmers/openassistant-guanaco\"", "data_path = 'data/我的.json'"),
    ("dataset_map_fn=oasst1_map_fn", "dataset_map_fn=None"),
)  # fmt: skip
NOT_PACKED = (("pack_to_max_length = True", "pack_to_max_length = False"),)
BY_EPOCH = (("        by_epoch=False,\n        interval=save_steps", "        interval=save_steps"),)
# As XTuner's first configs had it: a loop of epochs, a checkpoint after each, a cosine over all of them.
FIRST_STYLE = """
from mmengine.optim import CosineAnnealingLR, LinearLR
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
param_scheduler = dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=True, T_max=max_epochs,
                       convert_to_iter_based=True)
default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=10),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=CheckpointHook, interval=1),
    sampler_seed=dict(type=DistSamplerSeedHook))
"""
IN_ITERATIONS = """
train_cfg = dict(type=TrainLoop, max_iters=1000)
param_scheduler = [
    dict(type=LinearLR, start_factor=1e-5, by_epoch=False, begin=0, end=35),
    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=False, begin=35, end=1000)]
"""


def edited(*changes: tuple[str, str], more: str = "") -> str:
    text = find(SHIPPED).file.read_text(encoding="utf-8")
    for before, after in changes:
        assert text.count(before), before
        text = text.replace(before, after)
    return f"{text}\n{more}\n"


def said(found: OpenedConfig) -> dict[str, str]:
    """The misfits by their places, without the two that every shipped config has."""
    return {one.place: one.why for one in found.misfits if one.place not in OF_THE_DATA}


def test_a_shipped_config_has_nothing_else_to_say() -> None:
    assert said(open_config(edited().encode(), "x.py")) == {}
    assert open_config(edited(*LOCAL).encode(), "x.py").misfits == []


FITS: dict[str, tuple[str, dict[str, Any]]] = {
    "more epochs": (edited(("max_epochs = 3", "max_epochs = 5")), {"epochs": 5, "warmup_ratio": 0.03}),
    "another interval": (edited(("save_steps = 500", "save_steps = 90")), {"save_every": 90}),
    "all checkpoints": (
        edited(("save_total_limit = 2", "save_total_limit = -1")),
        {"keep_checkpoints": 1000},
    ),
    "five checkpoints": (edited(("save_total_limit = 2", "save_total_limit = 5")), {"keep_checkpoints": 5}),
    "asked more often": (
        edited(
            ("evaluation_freq = 500", "evaluation_freq = 90"),
            ('"请给我介绍五个上海的景点"', '"请介绍一下你自己"'),
        ),
        {
            "evaluate_every": 90,
            "evaluation_questions": ("请介绍一下你自己", "Please tell me five scenic spots in Shanghai"),
        },
    ),
    "no hooks of its own": (edited(more="custom_hooks = []"), {"evaluate_every": None}),
    "a system prompt": (edited(('SYSTEM = ""', 'SYSTEM = "你是一位律师。"')), {"system": "你是一位律师。"}),
    "another template": (
        edited(("PROMPT_TEMPLATE.internlm2_chat", "PROMPT_TEMPLATE.qwen_chat")),
        {"template": "qwen_chat"},
    ),
    "smaller adapter": (
        edited(
            ("r=64", "r=16"), ("lora_alpha=16", "lora_alpha=32"), ("lora_dropout=0.1", "lora_dropout=0.05")
        ),
        {"rank": 16, "alpha": 32, "dropout": 0.05},
    ),
    "chosen layers": (
        edited(('task_type="CAUSAL_LM"', 'task_type="CAUSAL_LM", target_modules=["wqkv", "wo"]')),
        {"target_modules": ("wqkv", "wo")},
    ),
    "not packed": (edited(*NOT_PACKED), {"pack": False}),
    "shorter and larger": (
        edited(
            ("max_length = 2048", "max_length = 512"),
            ("batch_size = 1 ", "batch_size = 4 "),
            ("accumulative_counts = 16", "accumulative_counts = 4"),
            ("lr = 2e-4", "lr = 5e-5"),
        ),
        {"max_length": 512, "batch_size": 4, "gradient_accumulation_steps": 4, "lr": 5e-5},
    ),
    "one file of rows": (edited(*LOCAL), {"data": "data/我的.json"}),
    "iterations": (
        edited(more=IN_ITERATIONS),
        {"iterations": 1000, "epochs": None, "warmup_ratio": 0.035, "schedule": "cosine"},
    ),
    "no warm-up": (
        edited(("warmup_ratio = 0.03", "warmup_ratio = 0"), more="param_scheduler = param_scheduler[1]"),
        {"warmup_ratio": 0.0, "schedule": "cosine"},
    ),
    # XTuner's first configs: a loop of epochs, the cosine's half the whole training beside a warm-up of 3 %.
    "the first style's warm-up": (
        edited(
            more=FIRST_STYLE + "default_hooks['checkpoint'] = dict(type=CheckpointHook, by_epoch=False, "
            "interval=500, max_keep_ckpts=2)\nparam_scheduler = [\n"
            "    dict(type=LinearLR, start_factor=1e-5, begin=0,"
            " end=warmup_ratio * max_epochs, convert_to_iter_based=True),\n"
            "    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=True, begin=warmup_ratio * max_epochs,"
            " T_max=max_epochs, convert_to_iter_based=True)]"
        ),
        {"warmup_ratio": 0.03, "schedule": "cosine", "epochs": 3},
    ),
    "no schedule": (edited(more="param_scheduler = None"), {"warmup_ratio": 0.0, "schedule": "constant"}),
    "a warm-up alone": (
        edited(more="param_scheduler = [param_scheduler[0]]"),
        {"warmup_ratio": 0.03, "schedule": "constant"},
    ),
    "nothing clipped": (
        edited(("clip_grad=dict(max_norm=max_norm, error_if_nonfinite=False),", "")),
        {"max_grad_norm": 1e6},
    ),
    "logged every iteration": (
        edited(("log_metric_by_epoch=False, interval=10", "interval=1")),
        {"log_every": 1},
    ),
    "hooks left to mmengine": (
        edited(
            more="default_hooks = dict(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=70))"
        ),
        {"save_every": 70, "log_every": 10, "keep_checkpoints": 1000},
    ),
    "a machine's own": (
        edited(
            more="env_cfg = dict(dist_cfg=dict(backend='nccl'))\nlog_level = 'DEBUG'\n"
            "train_dataloader['pin_memory'] = True"
        ),
        {"device": "cuda"},
    ),
}


@pytest.mark.parametrize("edit", FITS)
def test_an_edit_that_a_recipe_holds(edit: str) -> None:
    """Its values are in the recipe, and not one line is said of what trains the same."""
    text, values = FITS[edit]
    found = open_config(text.encode(), "x.py")
    assert {name: getattr(found.recipe, name) for name in values} == values
    assert said(found) == {}


CHECKPOINT = "default_hooks.checkpoint.interval"
SAID: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "after each epoch": (
        edited(more=FIRST_STYLE),
        {"save_every": None, "epochs": 3, "schedule": "cosine", "warmup_ratio": 0.0},
        {CHECKPOINT: "saved_by_epoch"},
    ),
    # One epoch is the whole training of XTuner's loop.
    "by_epoch removed": (
        edited(*BY_EPOCH),
        {"save_every": None, "epochs": 3, "keep_checkpoints": 2},
        {CHECKPOINT: "saved_once"},
    ),
    "never in between": (
        edited(("save_steps = 500", "save_steps = -1")),
        {"save_every": None},
        {CHECKPOINT: "saved_once"},
    ),
    "a schedule that never moves": (
        edited(more="param_scheduler = dict(type=CosineAnnealingLR, eta_min=0.0, T_max=3)"),
        {"schedule": "constant", "warmup_ratio": 0.0},
        {"param_scheduler.0": "never_moves"},
    ),
    "stairs": (
        edited(
            more=FIRST_STYLE + "param_scheduler = dict(type=CosineAnnealingLR, eta_min=0.0, T_max=3)\n"
            "default_hooks['checkpoint']['by_epoch'] = False\ndefault_hooks['checkpoint']['interval'] = 50"
        ),
        {"schedule": "cosine", "save_every": 50},
        {"param_scheduler.0.steps": "stairs"},
    ),
    "a warm-up in iterations": (
        edited(
            more="param_scheduler = [\n"
            "    dict(type=LinearLR, start_factor=1e-5, by_epoch=False, begin=0, end=500),\n"
            "    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=False, begin=500)]"
        ),
        {"warmup_ratio": 0.03, "schedule": "cosine"},
        {"param_scheduler.0.end": "other_unit"},
    ),
    "half a cosine": (
        edited(
            more="param_scheduler = [dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=True, T_max=6,"
            " begin=0, end=3, convert_to_iter_based=True)]"
        ),
        {"schedule": "cosine"},
        {"param_scheduler.0.T_max": "schedule_shape"},
    ),
    "steps down": (
        edited(
            more="from mmengine.optim import MultiStepLR\nparam_scheduler = [dict(type=MultiStepLR,"
            " by_epoch=True, milestones=[1, 2], convert_to_iter_based=True)]"
        ),
        {"schedule": "cosine"},
        {"param_scheduler.0": "other_schedule"},
    ),
    "a bottom": (
        edited(("eta_min=0.0", "eta_min=1e-6")),
        {},
        {"param_scheduler.1.eta_min": "schedule_shape"},
    ),
    "part of an epoch": (
        edited(("max_epochs = 3", "max_epochs = 0.5")),
        {"epochs": 1, "warmup_ratio": 0.03},
        {"train_cfg.max_epochs": "whole_epochs"},
    ),
    "read at run time": (
        edited(("lr = 2e-4", "import os\nlr = float(os.environ['LR'])")),
        {"lr": 3e-4},
        {"optim_wrapper.optimizer.lr": "unread"},
    ),
}


@pytest.mark.parametrize("edit", SAID)
def test_an_edit_that_a_recipe_does_not_hold_is_said_once(edit: str) -> None:
    text, values, why = SAID[edit]
    found = open_config(text.encode(), "x.py")
    assert {name: getattr(found.recipe, name) for name in values} == values
    assert said(found) == why
    for language in ("en", "zh"):
        assert all(f"config.why.{one}" in sentences(language) for one in why.values())


@pytest.mark.parametrize(
    ("text", "size", "values"),
    [
        # 1000 rows, 4 a batch: 250 iterations an epoch.
        (edited(("batch_size = 1 ", "batch_size = 4 "), *NOT_PACKED, more=FIRST_STYLE), Size(1000),
         {"save_every": 250, "epochs": 3}),
        (edited(*NOT_PACKED, more=FIRST_STYLE.replace("interval=1)", "interval=2)")), Size(1001),
         {"save_every": 2002}),
        # Packed: so many tokens fill so many rows.
        (edited(more=FIRST_STYLE), Size(1000, 204_800), {"save_every": 100}),
        # One epoch of XTuner's loop is all of it.
        (edited(*NOT_PACKED, more="default_hooks = dict(checkpoint=dict(type=CheckpointHook, interval=1))"),
         Size(100), {"save_every": 300}),
        # 150 of 3 * 1000 iterations.
        (edited(*NOT_PACKED, more="param_scheduler = [\n"
                "    dict(type=LinearLR, start_factor=1e-5, by_epoch=False, begin=0, end=150),\n"
                "    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=False, begin=150, T_max=2850)]"),
         Size(1000), {"warmup_ratio": 0.05, "schedule": "cosine"}),
        # Schedules left in epochs when the loop was made one of iterations: 0.09 and 3 epochs of 100.
        (edited(*NOT_PACKED, more="train_cfg = dict(type=TrainLoop, max_iters=300)"), Size(100),
         {"iterations": 300, "warmup_ratio": 0.03}),
        (edited(("max_epochs = 3", "max_epochs = 0.5"), *NOT_PACKED), Size(100),
         {"iterations": 50, "epochs": None}),
    ],
)  # fmt: skip
def test_epochs_are_iterations_where_the_data_are_known(
    text: str, size: Size, values: dict[str, Any]
) -> None:
    found = open_config(text.encode(), "x.py", size)
    assert {name: getattr(found.recipe, name) for name in values} == values
    assert said(found) == {}


def test_a_map_function_of_one_s_own_is_said_by_its_name() -> None:
    own = "def my_map_fn(example):\n    return {'conversation': [{'input': example['q'], 'output': 'a'}]}\n"
    text = edited(*LOCAL[:2], ("dataset_map_fn=oasst1_map_fn", "dataset_map_fn=my_map_fn"))
    text = text.replace("data_path = ", f"{own}\ndata_path = ", 1)
    (one,) = open_config(text.encode(), "x.py").misfits
    assert (one.place, one.file) == ("train_dataloader.dataset.dataset_map_fn", "my_map_fn(…)")


def test_the_rows_beside_a_config_are_counted(tmp_path: Path) -> None:
    rows = tmp_path / "工作 区" / "rows.json"
    rows.parent.mkdir()
    row = {"conversation": [{"input": "hi", "output": "hello"}]}
    rows.write_text(json.dumps([row] * 37), encoding="utf-8")
    config = tmp_path / "own.py"
    text = edited(*LOCAL, *NOT_PACKED, more=FIRST_STYLE).replace("'data/我的.json'", repr(str(rows)))
    config.write_text(text, encoding="utf-8")
    found = opened(str(config), Workspace(tmp_path / "w"))
    assert found["recipe"]["save_every"] == 37 and found["misfits"] == []


def test_on_the_page_the_run_s_own_rows_count(home: Workspace) -> None:
    run = make_run(home)
    rows = json.loads(run.data.read_text(encoding="utf-8"))["rows"]
    page = open_test_page("config", run.id)
    page.session_state[f"configs {run.id}"] = True
    page = page.run()
    uploader = next(one for one in page.file_uploader if "config file" in str(one.key))
    text = edited(*NOT_PACKED, more=FIRST_STYLE)
    uploader.set_value(("x.py", text.encode(), "text/x-python")).run()
    assert not page.exception
    values = [one.value for one in page.number_input if str(one.key).endswith(" save_every")]
    assert values == [rows]


LEARNING_RATES = """
import json, sys, torch
from mmengine.optim import CosineAnnealingLR
weight = torch.nn.Parameter(torch.zeros(1))
found = []
for arguments in json.loads(sys.argv[1]):
    optimizer = torch.optim.SGD([weight], lr=1.0)
    made = CosineAnnealingLR.build_iter_from_epoch(optimizer, epoch_length=10, **arguments)
    rates = []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step(); made.step()
    found.append(rates)
print(json.dumps(found))
"""


@pytest.mark.slow
def test_mmengine_itself_takes_t_max_for_the_length_between() -> None:
    """What ``T_max`` equal to the whole, or left out, comes to; half a cosine is another curve."""
    whole = {"eta_min": 0.0, "begin": 0, "end": 3}
    cases = [whole, {**whole, "T_max": 3}, {**whole, "T_max": 6}]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LEARNING_RATES, json.dumps(cases)],
        capture_output=True,
        text=True,
    )
    first, same, half = json.loads(done.stdout.splitlines()[-1])
    assert first == same and half[-1] > 0.4 > first[-1]
