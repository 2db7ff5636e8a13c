"""Train: a recipe and rows become XTuner's checkpoints.

The command is XTuner's own training program on the config file that stands in the run's folder
(:mod:`core.steps.prepare`).
"""

import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.data import parity
from core.errors import AdoptedRun, MissingArtefact, NoWholeCheckpoint
from core.jobs.curves import time_folders
from core.jobs.job import JobSpec
from core.jobs.launch import launch
from core.jobs.request import as_record
from core.queue.cards import computing
from core.recipe.recipe import Recipe, invalid
from core.slurm.nodes import over_nodes
from core.steps import ranks
from core.steps.checkpoints import NAMES, Trained, checkpoints
from core.steps.dividing import put_here
from core.steps.prepare import in_line, model_of, recipe_of, request_of, space_for
from core.steps.resuming import refuse_changed, refuse_damaged, resumable
from core.steps.step import check_space, engine_job
from core.wording import say
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, make_folder

# DeepSpeed's settings on a processor: in float32, with torch's optimizer.
ON_A_PROCESSOR = {
    **dict.fromkeys(
        ("gradient_accumulation_steps", "train_micro_batch_size_per_gpu", "gradient_clipping"), "auto"
    ),
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
}


def plan(run: RunPaths, recipe: Recipe, resume: Path | None = None) -> JobSpec:
    """The job that trains. A recipe for the processor hides every GPU from it."""
    if run.adopted.exists():
        raise AdoptedRun(run=run.id, folder=run.work_dir.resolve())
    if not run.config.exists():
        raise MissingArtefact(what=run.config.name, where=run.root, step="data")
    arguments = [str(run.config), "--work-dir", str(run.work_dir), "--seed", str(recipe.seed)]
    if recipe.deepspeed != "none":
        arguments += ["--deepspeed", _deepspeed(run, recipe)]
    if resume:
        arguments += ["--resume", str(resume)]
    env = {"HF_DATASETS_CACHE": str(run.job("train") / "cache"), **ranks.environment(recipe)}
    if recipe.accelerate == "unsloth":  # else it writes modules into the folder it is started in
        env |= {"UNSLOTH_COMPILE_LOCATION": str(run.compiled / "unsloth")}
    # torch 2.13 splits the command of its compiler at spaces: there it keeps to its own place.
    if recipe.accelerate in {"on", "unsloth"} and " " not in str(run.compiled):
        env |= {"TORCHINDUCTOR_CACHE_DIR": str(run.compiled)}
    if recipe.deepspeed != "none" and recipe.ranks == 1:
        # DeepSpeed alone in one process looks for MPI unless it is told where it stands.
        env |= {
            "RANK": "0",
            "LOCAL_RANK": "0",
            "WORLD_SIZE": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": "0",
        }
    request = as_record(request_of(run, recipe, resume))
    tool, arguments = ranks.together(run.job("train"), recipe, "train", arguments)
    devices = computing(recipe.devices, hidden=recipe.device == "cpu", cards=recipe.cards)
    spec = replace(engine_job(tool, *arguments, env=env), request=request, devices=devices)
    command, meeting = over_nodes(spec.command, recipe.nodes)
    return replace(spec, command=tuple(command), env={**spec.env, **meeting})


def _deepspeed(run: RunPaths, recipe: Recipe) -> str:
    """XTuner's settings by their name; on a processor, which their half precision is not for, a file of the
    run's own."""
    if recipe.device != "cpu":
        return f"deepspeed_{recipe.deepspeed}"
    stage = {"stage": int(recipe.deepspeed.removeprefix("zero")), "overlap_comm": False}
    write_json(run.deepspeed, {**ON_A_PROCESSOR, "zero_optimization": stage})
    return str(run.deepspeed)


def start(run: RunPaths, resume: Trained | None = None) -> None:
    """Start the training as a job and return: from ``resume``, else from the beginning.

    Raises MissingArtefact, InvalidRecipe, RecipeChanged, DiskFull, JobRunning, JobNotStarted.
    """
    put_here(run, anew=resume is None)
    recipe = in_line(run)
    spec = plan(run, recipe, resume.checkpoint if resume else None)
    if resume is None:
        refuse_mismatch(run)
    else:
        refuse_changed(run, resume)
    check_space(run.root, space_for(run, recipe, model_of(run)))
    launch(run.job("train"), spec, before=making_way(run, resume))


def making_way(run: RunPaths, resume: Trained | None) -> Callable[[], None]:
    """What a launch of this training does once it is sure that no other trains this run.

    From the beginning, earlier checkpoints are deleted and earlier logs put aside: of two trainings' files
    nobody could tell which is the last. To go on, the checkpoint must be there still, and whole; raises
    MissingArtefact, DamagedCheckpoint.
    """

    def make_way() -> None:
        run.chosen.unlink(missing_ok=True)  # of what was trained before
        if resume is None:
            _abandon(run)
        elif not resume.checkpoint.exists():
            raise MissingArtefact(what=resume.checkpoint.name, where=run.work_dir, step="train")
        else:
            refuse_damaged(run, resume)

    return make_way


def _abandon(run: RunPaths) -> None:
    for old in checkpoints(run.work_dir):
        if old.checkpoint.is_dir():
            shutil.rmtree(old.checkpoint)
        else:
            old.checkpoint.unlink()
    for folder in time_folders(run.work_dir):
        make_folder(run.abandoned, exist_ok=True)
        folder.rename(run.abandoned / f"{folder.name}-{secrets.token_hex(2)}")


def refuse_mismatch(run: RunPaths) -> None:
    """Raises InvalidRecipe when what is trained is not what a server of the model will write, and the recipe
    does not say why."""
    if found := parity.problems(recipe_of(run), model_of(run)):
        raise invalid(found)


def read(run: RunPaths) -> Trained:
    """The last whole checkpoint. Raises MissingArtefact without any, NoWholeCheckpoint."""
    if (last := resumable(run)) is not None:
        return last
    found = checkpoints(run.work_dir)
    if not found:
        raise MissingArtefact(
            what=say("train.checkpoint", names=say("row.list").join(NAMES)), where=run.work_dir, step="train"
        )
    names = say("row.list").join(one.checkpoint.name for one in found)
    raise NoWholeCheckpoint(run=run.id, names=names, folder=run.work_dir)
