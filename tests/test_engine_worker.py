"""Stages with XTuner itself, forked from one worker and started anew: the same to the last digit, where both
compute with as many threads. In float32 a sum's last digit depends on how many share it, and a training that
is not told otherwise takes as many as there are free cores, whichever way it starts."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.cli.terminal import progress
from core.engine import worker
from core.engine.left_out import names_bitsandbytes
from core.jobs.job import JobPaths
from core.pipeline import tune
from core.proof.asking import Ask
from core.steps import answer, prepare
from core.steps.step import warm
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.small_model import make_small_model
from tests.small_run import make_run, make_workspace

STAGES = ("train", "convert", "merge", "ask")


def make_all(workspace: Workspace) -> RunPaths:
    """Train, convert, merge and ask a small model for real."""
    run = make_run(workspace, iterations=6, device="cpu")
    with progress("tune") as shown:
        tune.run_train(run, shown)
        tune.run_convert(run, shown)
        tune.run_merge(run, shown)
    prompt_format = answer.PromptFormat.of(prepare.recipe_of(run))
    answer.ask(run.job("ask"), run.merged, prompt_format, [Ask("Who are you?", 8)], "cpu", lambda *_: None)
    return run


def losses(run: RunPaths) -> list[tuple[float, float]]:
    (file,) = run.work_dir.glob("*/vis_data/scalars.json")
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [(row["loss"], row["grad_norm"]) for row in rows if "loss" in row]


@pytest.mark.slow
@pytest.mark.real_start
def test_forked_stages_make_what_those_started_anew_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads: how they share a product is what a fork could get wrong, and one thread would not show."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    anew = make_all(make_workspace(tmp_path / "anew"))
    with warm():
        forked = make_all(make_workspace(tmp_path / "forked"))
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


def test_a_quantized_base_is_read_by_a_program(tmp_path: Path) -> None:
    base = make_small_model(tmp_path / "base", quantization_config={"quant_method": "bitsandbytes"})
    config = tmp_path / "config.py"
    config.write_text(f"pretrained_model_name_or_path = {str(base)!r}\n", encoding="utf-8")
    arguments = {"train": [str(config)], "convert": ["c", "iter.pth", "a", "2GB", str(base), "auto"]}
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"model": str(base)}), encoding="utf-8")
    arguments |= {"answer": [str(request), "a"], "answer_checkpoints": [str(request), "a"]}
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
    assert worker.reason_to_start_anew("merge", ["a", "b"], environment, ENVIRONMENT) == why
    assert worker.reason_to_start_anew("download", ["a"], environment, ENVIRONMENT) == "no tool of a chain"


def test_hidden_gpus_matter_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {**ENVIRONMENT, "CUDA_VISIBLE_DEVICES": ""}
    for has_gpu, why in ((False, ""), (True, "another CUDA_VISIBLE_DEVICES")):
        monkeypatch.setattr(worker, "_has_gpu", lambda has_gpu=has_gpu: has_gpu)
        assert worker.reason_to_start_anew("merge", [], hidden, ENVIRONMENT) == why


def test_what_cuda_has_begun_in_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not worker.cuda_began()
    for code, began in ((worker.NOT_INITIALIZED, False), (0, True), (100, True)):
        driver = SimpleNamespace(cuDeviceGetCount=lambda _, code=code: code)
        monkeypatch.setattr(worker, "_loaded_driver", lambda driver=driver: driver)
        assert worker.cuda_began() == began
    assert worker.reason_to_start_anew("merge", [], ENVIRONMENT, ENVIRONMENT) == "CUDA began before the fork"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("optim_type = AdamW", False),
        ("from bitsandbytes.optim import AdamW8bit", True),
        ("quantization_config=dict(type=BitsAndBytesConfig)", True),
        ("optimizer=dict(type='PagedAdamW32bit')", True),
        ("optimizer=dict(type='bnb_Adam')", True),
    ],
)
def test_a_config_names_bitsandbytes_in_several_ways(text: str, named: bool) -> None:
    assert names_bitsandbytes(text) == named


@pytest.mark.slow
def test_the_fast_path_needs_no_bitsandbytes_where_nothing_is_quantized() -> None:
    code = (
        "from core.engine.left_out import leave_out; leave_out('deepspeed', 'bitsandbytes'); "
        "import core.engine.fast.install"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


@pytest.mark.slow
def test_a_config_is_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmengine.config import config

    from core.engine import patches

    seen: list[str] = []
    lay_out = config.FormatCode

    def counted(text: str, **options: object) -> object:
        seen.append(text)
        return lay_out(text, **options)

    monkeypatch.setattr(config, "FormatCode", counted)
    patches._lay_out_a_config_once()
    one, other = config.Config({"a": 1, "b": {"c": [1, 2]}}), config.Config({"a": 2})
    assert one.pretty_text == one.pretty_text != other.pretty_text
    assert len(seen) == 2
