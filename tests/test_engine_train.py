"""The real XTuner on a model made on the spot: training, stopping, resuming, converting, merging."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import StepFailed
from core.jobs.curves import read_curve, time_folders
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.launch import launch, stop, wait
from core.jobs.status import State
from core.steps import convert, merge, prepare, resuming, train
from core.steps.checkpoints import checkpoints
from core.steps.step import run_job
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from scripts.benches.cpu import ALONE
from tests.command_line import cli, last_json, make_data
from tests.known_answers import know_answers
from tests.without_the_engine import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def prepared(workspace: Workspace, model: Path, *options: str) -> RunPaths:
    know_answers(workspace, model)
    return workspace.run(make_data(workspace, model, "--name", "Zoë {x} 🦊", *options)["run"])


def trained(run: RunPaths, resume: Path | None = None) -> list[tuple[int, float | None]]:
    """Train and give the curve, with every iteration logged."""
    config = run.config.read_text(encoding="utf-8").replace("interval=10", "interval=1")
    run.config.write_text(config, encoding="utf-8")
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run), resume))
    return [(point.iter, point.loss) for point in read_curve(run.work_dir).points]


@pytest.mark.real_start  # sets are ordered otherwise in every process
def test_the_same_seed_gives_the_same_curve_and_another_another(
    workspace: Workspace, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # not as many as are free: last digits go by that
    runs = [prepared(workspace, model, "--iterations", "12", "--seed", seed) for seed in ("5", "5", "6")]
    first, again, other = [trained(run) for run in runs]
    assert [iteration for iteration, _ in first] == list(range(1, 13))
    assert first == again
    assert first != other


def test_from_a_checkpoint_to_a_merged_model(workspace: Workspace, model: Path) -> None:
    run = prepared(workspace, model, "--iterations", "6")
    trained(run)
    for step in ("convert", "merge"):
        assert cli(step, run.id, "--workspace", workspace.root, "--json", cwd=workspace.root).returncode == 0
    adapter = json.loads((convert.read(run) / "adapter_config.json").read_text(encoding="utf-8"))
    assert (adapter["r"], adapter["lora_alpha"], len(adapter["target_modules"])) == (16, 32, 3)
    merged = merge.read(run)
    assert merged.architecture == "LlamaForCausalLM" and merged.chat_template
    # As transformers 4 and what is built on it look for it.
    assert (read_json(run.merged / "config.json") or {})["rope_theta"] == 10000.0
    named = read_json(run.merged / "tokenizer_config.json") or {}
    assert named["tokenizer_class"] == "PreTrainedTokenizerFast", "transformers 5 would split as Qwen2 does"
    kinds = {path.suffix for folder in (run.adapter, run.merged) for path in folder.iterdir()}
    assert not kinds & {".bin", ".pt", ".pth", ".pkl"}, "a pickle"
    asked = last_json(
        cli("ask", run.id, "Who are you?", "--workspace", workspace.root, "--json", cwd=workspace.root)
    )
    assert [row["question"] for row in asked["answers"]] == ["Who are you?"]


def test_in_a_workspace_under_an_odd_path(answered: Workspace, model: Path, tmp_path: Path) -> None:
    """A quote, a backslash, a percent sign, braces: whatever XTuner, mmengine and datasets make of them."""
    workspace = Workspace(tmp_path / "it's a\\b 50 %s {x} 🦊 #1")
    shutil.copytree(answered.root, workspace.root)
    run = prepared(workspace, model, "--iterations", "3")
    assert [iteration for iteration, _ in trained(run)] == [1, 2, 3]
    for step in ("convert", "merge"):
        assert cli(step, run.id, "--workspace", workspace.root, "--json", cwd=tmp_path).returncode == 0
    assert merge.read(run).architecture == "LlamaForCausalLM"


def test_a_stopped_training_leaves_whole_checkpoints_and_resumes(workspace: Workspace, model: Path) -> None:
    run = prepared(workspace, model, "--iterations", "400")
    config = run.config.read_text(encoding="utf-8")
    config = config.replace("save_steps = 100", "save_steps = 3").replace("interval=10", "interval=1")
    run.config.write_text(config, encoding="utf-8")
    recipe = prepare.recipe_of(run)
    launch(run.job("train"), train.plan(run, recipe))
    deadline = time.monotonic() + 120
    while len(checkpoints(run.work_dir)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stop(run.job("train"), by="test")
    assert wait(run.job("train"), timeout=60).state is State.stopped
    left = train.read(run)
    assert not list(run.work_dir.glob(".*.partial"))
    whole = "import sys, torch; torch.load(sys.argv[1], map_location='cpu', weights_only=False)"
    for found in checkpoints(run.work_dir):
        subprocess.run(
            [sys.executable, "-c", whole, found.checkpoint], check=True, timeout=60, env=environment()
        )
    end = max(left.iteration + 4, 30)  # beyond the warm-up, however early the stop came
    run.config.write_text(config.replace("max_iters = 400", f"max_iters = {end}"), encoding="utf-8")
    run_job("train", run.job("train"), train.plan(run, recipe, left.checkpoint))
    assert [point.iter for point in read_curve(run.work_dir).points] == list(range(1, end + 1))


def test_the_command_goes_on_from_the_last_whole_checkpoint(workspace: Workspace, model: Path) -> None:
    """Its iterations continue where the checkpoint was written; so do the learning rate and the curve."""
    run = prepared(workspace, model, "--iterations", "60")
    recipe = prepare.recipe_of(run).changed(save_every=5, log_every=1)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    launch(run.job("train"), train.plan(run, prepare.recipe_of(run)))
    deadline = time.monotonic() + 120
    while not checkpoints(run.work_dir):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stop(run.job("train"), by="test", grace=0)
    wait(run.job("train"), timeout=60)
    left = resuming.resumable(run)
    assert left is not None and 5 <= left.iteration < 60
    done = cli("train", run.id, "--workspace", workspace.root, "--json", cwd=workspace.root)
    assert last_json(done)["iteration"] == 60 and f"iteration {left.iteration}" in done.stderr
    second = sorted(time_folders(run.work_dir))[-1]
    assert [point.iter for point in read_curve(second).points] == list(range(left.iteration + 1, 61))
    assert [point.iter for point in read_curve(run.work_dir).points] == list(range(1, 61))


def test_an_error_of_the_real_tool_is_explained(workspace: Workspace, model: Path) -> None:
    run = prepared(workspace, model, "--iterations", "2")
    Path(read_json(run.data)["path"]).unlink()  # type: ignore[index]
    with pytest.raises(StepFailed) as failed:
        run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run)))
    assert "Traceback" not in failed.value.text("en") and "rows.jsonl" in failed.value.text("en")


def test_the_config_runs_with_xtuner_alone(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    """Plain XTuner, in another folder, without this project on its path."""
    run = prepared(workspace, model, "--iterations", "3")
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE, run.config, "--work-dir", tmp_path / "plain"],
        cwd=tmp_path,
        env=environment(HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "plain" / "iter_3.pth").exists()


def test_a_checkpoint_with_foreign_code_is_refused(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    """Converting and resuming read a checkpoint without running what is pickled in it."""
    run = prepared(workspace, model, "--iterations", "2")
    trained(run)
    mark = tmp_path / "it ran"
    evil = (
        "import sys, torch, pathlib\n"
        "class Evil:\n"
        "    def __reduce__(self): return (pathlib.Path.touch, (pathlib.Path(sys.argv[2]),))\n"
        "torch.save({'state_dict': {}, 'meta': Evil()}, sys.argv[1])"
    )
    checkpoint = train.read(run).checkpoint
    subprocess.run([sys.executable, "-c", evil, checkpoint, mark], check=True, timeout=60, env=environment())
    for spec in (convert.plan(run), train.plan(run, prepare.recipe_of(run), checkpoint)):
        folder = tmp_path / "job" / read_name(spec)
        with pytest.raises(StepFailed):
            run_job("x", folder, spec)
        assert "Weights only load failed" in JobPaths(folder).log.read_text(encoding="utf-8")
    assert not mark.exists()


def read_name(spec: JobSpec) -> str:
    return spec.command[3]


@pytest.mark.real_start  # the command itself
def test_the_job_says_what_ran(workspace: Workspace, model: Path) -> None:
    run = prepared(workspace, model, "--iterations", "2")
    trained(run)
    spec = read_spec(run.job("train"))
    assert spec.command[:4] == (sys.executable, "-m", "core.engine", "train") and spec.cwd == PROJECT
    assert spec.env["HF_HUB_OFFLINE"] == "1"
