"""A training that goes on ends with the weights of one that was never stopped: bit for bit, on a processor.

Rows in the same order, the same optimizer, the same schedule, and the same random numbers: with dropout every
step draws some, and so does every question that the model is asked between two steps.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from core.engine.checkpoint_file import trained_weights
from core.steps import prepare, train
from core.steps.checkpoints import checkpoints
from core.steps.step import run_job
from core.workspace.paths import RunPaths, Workspace
from tests.test_engine_fast_real import with_acceleration
from tests.test_engine_train import prepared

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),  # torch speaks of its own future
]
HALF, WHOLE = 6, 12
USUAL = {
    "dropout": 0.3,
    "save_every": HALF,
    "keep_checkpoints": 4,
    "evaluate_every": 4,
    "evaluation_tokens": 2,
    "log_every": 1,
    "seed": 5,
}


def settled(workspace: Workspace, model: Path, **changes: Any) -> RunPaths:
    run = prepared(workspace, model, "--iterations", str(WHOLE))
    recipe = prepare.recipe_of(run).changed(**USUAL, **changes)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    return run


def weights_at_the_end(run: RunPaths, resume: Path | None = None) -> dict[str, torch.Tensor]:
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run), resume))
    last = train.read(run)
    assert last.iteration == WHOLE
    return trained_weights(last.checkpoint)


def from_half(run: RunPaths) -> Path:
    """The checkpoint in the middle; what came after it is gone, as after a crash."""
    half, whole = checkpoints(run.work_dir)
    assert (half.iteration, whole.iteration) == (HALF, WHOLE)
    whole.checkpoint.unlink()
    return half.checkpoint


def test_the_weights_are_the_same(workspace: Workspace, model: Path) -> None:
    run = settled(workspace, model)
    at_once = weights_at_the_end(run)
    again = weights_at_the_end(run, from_half(run))
    assert at_once and all(torch.equal(again[name], tensor) for name, tensor in at_once.items())


def test_the_weights_are_the_same_on_the_fast_path(workspace: Workspace, model: Path) -> None:
    run = with_acceleration(settled(workspace, model))
    at_once = weights_at_the_end(run)
    again = weights_at_the_end(run, from_half(run))
    assert all(torch.equal(again[name], tensor) for name, tensor in at_once.items())


@pytest.mark.parametrize("at", [1, 4, 5, 7, 11])
def test_wherever_it_stopped(tmp_path: Path, at: int) -> None:
    """mmengine's own training of a small net: also where an epoch of five steps has just ended, and where
    somebody draws random numbers between two steps."""
    small_training(tmp_path / "first", ends=1)  # in a process the first one imports what draws by itself
    at_once = small_training(tmp_path / "at once")
    small_training(tmp_path / "begun", ends=at)
    again = small_training(tmp_path / "again", resume=tmp_path / "begun" / f"iter_{at}.pth")
    assert all(torch.equal(again[name], tensor) for name, tensor in at_once.items())


def small_training(folder: Path, ends: int = WHOLE, resume: Path | None = None) -> dict[str, torch.Tensor]:
    """A net with dropout, trained from five batches of rows in an order of its own each time."""
    from mmengine.hooks import Hook
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    from core.engine.checkpoint_file import allow_curves
    from core.engine.random_state import KeepRandomState, apart

    class Net(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(
                torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
            )

        def forward(self, rows: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
            return {"loss": (self.net(rows.float()) - 1).square().mean()}

    class Ask(Hook):
        def after_train_iter(self, runner: Any, **_: Any) -> None:
            if runner.iter % 3 == 0 and not resume:
                with apart():
                    torch.rand(100)

    allow_curves()
    torch.manual_seed(3)  # the net's first weights; the runner's seed comes after them
    rows = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    runner = Runner(
        model=Net(),
        work_dir=str(folder),
        train_dataloader={
            "batch_size": 4,
            "dataset": [{"rows": row} for row in rows],
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"by_epoch": False, "max_iters": ends},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        param_scheduler={
            "type": "LinearLR",
            "start_factor": 1.0,
            "end_factor": 0.1,
            "end": WHOLE,
            "by_epoch": False,
        },
        default_hooks={"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}},
        randomness={"seed": 5},
        load_from=str(resume) if resume else None,
        resume=resume is not None,
        experiment_name=f"{folder.name} {ends} {resume}",
        log_level="ERROR",
    )
    runner.register_hook(KeepRandomState())
    runner.register_hook(Ask())
    runner.train()
    return {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}


def test_a_loop_by_epochs_goes_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A config written by hand may have mmengine's, which takes no rows once more."""
    from core.engine import random_state

    restored: list[object] = []
    monkeypatch.setattr(random_state, "restore", restored.append)
    hook, state = random_state.KeepRandomState(), random_state.random_state()
    hook.after_load_checkpoint(None, {random_state.RANDOM_STATE: state})
    hook.before_train(SimpleNamespace(train_loop=SimpleNamespace(), iter=4))
    assert restored == [state]


class OnACard(torch.Tensor):
    """What mmengine loads from a checkpoint where there is a GPU."""

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_a_state_that_was_loaded_onto_a_card_comes_back() -> None:
    from core.engine.random_state import random_state, restore

    state = random_state()
    moved = {**state, "torch": state["torch"].as_subclass(OnACard)}
    for name in ("python", "numpy"):
        moved[name] = [
            one.as_subclass(OnACard) if isinstance(one, torch.Tensor) else one for one in state[name]
        ]
    drawn = torch.rand(3), np.random.rand(3)
    restore(moved)
    assert torch.equal(torch.rand(3), drawn[0]) and (np.random.rand(3) == drawn[1]).all()


def test_the_state_of_every_generator_comes_back() -> None:
    import random

    from core.engine.random_state import apart, random_state, restore

    def drawn() -> list[float]:
        return [
            random.gauss(0, 1),
            random.random(),
            np.random.normal(),
            np.random.rand(),
            torch.rand(()).item(),
        ]

    drawn()  # one of a pair of normal numbers is left over
    state = random_state()
    first = drawn()
    with apart():
        drawn()
    second = drawn()
    restore(state)
    assert [drawn(), drawn()] == [first, second]
