"""The state of a job, computed from its files and the processes they name; stored nowhere."""

import socket
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from core.errors import NoSuchJob
from core.jobs.batch import SlurmBatch, read_batch
from core.jobs.done import done_at
from core.jobs.elsewhere import Word, beats, is_elsewhere, is_here, word_of
from core.jobs.ending import Reason
from core.jobs.job import JobPaths
from core.jobs.process import Identity, boot_id, is_alive, read_identity
from core.jobs.turn import is_kept_in_line
from core.workspace.files import read_record

# Between job.json and supervisor.json lies the start of one Python process; seconds.
START_TIMEOUT = 10.0


class State(StrEnum):
    """waiting: asked for, not started; lost: its processes are gone and left no word."""

    waiting = "waiting"
    running = "running"
    finished = "finished"
    failed = "failed"
    stopped = "stopped"
    lost = "lost"


LIVE = (State.waiting, State.running)
_BY_REASON: dict[str | None, State] = {Reason.finished: State.finished, Reason.stopped: State.stopped}


@dataclass(frozen=True)
class Status:
    """``code`` and ``signal`` ("SIGKILL") are the tool's, ``reason`` is one of
    :class:`~core.jobs.ending.Reason`; times are seconds since the epoch."""

    state: State
    code: int | None = None
    signal: str | None = None
    reason: str | None = None
    started: float | None = None
    ended: float | None = None

    @property
    def took(self) -> float | None:
        """Seconds from its start to its end, of a job that is finished; None of any other."""
        if self.state is not State.finished or not self.started or not self.ended:
            return None
        return self.ended - self.started


def read_status(folder: Path) -> Status:
    """What a job does now, or how it ended. Raises NoSuchJob.

    A job whose supervisor was killed runs as long as its tool does; when that ends, only the tool itself can
    have said that it did all it had to (core.jobs.done).
    """
    if (status := status_of(folder)) is None:
        raise NoSuchJob(folder=folder)
    return status


def status_of(folder: Path) -> Status | None:
    """The same of a folder in which there may be no job: None then. A job whose ``job.json`` somebody has
    deleted is one."""
    paths = JobPaths(folder)
    if not paths.holds_a_job:
        return None
    if batch := read_batch(folder):
        return _in_slurm(paths, batch)
    # The second look is for a job that ended while its processes were looked for.
    return _ended(paths) or _live(paths) or _ended(paths) or _lost(paths)


def _in_slurm(paths: JobPaths, batch: SlurmBatch) -> Status:
    """What a job of Slurm's does: what has ended for good is not asked for, nor what is seen here.

    One that Slurm took off its nodes may have said that it was stopped, which nobody had asked for: that one
    Slurm begins anew.
    """
    ended = _ended(paths)
    if ended and (not batch.submitted or ended.state is not State.stopped or paths.stop.exists()):
        return ended
    supervisor, tool = read_identity(paths.supervisor), read_identity(paths.tool)
    here = supervisor is not None and is_here(supervisor)
    if here and ended is None and (seen := _process_here(supervisor, tool)):
        return seen
    if here and not batch.submitted:
        return _ended(paths) or _lost(paths)
    word, reason = word_of(paths, batch)
    if word is Word.waiting:
        return Status(State.waiting)
    if word is Word.ended or (ended and word is Word.unknown):
        return _ended(paths) or _taken_away(paths, reason)
    return Status(State.running, started=tool.started) if tool else Status(State.waiting)


def _taken_away(paths: JobPaths, reason: Reason | None) -> Status:
    lost = _lost(paths)
    if lost.state is not State.lost:
        return lost
    if reason is Reason.stopped or paths.stop.exists():
        return replace(lost, state=State.stopped, reason=Reason.stopped)
    return replace(lost, reason=reason) if reason else lost


def state_of(folder: Path) -> State | None:
    """The state of the job in ``folder``; None where there is none."""
    status = status_of(folder)
    return status.state if status else None


def is_live(folder: Path) -> bool:
    """Whether there is a job in ``folder`` that waits or runs."""
    return state_of(folder) in LIVE


def went_down_with_the_machine(folder: Path) -> bool:
    """Whether a job has ended because this machine did: lost with it, or asked to end by a shutdown in order,
    as every program is. Not one that somebody had asked to stop; nor a command at a terminal, its own
    supervisor, which Ctrl-C stops the same way. Raises NoSuchJob."""
    paths, status = JobPaths(folder), read_status(folder)
    supervisor, tool = read_identity(paths.supervisor), read_identity(paths.tool)
    if paths.stop.exists() or supervisor is None or _why_lost(supervisor) is not Reason.restarted:
        return False
    asked_to_end = status.state is State.stopped and tool is not None and tool.pid != supervisor.pid
    return status.state is State.lost or asked_to_end


def _ended(paths: JobPaths) -> Status | None:
    if (found := read_record(paths.exit)) is None:
        return None
    end, reason = (
        value if isinstance(value := found.get(name), str) else None for name in ("signal", "reason")
    )
    started, ended = (_number(found.get(name)) for name in ("started", "ended"))
    code = found.get("code")
    code = code if isinstance(code, int) else None
    return Status(_BY_REASON.get(reason, State.failed), code, end, reason, started, ended)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def _live(paths: JobPaths) -> Status | None:
    supervisor, tool = read_identity(paths.supervisor), read_identity(paths.tool)
    if found := _process_here(supervisor, tool):
        return found
    if supervisor and is_elsewhere(supervisor) and beats(paths):
        return Status(State.running, started=tool.started) if tool else Status(State.waiting)
    if supervisor is None and _was_just_asked_for(paths):
        return Status(State.waiting)
    return None


def _was_just_asked_for(paths: JobPaths) -> bool:
    with suppress(FileNotFoundError):
        return abs(time.time() - paths.spec.stat().st_mtime) < START_TIMEOUT
    return False


def _process_here(supervisor: Identity | None, tool: Identity | None) -> Status | None:
    """What the processes of a job do, where they are this machine's."""
    if tool and is_alive(tool):
        return Status(State.running, started=tool.started)
    if supervisor and is_alive(supervisor):
        # The tool is being started, or it has just ended and exit.json is on its way.
        return Status(State.running, started=tool.started) if tool else Status(State.waiting)
    return None


def _lost(paths: JobPaths) -> Status:
    supervisor, tool = read_identity(paths.supervisor), read_identity(paths.tool)
    if (ended := done_at(paths.folder, tool)) and tool:
        return Status(State.finished, 0, None, Reason.finished, tool.started, ended)
    if tool is None and is_kept_in_line(paths.folder):
        return Status(State.waiting)
    return Status(State.lost, reason=_why_lost(supervisor), started=tool.started if tool else None)


def _why_lost(supervisor: Identity | None) -> Reason:
    if supervisor is None:
        return Reason.never_started
    if supervisor.boot == boot_id():
        return Reason.abandoned
    return Reason.restarted if supervisor.host == socket.gethostname() else Reason.elsewhere
