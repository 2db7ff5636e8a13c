"""What a chain is asked for, and what that comes to: its conversations, its base model, its recipe."""

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import with_config

from core.data.identity import IdentityLanguage
from core.data.opening import Reading
from core.errors import NoSuchModel
from core.machine import this_machine
from core.model_store.importing import listed_request, take_in
from core.models.catalog import find
from core.models.folder import Model, find_model, read_model, read_shape, starter_gguf
from core.pace import Progress
from core.recipe.own_template import spoken_by, template_of
from core.recipe.ranks import ranks_problems, with_ranks
from core.recipe.recipe import Checkpoint, Method, Recipe, invalid
from core.recipe.thinking import thinking_of
from core.steps import first_recipe, fit, merge
from core.steps.first_recipe import Spoken
from core.steps.step import check_space, engine_job, run_job
from core.steps.taught import Taught, to_teach
from core.steps.watch import worked
from core.workspace.files import held
from core.workspace.paths import Workspace, make_folder

# The starter (540 MB), a merged copy of it (270 MB), checkpoints and rows.
NEEDED_BYTES = 1_200_000_000
# How often a chain may go on by itself after a crash; and how often where a person only says that it is to.
MOST_RESUMES, USUAL_RESUMES = 100, 3


@with_config(extra="forbid")
@dataclass(frozen=True)
class TuneRequest:
    """What is asked for: whose assistant, from which data, on which model. With ``restart`` a run that was
    trained before is trained from the beginning; with ``leave_out_broken`` rows of the data that cannot be
    trained are left out and listed. ``max_length`` None follows the data. Without ``identity`` the data is
    taught alone; with it, whose the assistant is is taught beside data that does not say so itself.
    ``document``: whether a text is read as a document of which questions are made, None as it looks.
    With ``as_it_is`` a training that ended early is not gone on with: the model is made of what it has kept.
    After a crash it goes on by itself, at most ``auto_resume`` times. ``devices``: so many of each machine
    train it, as somebody said; None where nobody has. ``nodes``, and ``gpus`` of each, are what the Slurm
    profile asks for by which it is planned."""

    name: str
    data: Path | None = None
    model: str | None = None
    replay: bool = True
    seed: int = 42
    iterations: int | None = None
    system: str = ""
    language: IdentityLanguage | None = None
    template: str = "auto"
    template_reason: str = ""
    reading: Reading = Reading()
    restart: bool = False
    as_it_is: bool = False
    leave_out_broken: bool = False
    max_length: int | None = None
    method: Method = "lora"
    checkpoint: Checkpoint = "last"
    identity: bool = True
    document: bool | None = None
    auto_resume: int = 0
    devices: int | None = None
    nodes: int = 1
    gpus: int = 0

    @property
    def devices_each(self) -> int:
        """How many devices of each machine train it: as many as were said, else all that are asked for."""
        return self.devices or self.gpus or 1


def taught(request: TuneRequest) -> Taught:
    """What a request teaches. Raises as :func:`core.steps.taught.to_teach` does."""
    asked = (request.name, request.data, request.language, request.reading, request.leave_out_broken)
    return to_teach(*asked, request.identity, request.document)


def with_thoughts(said: Taught, request: TuneRequest, model: Model) -> Taught:
    """What a request teaches a model that can think before it answers: with the thoughts in its data, unless
    somebody has said whether they are kept. Raises as :func:`taught` does, and NotAModel."""
    left_out = said.accounts.found.counts["thinking_left_out"]
    if request.reading.thoughts is None and left_out and keeps_thoughts(model, request.template):
        return taught(replace(request, reading=replace(request.reading, thoughts=True)))
    return said


def keeps_thoughts(model: Model, template: str) -> bool:
    """Whether a model is trained with the thoughts in its data when nobody says anything: its chat template
    has a place for them. Raises NotAModel."""
    name = spoken_by(model) if template == "auto" else template
    found = thinking_of(template_of(name, model.folder))
    return found.thinks or bool(found.switch)


def recipe_asked_for(request: TuneRequest, said: Taught, model: Model) -> Recipe:
    """The recipe that a request comes to on this machine: what would not fit its memory is quantized, read in
    smaller batches or computed again, and stays as it is where nothing helps. Raises InvalidRecipe."""
    spoken = Spoken(request.system, request.template, request.template_reason)
    asked = (request.seed, request.iterations, spoken, request.max_length)
    recipe = first_recipe.recipe_for(model, said, request.replay, *asked, request.method)
    longest = max(first_recipe.taught_lengths(said, recipe, model).longest, fit.LONGEST_ROW)
    recipe = recipe.changed(checkpoint=request.checkpoint)
    found = fit.fitting(recipe, model, read_shape(model), longest)
    recipe = with_ranks(found.recipe if found else recipe, request.devices_each, request.nodes)
    if wrong := list(ranks_problems(recipe, this_machine())):
        raise invalid(wrong)
    return recipe


def chosen_model(workspace: Workspace, given: str | None) -> Path:
    """The folder of the base model that was asked for; that of the starter, or of a model of the list, need
    not be there yet.

    A quantized one is refused here, before hours of training, and not when it is merged. Raises NoSuchModel,
    NotAModel, QuantizedBase.
    """
    try:
        folder = find_model(workspace, given)
    except NoSuchModel:
        if (listed := find(given)) is None:
            raise
        return workspace.model(listed.title)
    if folder != workspace.starter:
        merge.refuse_quantized(read_model(folder))
    return folder


def ready_model(workspace: Workspace, given: str | None, progress: Progress) -> Model:
    """The base model that was asked for; the starter is made where it is not there yet, and a model of the
    list is fetched.

    Raises NoSuchModel, NotAModel, QuantizedBase, NotWritable, DiskFull, DownloadFailed.
    """
    folder = chosen_model(workspace, given)
    workspace.prepare()
    check_space(workspace.root, NEEDED_BYTES)
    if folder == workspace.starter:
        make_starter(workspace, progress)
    elif not folder.exists() and (listed := find(given)):
        take_in(workspace, listed_request(listed), progress)
    return read_model(folder)


def ready_tokenizer(workspace: Workspace, given: str | None, progress: Progress) -> None:
    """Make the starter where it is asked for and not there yet. Raises NoSuchModel, NotWritable, DiskFull."""
    if find_model(workspace, given) == workspace.starter and not workspace.starter.exists():
        ready_model(workspace, given, progress)


def make_starter(workspace: Workspace, progress: Progress) -> None:
    """Convert the shipped starter once; of two runs at a time the second waits for the first."""
    make_folder(workspace.models, exist_ok=True)
    with held(workspace.starter_lock):
        if not workspace.starter.exists():
            progress.stage("starter")
            job = engine_job("starter", starter_gguf(), workspace.starter)
            update = worked(workspace.starter_job, progress.update)
            run_job("starter", workspace.starter_job, job, update)
