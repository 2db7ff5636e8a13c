"""LoRA's variants and full fine-tuning by the real XTuner: what is merged is what was trained."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from core.errors import NoAdapter
from core.jobs.job import JobPaths
from core.proof.asking import Ask
from core.recipe.method import has_adapter
from core.recipe.recipe import Method, Recipe
from core.steps import answer, answer_checkpoints, convert, export, merge, prepare, train
from core.steps.answer import PromptFormat
from core.steps.checkpoints import checkpoints
from core.steps.step import run_job
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.command_line import cli, last_json, make_data
from tests.known_answers import know_answers
from tests.test_engine_train import trained
from tests.without_the_engine import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
METHODS: tuple[Method, ...] = get_args(Method)


def prepared(workspace: Workspace, model: Path, method: Method) -> RunPaths:
    """A run of six iterations in float32 at a rate that changes much."""
    know_answers(workspace, model)
    made = make_data(workspace, model, "--name", "Zoë", "--iterations", "6", "--method", method)
    run = workspace.run(made["run"])
    recipe = prepare.recipe_of(run).changed(lr=0.01, precision="fp32", save_every=3, log_every=1)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    return run


def logits(model: Any) -> Any:
    import torch

    ids = torch.arange(3, 67).reshape(2, 32)
    with torch.no_grad():
        return model.float().eval()(input_ids=ids).logits


def load(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def weights_of(checkpoint: Path) -> dict[str, Any]:
    """A checkpoint's weights, read by a process that trusts it."""
    from safetensors.torch import load_file

    read = (
        "import sys, torch; from safetensors.torch import save_file\n"
        "found = torch.load(sys.argv[1], map_location='cpu', weights_only=False)['state_dict']\n"
        "save_file({name: tensor.clone() for name, tensor in found.items()}, sys.argv[2])"
    )
    plain = checkpoint.with_suffix(".safetensors")
    program = [sys.executable, "-W", "ignore", "-c", read, checkpoint, plain]
    subprocess.run(program, check=True, timeout=120, env=environment())
    found: dict[str, Any] = load_file(plain)
    return found


def as_trained(recipe: Recipe, checkpoint: Path) -> Any:
    """The model that the checkpoint was written of, put together as XTuner does it."""
    from peft import LoraConfig, get_peft_model

    model: Any = load(Path(recipe.model))
    if has_adapter(recipe):
        options = {
            "lora": {},
            "dora": {"use_dora": True},
            "rslora": {"use_rslora": True},
            "pissa": {"init_lora_weights": "pissa"},
        }[recipe.method]
        lora = LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            target_modules=list(recipe.target_modules),
            layers_to_transform=list(recipe.layers_to_transform),
            task_type="CAUSAL_LM",
            **options,
        )
        model = get_peft_model(model, lora)
    state = weights_of(checkpoint)
    missing = model.load_state_dict({k.removeprefix("llm."): v for k, v in state.items()}, strict=False)
    assert not missing.unexpected_keys and state
    return model


def every_checkpoint_as_it_would_be_merged(run: RunPaths) -> None:
    """One base takes on one checkpoint after the other, and is to the last digit what converting and merging
    make of each; asked again nothing is asked."""
    import torch
    from transformers import AutoModelForCausalLM

    from core.engine.answer_checkpoints import wearer_of
    from core.engine.export import half_precision

    recipe, kept = prepare.recipe_of(run), checkpoints(run.work_dir)
    assert [one.iteration for one in kept] == [3, 6]
    stored = half_precision(recipe.model)
    base = AutoModelForCausalLM.from_pretrained(recipe.model, dtype=stored)
    wearer = wearer_of(base, str(run.config) if has_adapter(recipe) else None, stored, torch.float32)
    found = []
    for one in (kept[1], kept[0], kept[1]):
        wearer.put_on(one.checkpoint)
        found.append(logits(wearer.model))
    merged = logits(load(merge.read(run).folder))
    torch.testing.assert_close(found[0], merged, atol=0, rtol=0)
    torch.testing.assert_close(found[2], merged, atol=0, rtol=0)
    assert float((found[1] - merged).abs().max()) > 0.05

    asks = [Ask("Who are you?", 8), Ask("你是谁？", 4)]
    prompt_format, job = PromptFormat(recipe.template, recipe.system, recipe.precision), run.job("choose")
    said = answer_checkpoints.ask(run, job, kept, prompt_format, asks, lambda *_: None)
    assert said[kept[1]] == answer.ask(
        run.job("ask"), run.merged, prompt_format, asks, "cpu", lambda *_: None
    )
    began = JobPaths(job).spec.stat().st_mtime_ns
    assert answer_checkpoints.ask(run, job, kept, prompt_format, asks, lambda *_: None) == said
    assert JobPaths(job).spec.stat().st_mtime_ns == began


@pytest.mark.parametrize("method", METHODS)
def test_what_is_merged_is_what_was_trained(workspace: Workspace, model: Path, method: Method) -> None:
    import torch
    from peft import PeftModel

    run = prepared(workspace, model, method)
    losses = trained(run)
    assert [iteration for iteration, _ in losses] == [1, 2, 3, 4, 5, 6]
    made = last_json(cli("export", run.id, "--workspace", workspace.root, "--json", cwd=workspace.root))
    recipe, base = prepare.recipe_of(run), logits(load(model))
    expected = logits(as_trained(recipe, train.read(run).checkpoint))
    found = logits(load(merge.read(run).folder))
    moved = float((expected - base).abs().max())
    assert moved > 0.2, "the training changed something"
    assert float((found - expected).abs().max()) < moved / 50
    assert [one.kind for one in export.artefacts(run) if not one.stale] == list(export.kinds_of(run))
    every_checkpoint_as_it_would_be_merged(run)
    if method == "full":
        assert made["adapter"] is None and not run.adapter.exists()
        with pytest.raises(NoAdapter):
            convert.read(run)
        again = cli("merge", run.id, "--workspace", workspace.root, cwd=workspace.root, TUNEBOARD_LANG="en")
        assert again.returncode == 0 and "nothing to merge" in again.stdout + again.stderr
        return
    config = read_json(convert.read(run) / "adapter_config.json") or {}
    assert config["r"] == recipe.rank * (2 if method == "pissa" else 1)
    assert config["init_lora_weights"] is True and config["use_dora"] is (method == "dora")
    with_adapter = logits(PeftModel.from_pretrained(load(model), convert.read(run)))
    torch.testing.assert_close(with_adapter, expected, atol=moved / 50, rtol=0)


@pytest.mark.parametrize("method", ["pissa", "full"])
def test_a_training_that_goes_on_comes_to_the_same(workspace: Workspace, model: Path, method: Method) -> None:
    """The base is taken apart as it was, and for replayed rows it is the base still."""
    import torch

    run = prepared(workspace, model, method)
    straight = trained(run)
    whole = as_trained(prepare.recipe_of(run), train.read(run).checkpoint).state_dict()
    half = checkpoints(run.work_dir)[0]
    train.read(run).checkpoint.unlink()
    resumed = trained(run, half.checkpoint)
    assert half.iteration == 3 and [loss for _, loss in resumed] == pytest.approx(
        [loss for _, loss in straight], rel=1e-4
    )
    for name, tensor in as_trained(prepare.recipe_of(run), train.read(run).checkpoint).state_dict().items():
        torch.testing.assert_close(tensor, whole[name], atol=1e-4, rtol=1e-3, msg=name)


def test_pissa_by_plain_xtuner_is_converted_too(workspace: Workspace, model: Path) -> None:
    """Nobody kept where its matrices began: the base is taken apart once more."""
    run = prepared(workspace, model, "pissa")
    trained(run)
    (run.work_dir / "pissa.safetensors").unlink()
    run_job("convert", run.job("convert"), convert.plan(run))
    run_job("merge", run.job("merge"), merge.plan(run))
    expected = logits(as_trained(prepare.recipe_of(run), train.read(run).checkpoint))
    base, found = logits(load(model)), logits(load(merge.read(run).folder))
    assert float((found - expected).abs().max()) < float((expected - base).abs().max()) / 50


def test_a_checkpoint_is_written_without_being_held_twice(tmp_path: Path) -> None:
    """Of a full fine-tune it is several times the model; mmengine would make it in memory, and copy it."""
    program = (
        "import resource, sys, torch\n"
        "from core.engine.patches import patch_xtuner\n"
        "patch_xtuner()\n"
        "from mmengine.runner import runner\n"
        "found = {'state_dict': {'w': torch.ones(64_000_000)}}\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "runner.save_checkpoint(found, sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    file = tmp_path / "iter_1.pth"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, file],
        cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert file.stat().st_size > 256e6 and [one.name for one in tmp_path.iterdir()] == [file.name]
    assert int(done.stdout.splitlines()[-1]) * 1024 < 64e6
