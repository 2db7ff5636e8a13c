"""XTuner's config file where it is used: in a run's folder, by mmengine and by datasets."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.models.folder import read_model
from core.recipe.xtuner_config import write_config
from core.steps import prepare
from core.workspace.paths import PROJECT, RunPaths
from tests.small_model import make_small_model
from tests.test_xtuner_config import BASE, DATA, MODEL, ODD_PATHS, SPREAD, WORK, config, run


def test_prepare_writes_recipe_config_and_versions(tmp_path: Path) -> None:
    model = read_model(make_small_model(tmp_path / "模型 a"))
    run_paths = RunPaths(tmp_path / "工作 区" / "run")
    run_paths.root.mkdir(parents=True)
    settled = prepare.prepare(run_paths, replace(BASE, device="cpu", template="auto"), model, DATA)
    assert (settled.template, settled.model, settled.data) == ("qwen_chat", str(model.folder), str(DATA))
    assert prepare.recipe_of(run_paths) == settled and prepare.model_of(run_paths) == model
    found = run(run_paths.config.read_text(encoding="utf-8"))
    assert found["work_dir"] == str(run_paths.work_dir)
    versions = json.loads(run_paths.versions.read_text(encoding="utf-8"))
    assert versions["xtuner"] == "0.2.0" and "-" not in versions.values()


LOAD = """
import json, sys
import core.engine
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
for file in sys.argv[1:]:
    config = Config.fromfile(file)
    config.dump(file + ".dumped.py")  # as mmengine's runner does when training begins
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], lr=config.lr)
    schedules = []
    for one in config.param_scheduler:
        one = dict(one)
        kind = one.pop("type")
        kind = kind if isinstance(kind, type) else PARAM_SCHEDULERS.get(kind)
        if one.pop("convert_to_iter_based", False):
            schedules.append(kind.build_iter_from_epoch(optimizer, epoch_length=100, **one))
        else:
            schedules.append(kind(optimizer, **one))
    curve = []
    for _ in range(config.get("max_iters") or 100 * config.max_epochs):
        curve.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    hooks = [h.get("system") for h in config.custom_hooks if "system" in h]
    print(json.dumps({
        "SYSTEM": config.SYSTEM,
        "hook": hooks,
        "inputs": list(config.evaluation_inputs),
        "model": config.model.llm.pretrained_model_name_or_path,
        "data": config.train_dataset.dataset.data_files.train,
        "template": config.prompt_template.INSTRUCTION,
        "curve": curve,
    }))
"""


@pytest.mark.slow
def test_mmengine_loads_what_is_written(tmp_path: Path) -> None:
    """Config.fromfile in a child process; mmengine fills in ``{{ … }}`` in files it does not load lazily."""
    recipes = [*SPREAD, *(BASE.changed(iterations=n, schedule="linear") for n in (1, 2, 3))]
    files = []
    for number, recipe in enumerate(recipes):
        folder = tmp_path / "工作 区" / f"a b {number}"
        folder.mkdir(parents=True)
        files.append(folder / "config.py")
        files[-1].write_text(write_config(recipe, DATA, MODEL, WORK), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-c", LOAD, *map(str, files)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(loaded) == len(recipes)
    for recipe, found in zip(recipes, loaded, strict=True):
        assert found["SYSTEM"] == recipe.system and found["inputs"] == list(recipe.evaluation_questions)
        assert (found["model"], found["data"]) == (str(MODEL), str(DATA))
        assert found["template"].startswith("<|im_start|>user")
        curve = found["curve"]
        assert max(curve) == pytest.approx(recipe.lr, rel=0.01) and min(curve) > 0
        assert curve[0] < recipe.lr / 10 or not recipe.warmup_ratio or len(curve) < 3
        if recipe.schedule != "constant" and len(curve) >= 10:
            assert curve[-1] < recipe.lr / 10


GLOB = """
import sys
from datasets import load_dataset
for path in sys.argv[1:]:
    print(len(load_dataset(path="json", data_files=dict(train=path))["train"]))
"""


@pytest.mark.slow
def test_datasets_reads_rows_in_odd_folders(tmp_path: Path) -> None:
    """datasets 5.0.1 takes a path for a pattern: ``[work]`` would be one letter of four."""
    paths = []
    for name in ODD_PATHS:
        rows = tmp_path / name.replace("$HOME", "HOME") / "rows.jsonl"
        rows.parent.mkdir(parents=True)
        rows.write_text('{"conversation": [{"input": "a", "output": "b"}]}\n' * 3, encoding="utf-8")
        paths.append(config(data=rows)["data_path"])
    command = [sys.executable, "-W", "ignore", "-c", GLOB, *paths]
    env = {"HF_DATASETS_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=env)
    assert done.stdout.split() == ["3"] * len(ODD_PATHS), done.stderr[-2000:]
