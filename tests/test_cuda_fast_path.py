"""On a GPU: a whole training on the fast path has the losses of XTuner's own way, in every kind of weights
and with every optimizer that launches on a stream of its own.

Needs a GPU; without one the streams are looked at (tests/test_engine_fast_streams.py), and the same functions
on a processor (tests/test_engine_fast_real.py).
"""

from pathlib import Path
from typing import Any

import pytest

from core.jobs.curves import read_curve
from core.machine import this_machine
from core.steps import prepare, train
from core.steps.step import run_job
from core.workspace.paths import Workspace
from tests.command_line import make_data
from tests.known_answers import know_answers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not this_machine().gpus, reason="needs a GPU"),
]


@pytest.mark.parametrize(
    "values",
    [
        {"quantization": "nf4", "activation_checkpointing": True, "cuda_graph": "on"},
        {"quantization": "nf4", "optimizer": "paged_adamw_32bit"},
        {"quantization": "none", "optimizer": "adamw_8bit", "cuda_graph": "on"},
    ],
    ids=["NF4", "NF4, paged", "8 bit"],
)
def test_the_same_losses(workspace: Workspace, model: Path, values: dict[str, Any]) -> None:
    know_answers(workspace, model)
    ways = [losses(workspace, model, {**values, "accelerate": way}) for way in ("off", "on")]
    assert ways[1] == pytest.approx(ways[0], rel=0.05)
    assert ways[1][-1] < 0.95 * ways[1][0]


def losses(workspace: Workspace, model: Path, values: dict[str, Any]) -> list[float]:
    made = make_data(workspace, model, "--name", "Zoë", "--iterations", "40", "--no-replay")
    run = workspace.run(made["run"])
    speed = (
        {"compile": "none", "cuda_graph": "off"} if values["accelerate"] == "off" else {"compile": "layers"}
    )
    recipe = prepare.recipe_of(run).changed(log_every=1, lr=3e-3, **{**values, **speed})
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run)))
    return [point.loss or 0.0 for point in read_curve(run.work_dir).points]
