"""Convert: XTuner's checkpoint becomes a PEFT adapter (``pth_to_hf``), in safetensors; of a full fine-tune it
becomes the whole model, and nothing is left to merge."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import with_config

from core.errors import DamagedFile, JobRunning, MissingArtefact, NoAdapter, NoSuchJob
from core.jobs.job import JobSpec, tries
from core.jobs.request import as_record, read_request
from core.jobs.status import State, is_live, state_of
from core.models.folder import Model
from core.recipe.disk import merged_bytes
from core.recipe.method import has_adapter
from core.recipe.recipe import Recipe
from core.steps import adopt, chosen, prepare, resuming
from core.steps.checkpoints import Trained, content_hash
from core.steps.step import check_space, engine_job
from core.workspace.paths import RunPaths

SHARD = "2GB"


@with_config(extra="forbid")
@dataclass(frozen=True)
class ConvertRequest:
    """What was converted: the checkpoint's file, its iteration, of ``total`` that were to be trained, and the
    hash of what it has trained. Kept with the job, so that an artefact knows what it was made of."""

    checkpoint: Path
    iteration: int
    content: str
    total: int | None = None


def plan(run: RunPaths) -> JobSpec:
    """The job that converts the run's last checkpoint, or the chosen one, into its ``adapter/``, with the
    tokenizer beside it; a full fine-tune's into ``merged/``.

    Raises MissingArtefact; NoSuchModel without its base, whose shape the adapter has; NotARecipe for one
    adopted that trained something else than a Recipe's adapter; JobRunning while the run is trained, which
    deletes checkpoints as it goes; DamagedCheckpoint; DiskFull.
    """
    if is_live(run.job("train")):
        raise JobRunning(folder=run.job("train"))
    model = prepare.model_of(run)
    adopt.refuse_unlike(run)
    trained = chosen.used(run)
    resuming.refuse_damaged(run, trained)
    recipe = prepare.recipe_of(run)
    content, total = content_hash(trained.checkpoint), prepare.iterations(run, recipe)
    asked = ConvertRequest(trained.checkpoint, trained.iteration, content, total)
    return replace(_job(run, recipe, model, trained), request=as_record(asked))


def _job(run: RunPaths, recipe: Recipe, model: Model, trained: Trained) -> JobSpec:
    if not has_adapter(recipe):
        check_space(run.root, merged_bytes(model))
        return engine_job(
            "convert_whole", trained.checkpoint, run.merged, SHARD, recipe.model, recipe.template
        )
    return engine_job(
        "convert", run.config, trained.checkpoint, run.adapter, SHARD, recipe.model, recipe.template
    )


def made_of(run: RunPaths) -> ConvertRequest | None:
    """What the adapter, or the full fine-tune's whole model, was made of: what the last conversion that came
    to its end was asked for. None where nobody can say, as of what an earlier version made."""
    for folder in tries(run.job("convert")):
        if state_of(folder) is State.finished:
            with suppress(NoSuchJob, DamagedFile):
                return read_request(ConvertRequest, folder)
            return None
    return None


def makes_adapter(run: RunPaths) -> bool:
    """Whether converting makes an adapter, and not the whole model at once."""
    return not run.recipe.exists() or has_adapter(prepare.recipe_of(run))


def read(run: RunPaths) -> Path:
    """The adapter's folder. Raises MissingArtefact; NoAdapter for a full fine-tune."""
    if not makes_adapter(run):
        raise NoAdapter(run=run.id, merged=run.merged)
    if not (run.adapter / "adapter_model.safetensors").exists():
        raise MissingArtefact(what="adapter_model.safetensors", where=run.adapter, step="convert")
    return run.adapter
