"""Models in: from a folder or a hub to a model of the workspace, and the list of those that are there."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import with_config

from core.errors import HubOutOfReach, ModelExists, TuneboardError
from core.jobs.job import JobSpec
from core.jobs.launch import idle
from core.jobs.status import is_live
from core.models.catalog import Entry
from core.models.folder import Model, read_model
from core.models.hubs import Hub, HubPlace, ModelSource, places
from core.pace import Progress
from core.recipe.own_template import spoken_by
from core.steps import download, import_model, watch
from core.steps.step import call_job, run_job
from core.wording import say, spoken_language
from core.workspace.files import held, read_json, read_record, write_json
from core.workspace.import_paths import ImportPaths, importing
from core.workspace.names import shown_name, unusable
from core.workspace.paths import Workspace, make_folder

# The job of a whole import, which starts the two steps' jobs; a page starts it.
IMPORT = "import"


@dataclass(frozen=True)
class Listed:
    """One model of the workspace. ``why`` says what keeps it from being trained; empty when nothing does.

    Counts are 0 and names empty where the folder cannot be read.
    """

    name: str
    folder: str
    architecture: str = ""
    parameters: int = 0
    size: int = 0
    layers: int = 0
    max_length: int = 0
    template: str = ""
    trainable: bool = False
    why: str = ""
    origin: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@with_config(extra="forbid")
@dataclass(frozen=True)
class ImportRequest:
    """A model to be taken in: ``name`` is what it is called here, None for its own; with ``copy`` the weights
    of a folder are copied, not linked. ``others``: where else the same model is to be had, in turn."""

    source: ModelSource
    name: str | None = None
    copy: bool = False
    others: tuple[ModelSource, ...] = ()

    @property
    def sources(self) -> tuple[ModelSource, ...]:
        return (self.source, *self.others)


def listed_request(entry: Entry, hub: Hub | None = None, name: str | None = None) -> ImportRequest:
    """A model of the list to be taken in, from ``hub`` if one is named, else from any that answers."""
    first, *others = entry.sources(spoken_language(), hub)
    return ImportRequest(first, name or entry.title, others=tuple(others))


def take_in(workspace: Workspace, request: ImportRequest, progress: Progress) -> dict[str, Any]:
    """Take a model in; what was downloaded before is not downloaded again, and a model that is there from
    the same source is left as it is. Returns what ``--json`` prints.

    Raises ModelExists, NotAModel, QuantizedBase, NoSuchSource, DownloadFailed, DiskFull, StepFailed,
    StepStopped.
    """
    workspace.prepare()
    paths = place_of(workspace, request)
    make_folder(paths.root, exist_ok=True)
    with held(paths.lock):
        if not _is_there(workspace, paths, request):
            _run(paths, request, progress)
    done = read_json(paths.origin) or {}
    return {**listed(paths.model).as_json(), "source": done["source"], "how": done["how"]}


def place_of(workspace: Workspace, request: ImportRequest) -> ImportPaths:
    """Where a model goes. Raises ModelExists when another one is there."""
    paths = importing(workspace, request.name or request.source.title)
    _is_there(workspace, paths, request)
    return paths


def plan(workspace: Workspace, request: ImportRequest) -> tuple[ImportPaths, JobSpec]:
    """The job that imports, as a page starts it. Raises ModelExists, NotWritable."""
    workspace.prepare()
    paths = place_of(workspace, request)
    return paths, call_job(paths.job(IMPORT), "models import", workspace.root, request)


def list_models(workspace: Workspace) -> list[Listed]:
    """Every model of the workspace, by name; one that cannot be read hides none of the others."""
    return [listed(folder) for folder in workspace.all_model_folders()]


def listed(folder: Path) -> Listed:
    """Describe a model's folder for a list."""
    why = unusable(folder)
    try:
        if not why:
            return _described(read_model(folder))
    except TuneboardError as error:
        why = str(error.values.get("reason") or error)
    name = shown_name(folder)
    return Listed(name, str(folder.with_name(name)), why=why)


def _described(model: Model) -> Listed:
    return Listed(
        name=model.folder.name,
        folder=str(model.folder),
        architecture=model.architecture,
        parameters=model.parameters,
        size=model.size,
        layers=model.layers,
        max_length=model.max_length,
        template=spoken_by(model),
        trainable=not model.quantization,
        why=say("model.quantized", quantization=model.quantization) if model.quantization else "",
        origin=model.origin,
    )


def far(paths: ImportPaths) -> tuple[float, str] | None:
    """How far the running step of an import is: a share and a note; None where that is not known."""
    found: list[tuple[float, str]] = []

    def note(share: float, text: str) -> None:
        found.append((share, text))

    download_job, import_job = paths.job(download.STEP), paths.job(import_model.STEP)
    if is_live(import_job):
        watch.converted(import_job, note)()
    elif is_live(download_job):
        watch.downloaded(download_job, paths.files, note)()
    return found[-1] if found else None


def discard(paths: ImportPaths) -> None:
    """Forget an import that did not end well, and what was downloaded for it. Raises JobRunning."""
    with idle(paths.job(IMPORT)):
        shutil.rmtree(paths.root, ignore_errors=True)


def _is_there(workspace: Workspace, paths: ImportPaths, request: ImportRequest) -> bool:
    """Whether this very model was imported before. Raises ModelExists."""
    if paths.model == workspace.starter:
        raise ModelExists(name=paths.model.name, folder=paths.model)
    if not paths.model.exists():
        return False
    if (read_record(paths.origin) or {}).get("source") in {str(source) for source in request.sources}:
        return True
    raise ModelExists(name=paths.model.name, folder=paths.model)


def _run(paths: ImportPaths, request: ImportRequest, progress: Progress) -> None:
    source, how = request.source, _how(request)
    folder, revision = Path(source.name), source.revision
    if source.hub:
        source = files_from(paths, places(request.sources), progress)
        folder, revision = download.read(paths)
    progress.stage(import_model.STEP)
    job = paths.job(import_model.STEP)
    run_job(
        import_model.STEP, job, import_model.plan(paths, folder, how), watch.converted(job, progress.update)
    )
    done = import_model.read(paths)
    write_json(paths.origin, {"source": str(source), "revision": revision, "how": done})
    shutil.rmtree(paths.files, ignore_errors=True)


def _how(request: ImportRequest) -> import_model.How:
    if request.source.hub:
        return "move"
    return "copy" if request.copy else "link"


def files_from(paths: ImportPaths, known: Sequence[HubPlace], progress: Progress) -> ModelSource:
    """Fetch the files from the first place that gives an answer. Raises HubOutOfReach where none does, and
    whatever else keeps the download from its end."""
    progress.stage(download.STEP)
    job = paths.job(download.STEP)
    poll = watch.downloaded(job, paths.files, progress.update)
    reasons: dict[str, str] = {}
    for number, place in enumerate(known, 1):
        spec = download.plan(paths, place, known[: number - 1], another_waits=number < len(known))
        try:
            run_job(download.STEP, job, spec, poll, secrets=download.secrets(place))
            return place.source
        except HubOutOfReach as error:
            reasons[str(place)] = reason = str(error.values["reason"])
            if number == len(known):
                raise HubOutOfReach(source=known[0].source, reason=_all_of(reasons)) from error
        progress.say("models.asks_another", source=place, reason=reason, following=known[number])
    raise AssertionError("no place was named")


def _all_of(reasons: dict[str, str]) -> str:
    """Why no place gave an answer, each with its name where there are several."""
    told = [f"{place}: {reason}" for place, reason in reasons.items()]
    return say("row.separator").join(told) if len(told) > 1 else next(iter(reasons.values()))
