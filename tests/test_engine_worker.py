"""A whole chain with XTuner itself, forked from one worker and started anew: the same to the last digit."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.engine import worker
from core.jobs.job import JobPaths
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from scripts.benches.chain import COLD
from tests.small_model import make_small_model

STAGES = ("base", "train", "convert", "merge", "ask")


def run_chain(workspace: Path, model: Path, warm: bool) -> RunPaths:
    """A short chain of the command line on a small model."""
    words = [
        "tune",
        "--name",
        "Ada",
        "--model",
        str(model),
        "--iterations",
        "6",
        "--workspace",
        str(workspace),
    ]
    command = [sys.executable, "-m", "core", *words]
    if not warm:
        command = [sys.executable, "-c", COLD, *words]
    environment = {name: value for name, value in os.environ.items() if name != "TUNEBOARD_ENGINE"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (run,) = Workspace(workspace).runs.iterdir()
    return Workspace(workspace).run(run.name)


def losses(run: RunPaths) -> list[tuple[float, float]]:
    (file,) = run.work_dir.glob("*/vis_data/scalars.json")
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [(row["loss"], row["grad_norm"]) for row in rows if "loss" in row]


@pytest.mark.slow
@pytest.mark.real_start
@pytest.mark.timeout(900)
def test_a_forked_chain_makes_what_one_started_anew_makes(tmp_path: Path) -> None:
    model = make_small_model(tmp_path / "model")
    anew, forked = (run_chain(tmp_path / way, model, way == "forked") for way in ("anew", "forked"))
    assert losses(forked) == losses(anew) and losses(anew)
    for name in ("adapter/adapter_model.safetensors", "merged/model.safetensors"):
        made = [hashlib.sha256((run.root / name).read_bytes()).digest() for run in (anew, forked)]
        assert made[0] == made[1], name
    assert read_json(forked.job("ask") / "answers.json") == read_json(anew.job("ask") / "answers.json")
    for stage in STAGES:
        said = JobPaths(forked.job(stage)).supervisor_log.read_text(encoding="utf-8")
        assert said == "", (stage, said)
    spec = read_json(JobPaths(forked.job("convert")).spec)
    assert spec["command"][1:4] == ["-m", "core.engine", "convert"]


ENVIRONMENT = {"HOME": "/home/x", "PATH": "/bin", "HF_HUB_OFFLINE": "1"}


@pytest.mark.parametrize(
    ("config", "words", "why"),
    [
        ("pretrained_model_name_or_path = {base!r}\n", (), ""),
        ("pretrained_model_name_or_path = {base!r}\n", ("--deepspeed", "deepspeed_zero2"), "deepspeed"),
        ("pretrained_model_name_or_path = {base!r}\na = BitsAndBytesConfig()", (), "bitsandbytes"),
        ("pretrained_model_name_or_path = {base!r}\nacceleration = 'unsloth'", (), "unsloth"),
        ("pretrained_model_name_or_path = {base!r}\nacceleration = {{'compile': 'layers'}}", (), "compile"),
        ("pretrained_model_name_or_path = {base!r}\nacceleration = {{'compile': 'none'}}", (), ""),
        ("pretrained_model_name_or_path = name()\n", (), "an unknown base"),
        ("", (), "an unknown base"),
    ],
)
def test_a_training_is_forked_where_it_needs_no_other_imports(
    tmp_path: Path, config: str, words: tuple[str, ...], why: str
) -> None:
    base = make_small_model(tmp_path / "a 'b\" c")
    file = tmp_path / "config.py"
    file.write_text(config.format(base=str(base)), encoding="utf-8")
    found = worker.reason_to_start_anew("train", [str(file), *words], ENVIRONMENT, ENVIRONMENT)
    assert found == why or (why and found.startswith(why)), found


def test_a_quantized_base_is_trained_and_converted_by_a_program(tmp_path: Path) -> None:
    base = make_small_model(tmp_path / "base", quantization_config={"quant_method": "bitsandbytes"})
    config = tmp_path / "config.py"
    config.write_text(f"pretrained_model_name_or_path = {str(base)!r}\n", encoding="utf-8")
    arguments = {"train": [str(config)], "convert": ["c", "iter.pth", "a", "2GB", str(base), "auto"]}
    for tool, given in arguments.items():
        assert worker.reason_to_start_anew(tool, given, ENVIRONMENT, ENVIRONMENT) == "a quantized base"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"LANG": "zh", "TUNEBOARD_LANG": "zh", "HF_DATASETS_CACHE": "/x"}, ""),
        ({"RANK": "0"}, "several processes"),
        ({"HF_HOME": "/other"}, "another HF_HOME"),
        ({"HOME": "/other"}, "another HOME"),
    ],
)
def test_an_environment_that_imports_read_is_not_forked(changed: dict[str, str], why: str) -> None:
    environment = {**ENVIRONMENT, **changed}
    assert worker.reason_to_start_anew("answer", ["a", "b"], environment, ENVIRONMENT) == why
    assert worker.reason_to_start_anew("download", ["a"], environment, ENVIRONMENT) == "no tool of a chain"


def test_hidden_gpus_matter_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {**ENVIRONMENT, "CUDA_VISIBLE_DEVICES": ""}
    for has_gpu, why in ((False, ""), (True, "another CUDA_VISIBLE_DEVICES")):
        monkeypatch.setattr(worker, "_has_gpu", lambda has_gpu=has_gpu: has_gpu)
        assert worker.reason_to_start_anew("answer", [], hidden, ENVIRONMENT) == why


def test_what_cuda_has_begun_in_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not worker.cuda_began()
    monkeypatch.setattr(worker, "_link", lambda _: "/dev/nvidia-uvm")
    assert worker.cuda_began()
    assert worker.reason_to_start_anew("answer", [], ENVIRONMENT, ENVIRONMENT) == "CUDA began before the fork"
