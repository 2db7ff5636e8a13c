"""Prepare: what a run is trained by. Recipe, XTuner's config and versions are written into its folder, and
read there by every other step."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from pydantic import with_config

from core.data import parity
from core.data.conversations import read_rows
from core.data.own_encoder import OwnEncoder, write_token_rows
from core.errors import (
    AdoptedRun,
    BothEdited,
    DamagedFile,
    MissingArtefact,
    NoSuchFile,
    NoSuchJob,
    NotAModel,
    WorkspaceMoved,
)
from core.jobs.request import as_record, read_record_of, read_request
from core.machine import Machine, this_machine
from core.models.folder import Model, read_model, read_shape
from core.proof.development import asked_meanwhile
from core.recipe.check import problems, settle
from core.recipe.disk import LOGS, disk_use
from core.recipe.length import first_saved, iterations_of
from core.recipe.own_template import OwnTemplate, Unspeakable, template_of
from core.recipe.recipe import Recipe, from_bytes, from_yaml, invalid, parse, to_yaml
from core.recipe.thinking import thinking_of
from core.recipe.xtuner_config import Rendered, write_config
from core.steps import inputs
from core.steps.checkpoints import checkpoints
from core.steps.step import check_space
from core.wording import say
from core.workspace.files import Stamp, folder_bytes, read_object, stamp, write_json, write_text
from core.workspace.paths import RunPaths, Workspace

PACKAGES = ("xtuner", "mmengine", "torch", "transformers", "peft", "bitsandbytes", "deepspeed", "datasets")
# Missed by nobody who does not ask for them.
OPTIONAL = ("unsloth",)
# How many states of recipe files are remembered.
REMEMBERED = 256


@with_config(extra="forbid")
@dataclass(frozen=True)
class TrainRequest:
    """What a training was started with: its recipe as YAML, SHA-256 of its config, its rows and its base
    model's files, and the checkpoint it went on from. Kept with the job, so that nothing else is trained on
    in its place."""

    recipe: str
    config: str
    rows: str
    resume: Path | None = None
    model: Mapping[str, str] = field(default_factory=dict)


@with_config(extra="forbid")
@dataclass(frozen=True)
class Written:
    """The recipe as YAML and the SHA-256 of the config, as this program wrote them last: what somebody wrote
    into either by hand differs from it."""

    recipe: str
    config: str


def prepare(
    run: RunPaths, recipe: Recipe, model: Model, rows: Path, machine: Machine | None = None
) -> Recipe:
    """Check the recipe and write recipe.yaml, config.py and versions.json into the run's folder; for
    ``machine``, by default this one.

    Returns the settled recipe. Raises InvalidRecipe (all problems at once), DiskFull.
    """
    machine = machine or this_machine()
    if found := problems(recipe, machine, model):
        raise invalid(found)
    settled = settle(recipe, machine, model, _tokens(run, recipe))
    settled = settled.changed(model=str(model.folder), data=str(rows))
    settled = parse(asdict(settled))  # 16 and 16.0 are one number: the same recipe is always the same config
    if found := parity.problems(settled, model):
        raise invalid(found)
    check_space(run.root, space_for(run, settled, model))
    write_text(run.recipe, to_yaml(settled))
    write_text(run.config, _config_of(run, settled))
    _write_learning(run, settled)
    write_json(run.versions, versions())
    inputs.keep_inputs(run, settled)
    _keep_written(run, settled)
    return settled


def _config_of(run: RunPaths, recipe: Recipe) -> str:
    data, model = Path(recipe.data), Path(recipe.model)
    rendered = _rendered(run, recipe)
    return write_config(recipe, data, model, run.work_dir, iterations(run, recipe), rendered)


def _write_learning(run: RunPaths, recipe: Recipe) -> None:
    """What a training that stops when it has learned is asked meanwhile."""
    run.learning.unlink(missing_ok=True)
    name = (read_object(run.data) or {}).get("name")
    if not (recipe.stop_when_learned and name):
        return
    thinking = thinking_of(template_of(recipe.template, Path(recipe.model)))
    asked = asked_meanwhile(list(read_rows(Path(recipe.data))), thinking)
    spoken = {"model": recipe.model, "template": recipe.template, "system": recipe.system}
    write_json(run.learning, {"name": name, **spoken, "questions": [asdict(ask) for ask in asked]})


def _rendered(run: RunPaths, recipe: Recipe) -> Rendered | None:
    """What XTuner's config reads where the template is the model's own: its rows are written here.

    Raises NotAModel.
    """
    model = Path(recipe.model)
    template = template_of(recipe.template, model)
    if not isinstance(template, OwnTemplate):
        return None
    encoder = OwnEncoder.of(model / "tokenizer.json", template)
    try:
        write_token_rows(run.token_rows, encoder, read_rows(Path(recipe.data)), recipe.max_length)
        prompts = tuple(encoder.question(text, recipe.system) for text in recipe.evaluation_questions)
    except Unspeakable as error:
        raise NotAModel(folder=model, reason=say("template.cannot", detail=str(error))) from error
    return Rendered(run.token_rows, prompts, template.stop_words)


def _keep_written(run: RunPaths, recipe: Recipe) -> None:
    write_json(run.written, as_record(Written(to_yaml(recipe), _hash(run.config))))


def in_line(run: RunPaths) -> Recipe:
    """The recipe that a training of this run follows; its config says the same when this returns.

    Of a recipe.yaml edited by hand a new config.py is made, of one that was deleted as well; a config.py
    edited by hand is trained as it stands. Raises BothEdited, AdoptedRun, MissingArtefact, InputsChanged, and
    what :func:`prepare` raises.
    """
    recipe = recipe_of(run)
    if run.adopted.exists():
        raise AdoptedRun(run=run.id, folder=run.work_dir.resolve())
    refuse_moved(run, recipe)
    before = _written(run)
    if before is None or not _of_other_inputs(before.recipe, recipe):
        inputs.refuse_other_inputs(run, recipe)
    if run.config.exists() and not _lags_behind(run, recipe):
        return recipe
    return prepare(run, recipe, model_of(run), Path(recipe.data))


def prepare_anew(run: RunPaths, recipe: Recipe, machine: Machine) -> Recipe:
    """Prepare a run once more, by a ``recipe`` that was changed, for ``machine``. Raises BothEdited where its
    config was edited by hand, and what :func:`prepare` raises."""
    _lags_behind(run, recipe)
    return prepare(run, recipe, model_of(run), Path(recipe.data), machine)


def _of_other_inputs(before: str, now: Recipe) -> bool:
    """Whether somebody has written another model or other rows into the recipe: it is prepared with those."""
    was = from_bytes(before.encode(), "recipe.yaml")
    return (was.model, was.data) != (now.model, now.data)


def _lags_behind(run: RunPaths, recipe: Recipe) -> bool:
    """Whether the config was written of another recipe than the run's now. Raises BothEdited."""
    before = _written(run)
    if before is None or not (changes := differing_settings(before.recipe, recipe)):
        return False
    if _hash(run.config) != before.config:
        raise BothEdited(run=run.id, folder=run.root, changes="\n".join(changes))
    return True


def _written(run: RunPaths) -> "Written | TrainRequest | None":
    """What recipe and config were when this program last wrote them; of a run that an earlier version made,
    when it was last trained. None where nobody knows."""
    try:
        return read_record_of(Written, run.written)
    except (NoSuchFile, DamagedFile):
        return trained_as(run)


def trained_as(run: RunPaths) -> TrainRequest | None:
    """What the run's last training was started with; None where there was none, or nobody can say."""
    with suppress(NoSuchJob, DamagedFile):
        return read_request(TrainRequest, run.job("train"))
    return None


def differing_settings(before: str, now: Recipe) -> list[str]:
    """The settings that differ, a line each."""
    old, new = asdict(from_bytes(before.encode(), "recipe.yaml")), asdict(now)
    return [f"  - {name}: {old[name]} → {new[name]}" for name in old if old[name] != new[name]]


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def iterations(run: RunPaths, recipe: Recipe) -> int | None:
    """How many a training by this recipe has; None for epochs over rows of which nothing is known."""
    about = read_object(run.data) or {}
    return iterations_of(recipe, about) if about.get("rows") else recipe.iterations


def first_checkpoint(run: RunPaths, recipe: Recipe) -> int:
    """The iteration at which the run's training writes its first checkpoint."""
    return first_saved(recipe, iterations(run, recipe))


def space_for(run: RunPaths, recipe: Recipe, model: Model) -> int:
    """Bytes that must be free to train: for its checkpoints, less those that are there already."""
    use = disk_use(recipe, model, read_shape(model), iterations(run, recipe))
    there = sum(_size(found.checkpoint) for found in checkpoints(run.work_dir))
    return max(LOGS, use.training - there)


def _size(checkpoint: Path) -> int:
    """In bytes; none of one that a training deleted meanwhile."""
    try:
        return folder_bytes(checkpoint) if checkpoint.is_dir() else checkpoint.stat().st_size
    except FileNotFoundError:
        return 0


def settle_for(run: RunPaths, recipe: Recipe, model: Model) -> Recipe:
    """``recipe`` with every "auto" replaced by what it means on this machine for this run's rows."""
    return settle(recipe, this_machine(), model, _tokens(run, recipe))


def _tokens(run: RunPaths, recipe: Recipe) -> int | None:
    """How many the whole run reads, by the run's data.json; None before there is one."""
    about = read_object(run.data) or {}
    if not about.get("rows"):
        return None
    rows = (recipe.iterations or 0) * recipe.rows_at_once or (recipe.epochs or 1) * about["rows"]
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


def request_of(run: RunPaths, recipe: Recipe, resume: Path | None = None) -> TrainRequest:
    """What a training of the run as it is now is started with, from its checkpoint ``resume``."""
    rows = str((read_object(run.data) or {}).get("sha256", ""))
    return TrainRequest(to_yaml(recipe), _hash(run.config), rows, resume, inputs.model_kept(run))


def recipe_of(run: RunPaths) -> Recipe:
    """The recipe a run was prepared with; each state of its file is read once, which takes some milliseconds
    that a page would need for every part of it. Raises MissingArtefact, InvalidRecipe."""
    if not (state := stamp(run.recipe)):
        raise MissingArtefact(what=run.recipe.name, where=run.root, step="data")
    return _recipe_in(state)


@lru_cache(maxsize=REMEMBERED)
def _recipe_in(state: Stamp) -> Recipe:
    return from_yaml(Path(state[0][0]))


def model_of(run: RunPaths) -> Model:
    """The base model of a run. Raises NoSuchModel when it was moved away, alone or with the workspace."""
    recipe = recipe_of(run)
    refuse_moved(run, recipe)
    return read_model(Path(recipe.model))


def refuse_moved(run: RunPaths, recipe: Recipe) -> None:
    """Raises WorkspaceMoved where a recipe, which holds whole paths, leads to where the workspace was."""
    rows, model = Path(recipe.data), Path(recipe.model)
    before, now = rows.parents[2:3], run.workspace.root
    if before and not rows.exists() and (now / rows.relative_to(*before)).exists():
        raise WorkspaceMoved(model=model if not model.exists() else rows, before=before[0], now=now)


def variant(workspace: Workspace, run: RunPaths, now: datetime, changed: Recipe | None = None) -> RunPaths:
    """A new run on the same rows with the same recipe, to be changed, or with one that was ``changed``: what
    was trained keeps its own.

    Raises MissingArtefact, NoSuchModel, NotWritable, DiskFull, InvalidRecipe.
    """
    about = read_object(run.data)
    if about is None:
        raise MissingArtefact(what=run.data.name, where=run.root, step="data")
    new = workspace.new_run(about["name"], now)
    vary(new, run, changed or recipe_of(run))
    return new


def vary(new: RunPaths, run: RunPaths, recipe: Recipe, machine: Machine | None = None) -> None:
    """Make ``new``, a run's folder, a run on the rows of another one, by ``recipe``, for ``machine``, by
    default this one. Raises as :func:`variant` does."""
    about, model = read_object(run.data), model_of(run)
    if about is None:
        raise MissingArtefact(what=run.data.name, where=run.root, step="data")
    write_json(new.data, about)
    prepare(new, recipe, model, Path(recipe.data), machine)
