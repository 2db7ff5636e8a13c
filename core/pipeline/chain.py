"""The whole chain as one job: started from a page, watched through files, and independent of both.

The run's folder is made first, and the job in it is ``core tune --run RUN``: whoever looks into the folder
knows what was asked for, how far it is, and how to go on after it was stopped or lost.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from core.jobs.failure import why_failed
from core.jobs.grace import COMMAND_GRACE
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop
from core.jobs.status import LIVE, State, Status, read_status
from core.models.folder import read_model
from core.pace import COSTS, Clock
from core.pipeline.tune import NEEDED_BYTES, TuneRequest, chosen_model, recipe_asked_for, taught
from core.runs import CHAIN, DATA, rename
from core.steps import watch
from core.steps.step import call_job, check_space
from core.wording import say
from core.workspace.paths import RunPaths, Workspace


@dataclass(frozen=True)
class Stage:
    """One stage of the chain: its state (None before it began), how far it is (0 to 1) and a note.

    ``needless``: it was behind before this chain began.
    """

    name: str
    state: State | None
    share: float
    note: str
    needless: bool


@dataclass(frozen=True)
class ChainProgress:
    """The whole chain: its stages in order, how much is behind (0 to 1), the time left as ``m:ss``."""

    state: State
    stages: tuple[Stage, ...]
    share: float
    left: str

    @property
    def live(self) -> bool:
        return self.state in LIVE


def start(workspace: Workspace, request: TuneRequest, by: str, language: str) -> RunPaths:
    """Make the run and start its chain. Raises what is wrong with the request before anything is written, as
    :func:`core.pipeline.tune.make_data` does, and JobNotStarted."""
    run = _new_run(workspace, request)
    launch(run.job(CHAIN), plan(workspace, run, request, by, language))
    return run


def start_data(workspace: Workspace, request: TuneRequest, by: str, language: str) -> RunPaths:
    """Make the run and only its data, recipe and config. Raises as :func:`start` does."""
    run = _new_run(workspace, request)
    launch(run.job(DATA), plan(workspace, run, request, by, language, DATA))
    return run


def _new_run(workspace: Workspace, request: TuneRequest) -> RunPaths:
    said = taught(request)
    folder = chosen_model(workspace, request.model)
    if folder.exists():  # the starter may still have to be unpacked; it takes every recipe made for it
        recipe_asked_for(request, said, read_model(folder))
    workspace.prepare()
    check_space(workspace.root, NEEDED_BYTES)
    run = workspace.new_run(said.name, datetime.now())
    rename(run, said.name)
    return run


def plan(
    workspace: Workspace, run: RunPaths, request: TuneRequest, by: str, language: str, job: str = CHAIN
) -> JobSpec:
    """The job that makes ``request`` come true in ``run``; as its job ``data`` only up to its config."""
    command = "data" if job == DATA else "tune"
    spec = call_job(run.job(job), command, workspace.root, request, run.id)
    return replace(spec, asked_by=by, env={**spec.env, "TUNEBOARD_LANG": language})


def halt(run: RunPaths, by: str) -> None:
    """Stop the chain and the step it is at. Returns at once."""
    stop(run.job(CHAIN), by, COMMAND_GRACE)


def has_chain(run: RunPaths) -> bool:
    """Whether this run was started as a whole chain."""
    return JobPaths(run.job(CHAIN)).spec.exists()


def is_live(run: RunPaths) -> bool:
    """Whether the chain of ``run`` is at work; a run that was deleted is not."""
    return has_chain(run) and read_status(run.job(CHAIN)).state in LIVE


def read_progress(workspace: Workspace, run: RunPaths) -> ChainProgress:
    """How far the chain of ``run`` is, from the files of its steps. Raises NoSuchJob."""
    status = read_status(run.job(CHAIN))
    stages = tuple(_stages(workspace, run))
    began = time.monotonic() - (time.time() - status.started) if status.started else None
    clock = Clock(COSTS, began)
    for stage in stages:
        if stage.state is not None and not stage.needless:
            clock.stage(stage.name)
            clock.share = 1.0 if stage.state is State.finished else stage.share
    share = 1.0 if status.state is State.finished else clock.fraction
    return ChainProgress(status.state, stages, share, clock.left())


def failure(workspace: Workspace, run: RunPaths) -> str:
    """Why the chain ended without its result, in a sentence or two; empty when it did not fail."""
    chain = read_status(run.job(CHAIN))
    if not (own := why_failed(run.job(CHAIN), chain)):
        return ""
    for name in reversed(COSTS):
        found = _status(workspace, run, name)
        if found and not _earlier(found, chain) and (why := why_failed(_job(workspace, run, name), found)):
            return why.told(say(f"stage.{name}"))
    return own.text()  # it ended between its steps


def _stages(workspace: Workspace, run: RunPaths) -> Iterator[Stage]:
    for name in COSTS:
        status = _status(workspace, run, name)
        needless = status is None and _needless(workspace, run, name)
        state = status.state if status else State.finished if needless else None
        share, note = _share(run, name) if state in LIVE else (float(state is State.finished), "")
        yield Stage(name, state, share, note, needless)


def _needless(workspace: Workspace, run: RunPaths, stage: str) -> bool:
    """Whether a stage without a job is behind: an earlier run unpacked the starter or asked the base."""
    if stage == "starter":
        return workspace.starter.exists()
    return stage == "base" and run.versions.exists()


def _share(run: RunPaths, stage: str) -> tuple[float, str]:
    found = [(0.0, "")]
    if stage in {"base", "ask"}:
        watch.answered(run.job(stage), lambda share, note: found.append((share, note)))()
    elif stage == "train":
        watch.trained(run.work_dir, None, lambda share, note: found.append((share, note)))()
    return found[-1]


def _job(workspace: Workspace, run: RunPaths, step: str) -> Path:
    """A stage's job folder: the starter belongs to no run."""
    return workspace.starter_job if step == "starter" else run.job(step)


def _status(workspace: Workspace, run: RunPaths, step: str) -> Status | None:
    folder = _job(workspace, run, step)
    if not JobPaths(folder).spec.exists():
        return None
    status = read_status(folder)
    return None if step == "starter" and _earlier(status, read_status(run.job(CHAIN))) else status


def _earlier(status: Status, chain: Status) -> bool:
    """Whether a job had ended before the chain began."""
    return bool(status.ended and chain.started and status.ended < chain.started)
