"""The real XTuner goes on from an adapter: one that is trained by next to nothing comes out as it went in."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.jobs.job import JobPaths
from core.models.adapter import read_adapter
from core.pace import Progress
from core.pipeline import tune
from core.steps import prepare
from core.steps.step import engine_job, run_job
from core.workspace.paths import Workspace
from tests.adapters import make_adapter, recorded
from tests.small_run import make_run, make_workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
TARGETS = ["q_proj", "down_proj"]


class Silent:
    """A progress that nobody reads."""

    def stage(self, name: str) -> None: ...
    def update(self, share: float, note: str) -> None: ...
    def say(self, key: str, **values: object) -> None: ...


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_a_training_begins_with_an_adapter(method: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    workspace: Workspace = make_workspace(tmp_path)
    run = make_run(workspace, datetime(2026, 1, 2))
    model = prepare.model_of(run)
    settings = recorded()["trl"]["adapter_config.json"]
    given = tmp_path / "given"
    if method == "lora":
        make_adapter(given, model.folder, {**settings, "r": 4, "lora_alpha": 8, "target_modules": TARGETS})
    else:
        _dora(given, model.folder)
    read_adapter(given, model)
    start = run.root / "begins_with.pth"
    run_job("begin", run.job("begin"), engine_job("begin", given, start))
    recipe = prepare.recipe_of(run).changed(
        method=method,
        rank=4,
        alpha=8,
        target_modules=tuple(TARGETS),
        layers_to_transform=(),
        begins_with=str(start),
        lr=1e-9,
        iterations=2,
        save_every=2,
        evaluate_every=None,
        precision="fp32",
    )
    prepare.prepare(run, recipe, model, Path(recipe.data))
    progress: Progress = Silent()
    tune.run_train(run, progress)
    made = load_file(tune.run_convert(run, progress) / "adapter_model.safetensors")
    before = load_file(given / "adapter_model.safetensors")
    assert made.keys() == before.keys()
    for name, tensor in before.items():
        assert (made[name].float() - tensor.float()).abs().max() < 1e-3, name
    assert "peft_model" in run.config.read_text(encoding="utf-8")
    assert JobPaths(run.job("begin")).log.exists()


def _dora(folder: Path, base: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, use_dora=True, task_type="CAUSAL_LM")
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)
    tuned.save_pretrained(folder)
