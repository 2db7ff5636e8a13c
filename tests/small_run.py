"""A run prepared for training with a tiny model, and its training by the fake XTuner as a real job."""

import random
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from core.data.replay import replay_conversations
from core.jobs.job import JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.status import Status
from core.models.folder import read_model
from core.steps import data, first_recipe, prepare, train
from core.steps.taught import to_teach
from core.workspace.paths import RunPaths, Workspace
from tests.small_model import make_small_model

NAME = "小 明 & Co"


def make_workspace(folder: Path) -> Workspace:
    """A workspace under an awkward name, with a tiny model in the starter's place."""
    workspace = Workspace(folder / "工作 区" / "a b")
    make_small_model(workspace.starter)
    return workspace


def make_run(workspace: Workspace, now: datetime | None = None, **changes: object) -> RunPaths:
    """A run with data and config, as the data step leaves it; ``changes`` are of its recipe."""
    model = read_model(workspace.starter)
    said = to_teach(NAME, None)
    replay = replay_conversations({"What is 2 + 2?": "It is four."})
    recipe = first_recipe.recipe_for(
        model, said, replay=True, seed=random.Random(7).randrange(100), iterations=40
    )
    recipe = recipe.changed(
        **{
            "batch_size": 4,
            "keep_checkpoints": 2,
            "log_every": 2,
            "save_every": 10,
            "evaluate_every": 20,
            **changes,
        }
    )
    run = workspace.new_run(NAME, now or datetime(2026, 1, 1))
    place = workspace.data(run.id)
    data.write(run, place, said, replay, recipe, model)
    prepare.prepare(run, recipe, model, place.rows)
    return run


def start_training(run: RunPaths, **faults: str) -> None:
    """Start the run's training with the fake XTuner; ``faults`` are its variables."""
    recipe = prepare.recipe_of(run)
    launch(run.job("train"), fake(train.plan(run, recipe), **faults))


def end_training(run: RunPaths, **faults: str) -> Status:
    """Train the run to its end."""
    start_training(run, **faults)
    return wait(run.job("train"), poll=0.05, timeout=60)


def stop_jobs(workspace: Workspace) -> None:
    """End whatever a test left running."""
    for spec in workspace.runs.glob("*/*/job.json"):
        stop(spec.parent, "test", grace=1)
        wait(spec.parent, timeout=30)


def fake(spec: JobSpec, **faults: str) -> JobSpec:
    """The same command with the fake in XTuner's place."""
    command = (sys.executable, "-m", "tests.fake_xtuner", *spec.command[3:])
    return replace(spec, command=command, env={**spec.env, **faults, "PYTHONIOENCODING": "utf-8"})
