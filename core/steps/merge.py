"""Merge: base model and adapter become one model folder, safetensors in shards of 2 GB."""

from core.errors import MissingArtefact, QuantizedBase
from core.jobs.job import JobSpec
from core.models.folder import Model, read_model
from core.recipe.disk import merged_bytes
from core.steps import convert, inputs, prepare
from core.steps.step import check_space, engine_job
from core.workspace.paths import RunPaths


def plan(run: RunPaths) -> JobSpec:
    """The job that merges. Raises QuantizedBase, MissingArtefact, NoAdapter, InputsChanged, DiskFull.

    Folding an adapter into rounded weights rounds the sum once more: the base must be unquantized.
    """
    base = prepare.model_of(run)
    adapter = convert.read(run)
    refuse_quantized(base)
    recipe = prepare.recipe_of(run)
    inputs.refuse_other_model(run, recipe)
    check_space(run.root, merged_bytes(base))
    return engine_job("merge", base.folder, adapter, run.merged, convert.SHARD, recipe.template)


def refuse_quantized(base: Model) -> None:
    """Raises QuantizedBase for a base that nothing can be merged onto."""
    if base.quantization:
        raise QuantizedBase(model=base.folder, quantization=base.quantization)


def read(run: RunPaths) -> Model:
    """The merged model. Raises MissingArtefact, NotAModel."""
    if not run.merged.exists():
        raise MissingArtefact(what=run.merged.name, where=run.root, step="merge")
    return read_model(run.merged)
