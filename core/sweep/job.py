"""A sweep as one job: started on a page or at a terminal, stopped, going on, and what is to be seen of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import with_config

from core.errors import DamagedFile, NoSuchFile, TuneboardError
from core.jobs.again import count_resumed, resume_once_more
from core.jobs.ending import Reason
from core.jobs.failure import Failure, why_failed
from core.jobs.grace import COMMAND_GRACE
from core.jobs.here import in_this_process as job_of_this_process
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch
from core.jobs.launch import stop as stop_job
from core.jobs.status import LIVE, State, Status, status_of, went_down_with_the_machine
from core.pipeline.tune_request import USUAL_RESUMES
from core.steps.step import call_job
from core.sweep import conduct
from core.sweep.rank import best_of, in_order
from core.sweep.study import read_trials
from core.sweep.sweep import Sweep, read
from core.sweep.trial import SweepTrial
from core.workspace.files import ODD, read_record
from core.workspace.paths import RunPaths, SweepPaths, Workspace
from core.workspace.user import user_name

COMMAND = "sweep"


@with_config(extra="forbid")
@dataclass(frozen=True)
class SweepRequest:
    """Run the trials of the ``sweep`` called so, from wherever they are. After a crash it goes on by itself,
    at most ``auto_resume`` times."""

    sweep: str
    auto_resume: int = USUAL_RESUMES


@dataclass(frozen=True)
class SweepView:
    """A sweep as it stands: ``trials`` with the best first, the number of the ``best`` of them, the state of
    its job (None before it had one), and why that failed."""

    place: SweepPaths
    sweep: Sweep
    trials: Sequence[SweepTrial]
    best: int | None
    status: Status | None
    failure: Failure | None

    @property
    def live(self) -> bool:
        return self.status is not None and self.status.state in LIVE

    @property
    def ended(self) -> int:
        """How many trials have come to an end."""
        return sum(trial.state != "running" for trial in self.trials)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be tried."""
        return self.status is not None and self.status.state is State.finished


def plan(workspace: Workspace, place: SweepPaths, language: str) -> JobSpec:
    """The job that runs a sweep's trials."""
    spec = call_job(place.job, COMMAND, workspace.root, SweepRequest(place.id))
    return replace(spec, asked_by=user_name(), env={**spec.env, "TUNEBOARD_LANG": language})


def start(workspace: Workspace, place: SweepPaths, language: str) -> None:
    """Start a sweep, or let it go on, and return. Raises JobRunning, JobNotStarted."""
    launch(place.job, plan(workspace, place, language))


@contextmanager
def in_this_process(workspace: Workspace, place: SweepPaths, language: str) -> Iterator[None]:
    """Be the job of a sweep until the block ends: for a command at a terminal. Raises JobRunning,
    NotWritable, OSError."""
    with job_of_this_process(place.job, plan(workspace, place, language)):
        yield


def stop(place: SweepPaths, by: str) -> None:
    """Ask a sweep to stop, and with it the trials at work. Returns at once."""
    stop_job(place.job, by, COMMAND_GRACE + conduct.BEYOND)


def view(place: SweepPaths) -> SweepView:
    """A sweep as it stands now. Raises NoSuchFile, DamagedFile."""
    sweep, trials = read(place), read_trials(place)
    status = status_of(place.job)
    failure = why_failed(place.job, status) if status else None
    return SweepView(place, sweep, in_order(trials), best_of(trials), status, failure)


def views(workspace: Workspace) -> Iterator[SweepView]:
    """Every sweep that can be read, newest first."""
    for place in workspace.sweep_folders():
        with suppress(NoSuchFile, DamagedFile):
            yield view(place)


def of_run(workspace: Workspace, run: RunPaths) -> list[SweepView]:
    """The sweeps of which a run is the base or a trial, newest first."""
    about: dict[str, Any] = read_record(run.about) or {}
    mine = about.get("sweep")
    return [one for one in views(workspace) if one.sweep.base == run.id or one.place.id == mine]


def resume_lost(workspace: Workspace, language: str) -> list[SweepPaths]:
    """Let the sweeps go on that were lost with their processes or went down with this machine; not one that
    somebody had asked to stop. Returns them."""
    return [place for place in workspace.sweep_folders() if _resume_lost(workspace, place, language)]


def _resume_lost(workspace: Workspace, place: SweepPaths, language: str) -> bool:
    with suppress(TuneboardError, OSError, *ODD):
        folder = place.job
        if (status := status_of(folder)) is None or JobPaths(folder).stop.exists():
            return False
        if status.reason != Reason.abandoned and not went_down_with_the_machine(folder):
            return False
        if (times := resume_once_more(folder, USUAL_RESUMES)) is None:
            return False
        start(workspace, place, language)
        count_resumed(folder, times)
        return True
    return False
