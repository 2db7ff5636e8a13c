"""Convert: XTuner's checkpoint becomes a PEFT adapter (``pth_to_hf``), in safetensors."""

from pathlib import Path

from core.errors import JobRunning, MissingArtefact
from core.jobs.job import JobSpec
from core.jobs.status import is_live
from core.steps import adopt, train
from core.steps.step import engine_job
from core.workspace.paths import RunPaths

SHARD = "2GB"


def plan(run: RunPaths) -> JobSpec:
    """The job that converts the run's last checkpoint into its ``adapter/``, the tokenizer beside it.

    Raises MissingArtefact; NoSuchModel without its base, whose shape the adapter has; NotARecipe for one
    adopted that trained something else than a Recipe's adapter; JobRunning while the run is trained, which
    deletes checkpoints as it goes.
    """
    if is_live(run.job("train")):
        raise JobRunning(folder=run.job("train"))
    train.model_of(run)
    adopt.refuse_unlike(run)
    trained = train.read(run)
    recipe = train.recipe_of(run)
    return engine_job(
        "convert", run.config, trained.checkpoint, run.adapter, SHARD, recipe.model, recipe.template
    )


def read(run: RunPaths) -> Path:
    """The adapter's folder. Raises MissingArtefact."""
    if not (run.adapter / "adapter_model.safetensors").exists():
        raise MissingArtefact(what="adapter_model.safetensors", where=run.adapter, step="convert")
    return run.adapter
