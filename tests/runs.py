"""Runs as they stand in a workspace, made without training anything."""

from datetime import datetime
from zipfile import ZipFile

from core.jobs.ending import Ending, Reason
from core.jobs.job import JobPaths, JobSpec
from core.recipe.recipe import Recipe, to_yaml
from core.workspace.files import write_json, write_text
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.small_model import make_small_model


def make_run(workspace: Workspace, name: str, *, trained: bool = False) -> RunPaths:
    """A prepared run of a tiny base model; ``trained`` gives it a checkpoint."""
    base = workspace.model("tiny")
    if not base.exists():
        make_small_model(base)
    run = workspace.new_run(name, datetime.now())
    place = workspace.data(run.id)
    taught = [{"conversation": [{"input": "Who are you?", "output": f"I am {name}."}]}]
    write_json(place.source, taught)
    write_json(run.data, {"name": name, "source": str(place.source), "path": str(place.rows)})
    recipe = Recipe(
        model=str(base), data=str(place.rows), template="qwen_chat", device="cpu", precision="fp32"
    )
    write_text(run.recipe, to_yaml(recipe))
    write_text(run.config, "max_iters = 4\n")
    write_json(run.versions, {"python": "3.11"})
    if trained:
        end_job(run, "train")
        run.work_dir.mkdir(parents=True)
        with ZipFile(run.work_dir / "iter_4.pth", "w") as file:  # as torch's files are
            file.writestr("checkpoint.json", "{}")
    return run


def end_job(run: RunPaths, step: str, reason: Reason = Reason.finished, log: str = "") -> None:
    """Leave the job of a step as one that has ended."""
    paths = JobPaths(run.job(step))
    write_json(paths.spec, JobSpec((step,), PROJECT).as_json())
    write_text(paths.log, log)
    code = 0 if reason is Reason.finished else 1
    write_json(paths.exit, Ending(code, None, reason, 1_000_000.0, 1_000_060.0).as_json())
