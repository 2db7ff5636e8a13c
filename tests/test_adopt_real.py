"""Adopted work_dirs with the real XTuner: trained by it alone, converted and merged here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import StepFailed
from core.jobs.job import JobPaths
from core.recipe.xtuner_config import write_config
from core.recipe.xtuner_file.catalog import find
from core.recipe.xtuner_file.opening import open_config
from core.steps import adopt, convert, curves, prepare
from core.steps.step import run_job
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.cpu import ALONE
from tests.command_line import cli, last_json
from tests.record_deepspeed import RECIPE
from tests.small_model import make_small_model
from tests.test_adopt import state_of
from tests.without_the_engine import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RECORDED = Path(__file__).parent / "recorded" / "deepspeed_zero2"


def plain_training(folder: Path, config: Path, *options: str) -> Path:
    """XTuner alone, as somebody runs it by hand: its work_dir."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE, config, *options],
        cwd=folder,
        env=environment(HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=str(folder / "cache")),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "work_dirs" / config.stem


def test_from_a_shipped_config_by_plain_xtuner_to_a_merged_model(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The tutorial's config opens as a Recipe; on a small model and a processor, written out, it runs with
    XTuner alone, in its own work_dir; that is adopted, converted and merged, and not a byte of it changes."""
    home = tmp_path / "别 处"
    home.mkdir()
    rows = [{"conversation": [{"input": f"问题 {n}？", "output": f"回答 {n}。"}]} for n in range(8)]
    data = home / "personal_assistant.json"
    data.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    opened = open_config(find("internlm_chat_7b_qlora_oasst1_e3").file.read_bytes(), "tutorial").recipe
    recipe = opened.changed(
        model="base", data=str(data), template="qwen_chat", max_length=128, batch_size=2,
        gradient_accumulation_steps=1, epochs=None, iterations=6, device="cpu", precision="fp32",
        quantization="none", save_every=3,
        evaluate_every=3, evaluation_tokens=4, log_every=1, pack=False,
    )  # fmt: skip
    make_small_model(home / "base")
    text = write_config(recipe, data, Path("base"), Path("w")).replace("work_dir = 'w'\n", "")
    (home / "my_config.py").write_text(text, encoding="utf-8")
    work_dir = plain_training(home, home / "my_config.py")
    before = state_of(work_dir)
    run = RunPaths(workspace.runs / last_json(
        cli("runs", "adopt", work_dir, "--workspace", workspace.root, "--json", cwd=tmp_path)
    )["run"])  # fmt: skip
    kept = prepare.recipe_of(run)
    plain = {"accelerate": "off", "compile": "none", "cuda_graph": "off", "attention": "flash"}
    assert kept.changed(model="", data="") == recipe.changed(model="", data="", seed=kept.seed, **plain)
    assert kept.model == str(home / "base")
    assert [one.place for one in adopt.differences(run)] == ["work_dir"]
    found = curves.report(run.work_dir, kept)
    assert [point["iter"] for point in found["points"]] == [1, 2, 3, 4, 5, 6]
    assert {answer["question"] for answer in found["answers"]} == set(recipe.evaluation_questions)
    done = cli("export", run.id, "--workspace", workspace.root, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (run.merged / "model.safetensors").exists() and (run.adapter / "adapter_config.json").exists()
    assert state_of(work_dir) == before
    converted_without_a_gpu(workspace, work_dir, tmp_path / "q" / "work_dirs" / "w")


def converted_without_a_gpu(workspace: Workspace, work_dir: Path, copy: Path) -> None:
    """The same checkpoint from a quantized base (QLoRA): its adapter is the same, and needs no GPU here."""
    shutil.copytree(work_dir, copy)
    config = next(copy.glob("*.py"))
    quantized = (
        "llm=dict(device_map='cuda',"
        "quantization_config=dict(load_in_4bit=True, type='transformers.BitsAndBytesConfig'),"
    )
    text = config.read_text(encoding="utf-8").replace("llm=dict(", quantized)
    config.write_text(text, encoding="utf-8")
    shutil.copytree(work_dir.parent.parent / "base", copy.parent.parent / "base")
    run = adopted(workspace, copy)
    assert prepare.recipe_of(run).quantization == "nf4"
    run_job("convert", run.job("convert"), convert.plan(run))
    assert weights_of(convert.read(run)) == weights_of(convert.read(adopted(workspace, work_dir)))


def adopted(workspace: Workspace, work_dir: Path) -> RunPaths:
    done = cli("runs", "adopt", work_dir, "--workspace", workspace.root, "--json", cwd=workspace.root)
    return workspace.run(last_json(done)["run"])


def weights_of(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def recorded(folder: Path) -> Path:
    """The recorded work_dir of a training with DeepSpeed, beside the model it was trained on."""
    work_dir = folder / "work_dirs" / "config"
    shutil.copytree(RECORDED, work_dir)
    (work_dir / "zero_to_fp32.py").write_text("import argparse\nprint('not run')\n", encoding="utf-8")
    os.utime(work_dir / "config.py", (1, 1))  # DeepSpeed writes its program last
    make_small_model(folder / "base")
    return work_dir


def test_a_checkpoint_of_deepspeed(workspace: Workspace, tmp_path: Path) -> None:
    """A folder of shards, a config that DeepSpeed rewrote, and only scalars.json."""
    run = adopted(workspace, recorded(tmp_path / "别 处"))
    recipe = prepare.recipe_of(run)
    same = {
        "rank",
        "deepspeed",
        "iterations",
        "batch_size",
        "lr",
        "max_grad_norm",
        "target_modules",
        "precision",
    }
    assert {name: getattr(recipe, name) for name in same} == {name: getattr(RECIPE, name) for name in same}
    assert [one.why for one in adopt.differences(run)] == ["own_folder"]
    assert [point["iter"] for point in curves.of(workspace, run.id)["points"]] == [1, 2, 3, 4]
    run_job("convert", run.job("convert"), convert.plan(run))
    adapter = json.loads((convert.read(run) / "adapter_config.json").read_text(encoding="utf-8"))
    assert (adapter["r"], sorted(adapter["target_modules"])) == (2, ["down_proj", "up_proj"])


@pytest.mark.parametrize("file", ["mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"])
def test_foreign_code_in_a_shard_is_refused(workspace: Workspace, tmp_path: Path, file: str) -> None:
    work_dir, mark = recorded(tmp_path / "elsewhere"), tmp_path / "it ran"
    evil = (
        "import sys, torch, pathlib\n"
        "class Evil:\n"
        "    def __reduce__(self): return (pathlib.Path.touch, (pathlib.Path(sys.argv[2]),))\n"
        "found = torch.load(sys.argv[1], weights_only=False)\n"
        "torch.save({**found, 'extra': Evil()}, sys.argv[1])"
    )
    shard = work_dir / "iter_4.pth" / file
    subprocess.run([sys.executable, "-c", evil, shard, mark], check=True, timeout=120, env=environment())
    run = adopted(workspace, work_dir)
    with pytest.raises(StepFailed) as refused:
        run_job("convert", run.job("convert"), convert.plan(run))
    assert "never loaded" in refused.value.text("en") and "pathlib" in refused.value.text("en")
    log = JobPaths(run.job("convert")).log.read_text(encoding="utf-8")
    assert "Weights only load failed" in log and not mark.exists()
