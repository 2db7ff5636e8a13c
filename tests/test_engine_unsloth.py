"""Unsloth inside XTuner's own training: with a fake of its interface anywhere, with the real one on a GPU."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from safetensors import safe_open

from core.jobs.curves import read_curve
from core.jobs.job import JobPaths, JobSpec
from core.machine import this_machine
from core.recipe.recipe import Recipe
from core.steps import convert, prepare, train
from core.steps.step import run_job
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli
from tests.test_engine_train import prepared, trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FAKE = Path(__file__).with_name("fake_unsloth")
ITERATIONS = ("--iterations", "6", "--no-replay")
REAL = find_spec("unsloth") is not None and bool(this_machine().gpus)


def with_unsloth(run: RunPaths, **changes: object) -> RunPaths:
    """The run with its recipe changed, as if this processor were what Unsloth is refused on otherwise."""
    recipe = prepare.recipe_of(run).changed(log_every=1, **changes)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    config = run.config.read_text(encoding="utf-8")
    asked = config.replace("\nacceleration = None\n", '\nacceleration = "unsloth"\n')
    assert asked != config
    run.config.write_text(asked, encoding="utf-8")
    return run


def plan(run: RunPaths, resume: Path | None = None) -> JobSpec:
    """The training's job, with the fake where an installed Unsloth would be found."""
    spec = train.plan(run, prepare.recipe_of(run).changed(accelerate="unsloth"), resume)
    return replace(spec, env={**spec.env, "PYTHONPATH": str(FAKE)})


def curve(run: RunPaths) -> list[tuple[int, float | None]]:
    return [(point.iter, point.loss) for point in read_curve(run.work_dir).points]


def log(run: RunPaths) -> str:
    return JobPaths(run.job("train")).log.read_text(encoding="utf-8")


def test_xtuner_trains_the_model_that_unsloth_loaded(workspace: Workspace, model: Path) -> None:
    """The same curve as without it, what it was asked, and an adapter that is PEFT's own."""
    plain = trained(prepared(workspace, model, *ITERATIONS))
    run = with_unsloth(prepared(workspace, model, *ITERATIONS))
    run_job("train", run.job("train"), plan(run))
    assert [at for at, _ in curve(run)] == [at for at, _ in plain]
    # LoRA begins from other random numbers: Unsloth draws them anew.
    assert [loss for _, loss in curve(run)] == pytest.approx([loss for _, loss in plain], rel=0.02)
    said = log(run)
    assert "fake unsloth: imported after []\n" in said
    assert '"HF_HUB_OFFLINE": "1", "UNSLOTH_DISABLE_STATISTICS": "1", "local_files_only": true' in said
    assert '"checkpointing": false, "seed": 42, "r": 16, "lora_alpha": 32' in said
    assert cli("convert", run.id, "--workspace", workspace.root, cwd=workspace.root).returncode == 0
    with safe_open(convert.read(run) / "adapter_model.safetensors", "pt") as adapter:
        names = set(adapter.keys())
    layers = prepare.recipe_of(run).layers_to_transform or range(2)
    modules = prepare.recipe_of(run).target_modules
    assert names == {
        f"base_model.model.model.layers.{layer}.mlp.{module}.lora_{half}.weight"
        for layer in layers for module in modules for half in "AB"
    }  # fmt: skip


def test_it_resumes_and_checkpoints_and_answers_in_between(workspace: Workspace, model: Path) -> None:
    """XTuner's EvaluateChatHook answers before, in the middle and at the end; training goes on after it."""
    run = with_unsloth(
        prepared(workspace, model, *ITERATIONS),
        save_every=3,
        activation_checkpointing=True,
        evaluate_every=3,
        evaluation_tokens=2,
    )
    run_job("train", run.job("train"), plan(run))
    said = log(run)
    assert '"checkpointing": "unsloth"' in said and said.count("Sample output:") >= 6
    modes = [line.split()[2] for line in said.splitlines() if line.endswith(("trains {}", "answers {}"))]
    assert modes == ["trains", *["answers", "trains"] * 4]  # first, 3, 6, last
    whole = curve(run)
    run_job("train", run.job("train"), plan(run, run.work_dir / "iter_3.pth"))
    assert [at for at, _ in whole] == [1, 2, 3, 4, 5, 6] and curve(run) == whole


@pytest.mark.skipif(not REAL, reason="needs Unsloth itself and a GPU")
def test_unsloth_itself(workspace: Workspace, model: Path) -> None:
    """On a GPU where it is installed: the curve is the fast path's to within bfloat16's rounding."""
    found = []
    for way in ("unsloth", "on"):
        run = prepared(workspace, model, *ITERATIONS)
        recipe: Recipe = prepare.recipe_of(run).changed(
            accelerate=way, precision="bf16", replay_distillation=False
        )
        found.append(trained_as(run, recipe))
    assert found[0] == pytest.approx(found[1], rel=0.03)


def trained_as(run: RunPaths, recipe: Recipe) -> list[float | None]:
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    return [loss for _, loss in trained(run)]
