"""Another checkpoint than the one that is used: converted, merged and proved."""

from dataclasses import dataclass
from typing import Any

from pydantic import with_config

from core.jobs.job import JobSpec
from core.pace import Progress
from core.pipeline import checkpoints, tune
from core.steps import chosen
from core.steps.step import call_job
from core.workspace.paths import RunPaths, Workspace

# The job of the command line that does it.
USE = "use"


@with_config(extra="forbid")
@dataclass(frozen=True)
class UseRequest:
    """Make the run's model of the checkpoint of this iteration, and prove it; None: of the best one."""

    iteration: int | None = None


def plan(workspace: Workspace, run: RunPaths, iteration: int) -> JobSpec:
    """The job that makes the run's model of another checkpoint and proves it."""
    return call_job(run.job(USE), USE, workspace.root, UseRequest(iteration), run.id)


def use(workspace: Workspace, run: RunPaths, request: UseRequest, progress: Progress) -> dict[str, Any]:
    """Make the run's model of one checkpoint: convert, merge and prove what is not made of it yet.

    Raises NoSuchCheckpoint, and what these raise.
    """
    if request.iteration is None:
        taken = checkpoints.choose_best(workspace, run, progress)
    else:
        taken = chosen.choose(run, request.iteration)
    tune.make_model(run, progress)
    result = tune.run_compare(workspace, run, progress)
    return {**result, "checkpoint": taken.iteration}
