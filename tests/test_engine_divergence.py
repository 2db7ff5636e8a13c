"""A loss that is no number: what was learned before stays, and the training says why it ended."""

import math
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from core.errors import StepFailed
from core.jobs.curves import read_curve
from core.jobs.job import JobPaths
from core.workspace.paths import Workspace
from tests.command_line import cli
from tests.small_model import make_small_model
from tests.test_engine_train import prepared, trained

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),  # torch speaks of its own future
]
PATIENCE = 20


def test_a_loss_that_is_no_number_ends_the_training(workspace: Workspace, tmp_path: Path) -> None:
    """What it leaves is what was learned before: here nothing, in numbers."""
    model = make_small_model(tmp_path / "broken")
    weights = load_file(model / "model.safetensors")
    broken = {**weights, "model.norm.weight": weights["model.norm.weight"] * np.nan}
    save_file(broken, model / "model.safetensors")
    run = prepared(workspace, model, "--iterations", "50", "--no-replay")
    config, count = re.subn(
        r"(?m)^save_steps = \d+", "save_steps = 10", run.config.read_text(encoding="utf-8")
    )
    assert count == 1
    run.config.write_text(config, encoding="utf-8")
    with pytest.raises(StepFailed) as failed:
        trained(run)
    assert "lr" in str(failed.value) and "no number" in JobPaths(run.job("train")).log.read_text("utf-8")
    assert len(read_curve(run.work_dir).points) == PATIENCE - 1
    assert cli("convert", run.id, "--workspace", workspace.root, cwd=workspace.root).returncode == 0
    saved = load_file(run.adapter / "adapter_model.safetensors")
    assert saved and all(np.isfinite(tensor).all() for tensor in saved.values())


def test_a_training_shorter_than_that_has_failed_too(workspace: Workspace, tmp_path: Path) -> None:
    """It ended as finished, with a model of which nothing was taught."""
    model = make_small_model(tmp_path / "broken")
    weights = load_file(model / "model.safetensors")
    save_file(
        {**weights, "model.norm.weight": weights["model.norm.weight"] * np.nan}, model / "model.safetensors"
    )
    run = prepared(workspace, model, "--iterations", "4", "--no-replay")
    with pytest.raises(StepFailed) as failed:
        trained(run)
    assert failed.value.values["line"].startswith("FloatingPointError") and "lr" in str(failed.value)
    assert "each of the last 4 steps" in str(failed.value)
    assert all(math.isnan(point.loss) for point in read_curve(run.work_dir).points if point.loss is not None)


@pytest.mark.parametrize(("losses", "fails"), [
    ([math.nan] * 3, True),
    ([1.0] + [math.nan] * 3, False),
    ([1.0] + [math.nan] * PATIENCE, True),
    ([math.nan] * 3 + [1.0], False),
    ([], False),
])  # fmt: skip
def test_what_counts_is_how_the_training_ends(losses: list[float], fails: bool) -> None:
    """Whatever the gradients: DeepSpeed's are not seen."""
    from core.engine.last_losses import LastLosses

    hook, runner = LastLosses(), SimpleNamespace(optim_wrapper=object())
    for loss in losses:
        hook.after_train_iter(runner, batch_idx=0, outputs={"loss": torch.tensor(loss)})
    with pytest.raises(FloatingPointError) if fails else nullcontext():
        hook.after_train(runner)


def test_a_gradient_that_is_no_number_counts_as_zero() -> None:
    from mmengine.optim import OptimWrapper

    from core.engine.divergence import leave_out_what_is_no_number

    leave_out_what_is_no_number()
    weight = torch.nn.Parameter(torch.ones(3))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.5), clip_grad={"max_norm": 1.0})
    for bad in (math.nan, math.inf):
        weight.grad = torch.tensor([0.0, bad, 1.0])
        wrapper.step()
        assert weight.tolist() == [1, 1, 1]
    weight.grad = torch.tensor([0.0, 0.0, 1.0])
    for _ in range(2 * PATIENCE):
        wrapper.step()
    assert weight.tolist() == pytest.approx([1, 1, 1 - PATIENCE], rel=1e-4)
    with pytest.raises(FloatingPointError, match="no number"):
        for _ in range(2 * PATIENCE):
            weight.grad = torch.tensor([math.nan, 0.0, 0.0])
            wrapper.step()
