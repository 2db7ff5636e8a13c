"""The whole chain as one job: started from a page, watched through files, and independent of both.

The run's folder is made first, and the job in it is ``core tune --run RUN``: whoever looks into the folder
knows what was asked for, how far it is (:mod:`core.pipeline.chain_stages`), and how to go on after it was
stopped or lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime

from core.errors import DamagedFile, NoSuchJob, TuneboardError
from core.jobs.again import count_resumed, resume_once_more
from core.jobs.batch import read_batch
from core.jobs.ending import Reason
from core.jobs.grace import COMMAND_GRACE, TOOL_GRACE
from core.jobs.here import in_this_process as job_of_this_process
from core.jobs.job import JobPaths, JobSpec, profile_of
from core.jobs.launch import launch, stop
from core.jobs.request import Call, of_record, read_request
from core.jobs.status import LIVE, State, state_of, status_of, went_down_with_the_machine
from core.jobs.status import is_live as job_is_live
from core.models.catalog import find
from core.models.folder import read_model, read_shape
from core.pipeline.tune import prepared
from core.pipeline.tune_request import (
    NEEDED_BYTES,
    TuneRequest,
    chosen_model,
    recipe_asked_for,
    taught,
    with_thoughts,
)
from core.queue.cards import computing
from core.recipe.disk import disk_use
from core.runs import CHAIN, COMMANDS, DATA, STEPS, introduce
from core.slurm.profile import Profile
from core.steps import dividing, download, prepare, proof, resuming
from core.steps.checkpoints import Trained
from core.steps.step import call_job, check_space
from core.wording import spoken_language
from core.workspace.files import ODD, read_object
from core.workspace.import_paths import ImportPaths, importing
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name


def start(
    workspace: Workspace, request: TuneRequest, by: str, language: str, profile: Profile | None = None
) -> RunPaths:
    """Make the run and start its chain: here, or as ``profile`` asks Slurm for it.

    Raises what is wrong with the request before anything is written, as
    :func:`core.pipeline.tune.make_data` does, and JobNotStarted.
    """
    # How many devices there are of a cluster's machine is not for this one to say.
    run = _new_run(workspace, replace(request, devices=None) if profile else request)
    spec = plan(workspace, run, request, by, language, profile=profile)
    launch(run.job(CHAIN), spec, secrets(workspace, request))
    return run


def go_on(
    workspace: Workspace,
    run: RunPaths,
    by: str,
    language: str,
    profile: Profile | None = None,
    auto_resume: int = 0,
    as_it_is: bool = False,
) -> None:
    """Start the chain of a run once more, which goes on from what is made; here, or in Slurm. After a crash
    it goes on by itself ``auto_resume`` times, 0: as often as it was asked to before. ``as_it_is``: without
    its training. Raises NoSuchJob where nobody knows what it was asked to be, JobRunning, JobNotStarted."""
    if (before := asked_before(run)) is None:
        raise NoSuchJob(folder=run.job(CHAIN))
    request = replace(before, as_it_is=as_it_is, auto_resume=auto_resume or before.auto_resume)
    rest = plan_rest(workspace, run, request, by, language, profile)
    launch(run.job(CHAIN), rest, secrets(workspace, request))


def plan_rest(
    workspace: Workspace, run: RunPaths, request: TuneRequest, by: str, language: str, profile: Profile | None
) -> JobSpec:
    """The job that goes on with a run from what is made, on as many machines as its ``profile`` asks for.
    Raises JobRunning, MissingArtefact."""
    if run.recipe.exists():
        dividing.put_there(run, profile, request.devices)
        if profile is None:
            dividing.put_here(run)
    return plan(workspace, run, request, by, language, profile=profile)


def makeable(run: RunPaths) -> Trained | None:
    """The checkpoint that an assistant can be made of though its training has not come to its end; None where
    that has, is at work or has kept nothing, and where it is made of it already. Raises DamagedFile."""
    if run.adopted.exists() or not prepared(run):
        return None
    if state_of(run.job("train")) in {None, State.finished, *LIVE}:
        return None
    last = resuming.resumable(run)
    return last if last and proof.missing(run) == "merge" else None


def start_data(workspace: Workspace, request: TuneRequest, by: str, language: str) -> RunPaths:
    """Make the run and only its data, recipe and config. Raises as :func:`start` does."""
    run = _new_run(workspace, request)
    spec = plan(workspace, run, request, by, language, DATA)
    launch(run.job(DATA), spec, secrets(workspace, request))
    return run


def secrets(workspace: Workspace, request: TuneRequest | None) -> dict[str, str]:
    """What the job of a request gets of the environment's secrets: what a download takes, where the model has
    to be fetched first, else none."""
    to_fetch = (
        request is not None and (place := listed_import(workspace, request)) and not place.model.exists()
    )
    return download.secrets() if to_fetch else {}


def listed_import(workspace: Workspace, request: TuneRequest) -> ImportPaths | None:
    """The import of the model that a request names by the list, begun or not; None for any other model."""
    listed = find(request.model)
    return importing(workspace, listed.title) if listed else None


def _on(profile: Profile | None, request: TuneRequest) -> TuneRequest:
    """A request where it is made: as its profile asks Slurm for it, or on this one machine."""
    return replace(request, nodes=profile.nodes if profile else 1, gpus=profile.gpus if profile else 0)


def _new_run(workspace: Workspace, request: TuneRequest) -> RunPaths:
    said = taught(request)
    folder = chosen_model(workspace, request.model)
    needed = NEEDED_BYTES
    if folder.exists():  # the starter may still have to be unpacked; it takes every recipe made for it
        model = read_model(folder)
        said = with_thoughts(said, request, model)
        recipe = recipe_asked_for(request, said, model)
        needed = max(needed, disk_use(recipe, model, read_shape(model), recipe.iterations).whole)
    elif listed := find(request.model):  # itself, and what is merged of it
        needed += 2 * listed.size
    workspace.prepare()
    check_space(workspace.root, needed)
    run = workspace.new_run(said.name, datetime.now())
    introduce(run, said.name)
    return run


def plan(
    workspace: Workspace,
    run: RunPaths,
    request: TuneRequest,
    by: str,
    language: str,
    job: str = CHAIN,
    profile: Profile | None = None,
) -> JobSpec:
    """The job that makes ``request`` come true in ``run``, here or as ``profile`` asks Slurm for it; as its
    job ``data`` only up to its config.

    Raises InvalidRecipe for a run whose recipe was made so by hand.
    """
    command = "data" if job == DATA else "tune"
    spec = call_job(run.job(job), command, workspace.root, _on(profile, request), run.id)
    if spec.devices and run.recipe.exists() and not run.adopted.exists():
        recipe = prepare.recipe_of(run)  # which may have been put on others since it was asked for
        spec = replace(spec, devices=computing(recipe.devices, cards=recipe.cards))
    env = {**spec.env, "TUNEBOARD_LANG": language}
    return replace(spec, asked_by=by, env=env, profile=profile)


@contextmanager
def in_this_process(workspace: Workspace, run: RunPaths, request: TuneRequest) -> Iterator[None]:
    """Be the chain of ``run`` until the block ends: for a command at a terminal. Raises JobRunning,
    NotWritable, OSError."""
    if not run.about.exists():
        introduce(run, request.name)
    given = replace(request, data=request.data and request.data.absolute(), restart=False)
    if request.model and (folder := chosen_model(workspace, request.model)).exists():
        given = replace(given, model=str(folder))
    with job_of_this_process(run.job(CHAIN), plan(workspace, run, given, user_name(), spoken_language())):
        yield


def asked_before(run: RunPaths) -> TuneRequest | None:
    """What ``run`` was asked to be, by whoever began it and wherever it was planned then; of one made step by
    step its name is known. None where nobody can say. Raises DamagedFile."""
    for job in (CHAIN, DATA):
        try:
            call = read_request(Call, run.job(job))
            return _on(None, replace(of_record(TuneRequest, call.asked), restart=False))
        except NoSuchJob:
            continue
        except ValueError as error:
            raise DamagedFile(path=JobPaths(run.job(job)).request) from error
    name = (read_object(run.data) or {}).get("name")
    return TuneRequest(str(name)) if name and prepared(run) else None


def resume_lost(workspace: Workspace, by: str, language: str) -> list[RunPaths]:
    """Let the chains go on that were asked to after a crash, and were lost with their processes or went down
    with this machine; not one that somebody had asked to stop by then. Returns their runs; one that cannot go
    on says so on its page."""
    return [
        run for run in map(RunPaths, workspace.run_folders()) if _resume_lost(workspace, run, by, language)
    ]


def _resume_lost(workspace: Workspace, run: RunPaths, by: str, language: str) -> bool:
    folder = run.job(CHAIN)
    with suppress(TuneboardError, OSError, *ODD):
        if (status := status_of(folder)) is None or JobPaths(folder).stop.exists():
            return False
        if status.reason != Reason.abandoned and not went_down_with_the_machine(folder):
            return False
        request = asked_before(run)
        if request is None or (times := resume_once_more(folder, request.auto_resume)) is None:
            return False
        profile, batch = profile_of(folder), read_batch(folder)
        if profile is None and batch and batch.submitted:
            return False  # how it was asked of Slurm nobody knows any more
        spec = plan(workspace, run, request, by, language, profile=profile)
        launch(folder, spec, secrets(workspace, request))
        count_resumed(folder, times)
        return True
    return False


def halt(run: RunPaths, by: str) -> None:
    """Stop what makes the run: its chain, or another command, and the step that it is at; or a step alone.
    Returns at once."""
    live = [job for job in (*COMMANDS, *STEPS) if job_is_live(run.job(job))]
    for job in live[:1]:
        stop(run.job(job), by, COMMAND_GRACE if job in COMMANDS else TOOL_GRACE)


def has_chain(run: RunPaths) -> bool:
    """Whether this run was started as a whole chain."""
    return JobPaths(run.job(CHAIN)).holds_a_job


def is_live(run: RunPaths) -> bool:
    """Whether the chain of ``run`` is at work; a run that was deleted is not."""
    return job_is_live(run.job(CHAIN))
