"""Train: a recipe and rows become XTuner's checkpoints.

The command is XTuner's own training program on the config file that stands in the run's folder.
"""

import shutil
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from core.data import parity
from core.errors import AdoptedRun, MissingArtefact
from core.jobs.job import JobSpec
from core.jobs.launch import launch, refuse_while_live
from core.machine import this_machine
from core.models.folder import Model, read_model
from core.recipe.check import problems, settle
from core.recipe.recipe import Recipe, from_yaml, invalid, to_yaml
from core.recipe.xtuner_config import write_config
from core.steps.checkpoints import NAMES, Trained, checkpoints, is_whole
from core.steps.step import check_space, engine_job
from core.workspace.files import read_json, write_json, write_text
from core.workspace.paths import RunPaths, Workspace

PACKAGES = ("xtuner", "mmengine", "torch", "transformers", "peft", "bitsandbytes", "deepspeed", "datasets")
# Missed by nobody who does not ask for them.
OPTIONAL = ("unsloth",)
# Weights of LoRA, its optimizer state and two checkpoints of them are small beside this.
LOG_AND_CHECKPOINT_BYTES = 300_000_000


def prepare(run: RunPaths, recipe: Recipe, model: Model, rows: Path) -> Recipe:
    """Check the recipe and write recipe.yaml, config.py and versions.json into the run's folder.

    Returns the settled recipe. Raises InvalidRecipe (all problems at once), DiskFull.
    """
    machine = this_machine()
    if found := problems(recipe, machine, model):
        raise invalid(found)
    settled = settle_for(run, recipe, model).changed(model=str(model.folder), data=str(rows))
    if found := parity.problems(settled, model):
        raise invalid(found)
    check_space(run.root, LOG_AND_CHECKPOINT_BYTES)
    write_text(run.recipe, to_yaml(settled))
    write_text(run.config, write_config(settled, rows, model.folder, run.work_dir))
    write_json(run.versions, versions())
    return settled


def settle_for(run: RunPaths, recipe: Recipe, model: Model) -> Recipe:
    """``recipe`` with every "auto" replaced by what it means on this machine for this run's rows."""
    return settle(recipe, this_machine(), model, _tokens(run, recipe))


def _tokens(run: RunPaths, recipe: Recipe) -> int | None:
    """How many the whole run reads, by the run's data.json; None before there is one."""
    about = read_json(run.data) or {}
    if not about.get("rows"):
        return None
    rows = (recipe.iterations or 0) * recipe.batch_size or (recipe.epochs or 1) * about["rows"]
    return int(rows * (recipe.max_length if recipe.pack else about["kept"] / about["rows"]))


def versions() -> dict[str, str]:
    """The versions that decide a result; "-" for a package that is not installed, unless it is optional."""
    optional = {name: found for name in OPTIONAL if (found := _version(name)) != "-"}
    return {"python": python_version(), **{name: _version(name) for name in PACKAGES}, **optional}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def plan(run: RunPaths, recipe: Recipe, resume: Path | None = None) -> JobSpec:
    """The job that trains. A recipe for the processor hides every GPU from it."""
    if run.adopted.exists():
        raise AdoptedRun(run=run.id, folder=run.work_dir.resolve())
    if not run.config.exists():
        raise MissingArtefact(what=run.config.name, where=run.root, step="data")
    arguments = [str(run.config), "--work-dir", str(run.work_dir), "--seed", str(recipe.seed)]
    if recipe.deepspeed != "none":
        arguments += ["--deepspeed", f"deepspeed_{recipe.deepspeed}"]
    if resume:
        arguments += ["--resume", str(resume)]
    env = {"HF_DATASETS_CACHE": str(run.job("train") / "cache")}
    if recipe.device == "cpu":
        env |= {"CUDA_VISIBLE_DEVICES": ""}
    if recipe.accelerate == "unsloth":  # else it writes modules into the folder it is started in
        env |= {"UNSLOTH_COMPILE_LOCATION": str(run.compiled / "unsloth")}
    # torch 2.13 splits the command of its compiler at spaces: there it keeps to its own place.
    if recipe.accelerate in {"on", "unsloth"} and " " not in str(run.compiled):
        env |= {"TORCHINDUCTOR_CACHE_DIR": str(run.compiled)}
    if recipe.deepspeed != "none":
        # DeepSpeed alone in one process looks for MPI unless it is told where it stands.
        env |= {
            "RANK": "0",
            "LOCAL_RANK": "0",
            "WORLD_SIZE": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": "0",
        }
    return engine_job("train", *arguments, env=env)


def start(run: RunPaths, resume: Trained | None = None) -> None:
    """Start the training as a job and return: from ``resume``, else from the beginning.

    From the beginning, earlier checkpoints are deleted: of two trainings' files nobody could tell which is
    the last. Raises MissingArtefact, InvalidRecipe, DiskFull, JobRunning, JobNotStarted.
    """
    spec = plan(run, recipe_of(run), resume.checkpoint if resume else None)
    if resume is None:
        refuse_mismatch(run)
    check_space(run.root, LOG_AND_CHECKPOINT_BYTES)
    refuse_while_live(run.job("train"))
    for old in checkpoints(run.work_dir) if resume is None else []:
        if old.checkpoint.is_dir():
            shutil.rmtree(old.checkpoint)
        else:
            old.checkpoint.unlink()
    launch(run.job("train"), spec)


def refuse_mismatch(run: RunPaths) -> None:
    """Raises InvalidRecipe when what is trained is not what a server of the model will write, and the recipe
    does not say why."""
    if found := parity.problems(recipe_of(run), model_of(run)):
        raise invalid(found)


def recipe_of(run: RunPaths) -> Recipe:
    """The recipe a run was prepared with. Raises MissingArtefact, InvalidRecipe."""
    if not run.recipe.exists():
        raise MissingArtefact(what=run.recipe.name, where=run.root, step="data")
    return from_yaml(run.recipe)


def model_of(run: RunPaths) -> Model:
    """The base model of a run. Raises NoSuchModel when it was moved away."""
    return read_model(Path(recipe_of(run).model))


def resumable(run: RunPaths) -> Trained | None:
    """The last checkpoint that is whole; None when training must begin anew."""
    return next((found for found in reversed(checkpoints(run.work_dir)) if is_whole(found.checkpoint)), None)


def variant(workspace: Workspace, run: RunPaths, now: datetime, changed: Recipe | None = None) -> RunPaths:
    """A new run on the same rows with the same recipe, to be changed, or with one that was ``changed``: what
    was trained keeps its own.

    Raises MissingArtefact, NoSuchModel, NotWritable, DiskFull, InvalidRecipe.
    """
    recipe, model, about = changed or recipe_of(run), model_of(run), read_json(run.data)
    if about is None:
        raise MissingArtefact(what=run.data.name, where=run.root, step="data")
    new = workspace.new_run(about["name"], now)
    write_json(new.data, about)
    prepare(new, recipe, model, Path(recipe.data))
    return new


def read(run: RunPaths) -> Trained:
    """The last checkpoint. Raises MissingArtefact."""
    found = checkpoints(run.work_dir)
    if not found:
        raise MissingArtefact(what=NAMES, where=run.work_dir, step="train")
    return found[-1]
