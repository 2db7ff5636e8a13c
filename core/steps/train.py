"""Train: a recipe and rows become XTuner's checkpoints.

The command is XTuner's own training program on the config file that stands in the run's folder.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
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
    DamagedCheckpoint,
    DamagedFile,
    JobRunning,
    MissingArtefact,
    NoSuchFile,
    NoSuchJob,
    NotAModel,
    NoWholeCheckpoint,
    RecipeChanged,
    WorkspaceMoved,
)
from core.jobs.curves import time_folders
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch
from core.jobs.progress import job_progress
from core.jobs.request import as_record, read_record_of, read_request
from core.jobs.status import LIVE, State, is_live, state_of
from core.machine import Machine, this_machine
from core.models.folder import Model, read_model, read_shape
from core.proof.development import asked_meanwhile
from core.queue.cards import computing
from core.recipe.check import problems, settle
from core.recipe.disk import LOGS, disk_use
from core.recipe.length import first_saved, iterations_of
from core.recipe.own_template import OwnTemplate, Unspeakable, template_of
from core.recipe.ranks import DIVIDES, divided_alike, fitted, ranks_problems, with_ranks
from core.recipe.recipe import Problem, Recipe, from_bytes, from_yaml, invalid, parse, to_yaml
from core.recipe.thinking import thinking_of
from core.recipe.xtuner_config import Rendered, write_config
from core.slurm.nodes import over_nodes
from core.steps import inputs, ranks
from core.steps.checkpoints import NAMES, Trained, checkpoints, is_whole, whole, written_by
from core.steps.step import check_space, engine_job
from core.wording import say
from core.workspace.files import (
    Stamp,
    folder_bytes,
    read_object,
    read_record,
    stamp,
    write_json,
    write_text,
)
from core.workspace.paths import RunPaths, Workspace, make_folder

PACKAGES = ("xtuner", "mmengine", "torch", "transformers", "peft", "bitsandbytes", "deepspeed", "datasets")
# Missed by nobody who does not ask for them.
OPTIONAL = ("unsloth",)
SAVED_AT = re.compile(r"iter_(\d+)\.pth$")
# DeepSpeed's settings on a processor: in float32, with torch's optimizer.
ON_A_PROCESSOR = {
    **dict.fromkeys(
        ("gradient_accumulation_steps", "train_micro_batch_size_per_gpu", "gradient_clipping"), "auto"
    ),
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
}
# How many states of recipe files are remembered.
REMEMBERED = 256

# Settings of which the weights know nothing: with others, training goes on as it was.
LEAVES_WEIGHTS_ALONE = {
    "template_reason",
    "save_every",
    "keep_checkpoints",
    "checkpoint",
    "evaluate_every",
    "evaluation_questions",
    "evaluation_tokens",
    "log_every",
    "dataloader_workers",
    "cards",
}


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


def put_on(run: RunPaths, devices: int, anew: bool = False) -> None:
    """From its next start on this run trains on so many devices of each machine, an update as before;
    ``anew``: that start is from the beginning.

    Raises JobRunning, InvalidRecipe, MissingArtefact.
    """
    recipe = recipe_of(run)
    if recipe.devices == devices:
        return
    divided = with_ranks(recipe, devices, recipe.nodes)
    if found := list(ranks_problems(divided, this_machine())):
        raise invalid(found)
    _divide(run, divided, anew)


def put_there(run: RunPaths, devices: int, nodes: int) -> None:
    """The same of so many machines, of which this one need not be any; 0 devices: as many as it has. Raises
    as :func:`put_on` does."""
    recipe = recipe_of(run)
    devices = devices or recipe.devices
    if (recipe.devices, recipe.nodes) != (devices, nodes):
        _divide(run, with_ranks(recipe, devices, nodes))


def put_here(run: RunPaths, anew: bool = False) -> "FewerDevices | None":
    """Let a run that was made where there are more GPUs, or others, train on those of this machine from its
    next start on, an update as before; one that is trained stays as it was, unless it is trained ``anew``.
    Returns how many there were; None where nothing changed.

    Raises InvalidRecipe where there is none at all, or where DeepSpeed's checkpoint needs as many as wrote
    it; JobRunning, MissingArtefact.
    """
    if run.adopted.exists() or (_is_trained(run) and not anew):
        return None
    recipe, machine = recipe_of(run), this_machine()
    if recipe.device == "cuda" and not machine.gpus:
        raise invalid([Problem("device", "no_gpu", {"value": "cuda"})])
    if (now := fitted(recipe, machine)) == recipe:
        return None
    _divide(run, now, anew)
    return _fewer(recipe, now)


@dataclass(frozen=True)
class FewerDevices:
    """A run was on so many devices ``before``, and this machine has as many as it is on ``now``."""

    before: int
    now: int


def fewer_here(run: RunPaths) -> FewerDevices | None:
    """What :func:`put_here` would return, of a run that has a recipe."""
    if not run.recipe.exists() or _is_trained(run):
        return None
    recipe = recipe_of(run).changed(nodes=1)
    return _fewer(recipe, fitted(recipe, this_machine()))


def _fewer(before: Recipe, now: Recipe) -> FewerDevices | None:
    return FewerDevices(before.devices, now.devices) if before.devices != now.devices else None


def _is_trained(run: RunPaths) -> bool:
    return state_of(run.job("train")) is State.finished


def _divide(run: RunPaths, recipe: Recipe, anew: bool = False) -> None:
    if is_live(run.job("train")):
        raise JobRunning(folder=run.job("train"))
    if not anew and (there := _written_by_others(run, recipe)):
        raise invalid([Problem("devices", "deepspeed_ranks", {"there": there, "ranks": recipe.ranks})])
    write_text(run.recipe, to_yaml(recipe))


def _written_by_others(run: RunPaths, recipe: Recipe) -> int | None:
    """By how many processes the checkpoint to go on from was written, where DeepSpeed wrote it and ``recipe``
    has another number of them."""
    last = resumable(run)
    there = written_by(last.checkpoint) if last else None
    return there if there != recipe.ranks else None


def _of_other_inputs(before: str, now: Recipe) -> bool:
    """Whether somebody has written another model or other rows into the recipe: it is prepared with those."""
    was = from_bytes(before.encode(), "recipe.yaml")
    return (was.model, was.data) != (now.model, now.data)


def _lags_behind(run: RunPaths, recipe: Recipe) -> bool:
    """Whether the config was written of another recipe than the run's now. Raises BothEdited."""
    before = _written(run)
    if before is None or not (changes := _differing(before.recipe, recipe)):
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
        return _trained_as(run)


def _trained_as(run: RunPaths) -> TrainRequest | None:
    with suppress(NoSuchJob, DamagedFile):
        return read_request(TrainRequest, run.job("train"))
    return None


def _differing(before: str, now: Recipe) -> list[str]:
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
    request = as_record(_request(run, recipe, resume))
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


def refuse_damaged(run: RunPaths, taken: Trained) -> None:
    """Before it is taken. Raises DamagedCheckpoint."""
    if not is_whole(taken.checkpoint, sure=True):
        there = say("row.list").join(str(one.iteration) for one in whole(run.work_dir)) or "–"
        raise DamagedCheckpoint(run=run.id, iteration=taken.iteration, path=taken.checkpoint, there=there)


def _abandon(run: RunPaths) -> None:
    for old in checkpoints(run.work_dir):
        if old.checkpoint.is_dir():
            shutil.rmtree(old.checkpoint)
        else:
            old.checkpoint.unlink()
    for folder in time_folders(run.work_dir):
        make_folder(run.abandoned, exist_ok=True)
        folder.rename(run.abandoned / f"{folder.name}-{secrets.token_hex(2)}")


def going_on(run: RunPaths) -> Trained | None:
    """The checkpoint that training goes on from; None where there is no whole one. Raises RecipeChanged."""
    last = resumable(run)
    if last is not None:
        refuse_changed(run, last)
    return last


def refuse_changed(run: RunPaths, resume: Trained) -> None:
    """Raises RecipeChanged when ``resume`` was trained with other settings, rows or config than the run's
    now. What an earlier version trained has no record of them, and passes."""
    if changes := changes_since(run):
        raise RecipeChanged(
            iteration=resume.iteration,
            changes="\n".join(changes),
            run=run.id,
        )


def changes_since(run: RunPaths) -> list[str]:
    """What has changed since the run was last trained, and would make another model; a line each."""
    before, recipe = _trained_as(run), recipe_of(run)
    if before is None:
        return []
    now, differing = _request(run, recipe), _differing(before.recipe, recipe)
    alone = LEAVES_WEIGHTS_ALONE
    if divided_alike(from_bytes(before.recipe.encode(), "recipe.yaml"), recipe):
        alone = alone.union(DIVIDES)
    found = [line for line in differing if line.split()[1].rstrip(":") not in alone]
    if there := _written_by_others(run, recipe):
        found.append(f"  - {say('problem.deepspeed_ranks', there=there, ranks=recipe.ranks)}")
    if before.rows != now.rows:
        found.append(f"  - {say('train.changed.rows')}")
    if before.model and now.model and before.model != now.model:
        found.append(f"  - {say('train.changed.model')}")
    # Of the same settings: somebody wrote into the config itself.
    if not differing and before.config != now.config:
        found.append(f"  - {say('train.changed.config')}")
    return found


def _request(run: RunPaths, recipe: Recipe, resume: Path | None = None) -> TrainRequest:
    rows = str((read_object(run.data) or {}).get("sha256", ""))
    return TrainRequest(to_yaml(recipe), _hash(run.config), rows, resume, inputs.model_kept(run))


def refuse_mismatch(run: RunPaths) -> None:
    """Raises InvalidRecipe when what is trained is not what a server of the model will write, and the recipe
    does not say why."""
    if found := parity.problems(recipe_of(run), model_of(run)):
        raise invalid(found)


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


def resumable(run: RunPaths) -> Trained | None:
    """The last checkpoint that is whole; None when training must begin anew."""
    return next((found for found in reversed(checkpoints(run.work_dir)) if is_whole(found.checkpoint)), None)


def goes_on_from(run: RunPaths) -> int:
    """The iteration that the run's training was started from, where it is at work or done, else the one that
    it would go on from; 0 for the beginning."""
    job = run.job("train")
    if state_of(job) not in {*LIVE, State.finished}:
        last = resumable(run)
        return last.iteration if last else 0
    resume = (read_record(JobPaths(job).request) or {}).get("resume")
    named = SAVED_AT.search(str(resume or ""))  # the file itself may be deleted by now
    return int(named[1]) if named else 0


@dataclass(frozen=True)
class PassedOver:
    """Later checkpoints than the one of this ``iteration`` are damaged; ``names`` of their files."""

    iteration: int
    names: str


def passed_over(run: RunPaths) -> PassedOver | None:
    """Where the last whole checkpoint is not the last; None as well where none is whole."""
    last = resumable(run)
    later = [one for one in checkpoints(run.work_dir) if last and one.iteration > last.iteration]
    if last is None or not later:
        return None
    return PassedOver(last.iteration, say("row.list").join(one.checkpoint.name for one in later))


@dataclass(frozen=True)
class StoppedTraining:
    """A training that somebody stopped: ``at`` which of its ``total`` iterations, None where it did not say,
    and the one up to which it is ``kept``, 0 for none."""

    at: int | None
    total: int | None
    kept: int

    @property
    def key(self) -> str:
        """The sentence in ``locales/`` that says so, which takes the fields."""
        if self.at is None or not self.total:
            return f"train.stopped.{'before' if self.kept else 'nothing'}"
        if self.kept >= self.at:
            return f"train.stopped.{'whole' if self.kept else 'nothing'}"
        return f"train.stopped.{'partly' if self.kept else 'lost'}"


def stopped(run: RunPaths) -> StoppedTraining | None:
    """What is kept of the run's training, where it was stopped last; None where it was not."""
    job, last = run.job("train"), resumable(run)
    if state_of(job) is not State.stopped:
        return None
    now = job_progress(job)
    at, total = (now.done, now.total) if now else (None, None)
    return StoppedTraining(at, total, last.iteration if last else 0)


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
