"""Convert: XTuner's checkpoint becomes a PEFT adapter (``pth_to_hf``), in safetensors; of a full fine-tune it
becomes the whole model, and nothing is left to merge."""

from pathlib import Path

from core.errors import JobRunning, MissingArtefact, NoAdapter
from core.jobs.job import JobSpec
from core.jobs.status import is_live
from core.recipe.disk import merged_bytes
from core.recipe.method import has_adapter
from core.steps import adopt, train
from core.steps.step import check_space, engine_job
from core.workspace.paths import RunPaths

SHARD = "2GB"


def plan(run: RunPaths) -> JobSpec:
    """The job that converts the run's last checkpoint into its ``adapter/``, the tokenizer beside it; a full
    fine-tune's into ``merged/``.

    Raises MissingArtefact; NoSuchModel without its base, whose shape the adapter has; NotARecipe for one
    adopted that trained something else than a Recipe's adapter; JobRunning while the run is trained, which
    deletes checkpoints as it goes; DiskFull.
    """
    if is_live(run.job("train")):
        raise JobRunning(folder=run.job("train"))
    model = train.model_of(run)
    adopt.refuse_unlike(run)
    trained = train.read(run)
    recipe = train.recipe_of(run)
    if not has_adapter(recipe):
        check_space(run.root, merged_bytes(model))
        return engine_job(
            "convert_whole", trained.checkpoint, run.merged, SHARD, recipe.model, recipe.template
        )
    return engine_job(
        "convert", run.config, trained.checkpoint, run.adapter, SHARD, recipe.model, recipe.template
    )


def makes_adapter(run: RunPaths) -> bool:
    """Whether converting makes an adapter, and not the whole model at once."""
    return not run.recipe.exists() or has_adapter(train.recipe_of(run))


def read(run: RunPaths) -> Path:
    """The adapter's folder. Raises MissingArtefact; NoAdapter for a full fine-tune."""
    if not makes_adapter(run):
        raise NoAdapter(run=run.id, merged=run.merged)
    if not (run.adapter / "adapter_model.safetensors").exists():
        raise MissingArtefact(what="adapter_model.safetensors", where=run.adapter, step="convert")
    return run.adapter
