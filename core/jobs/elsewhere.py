"""What a job on another machine does, of which nothing is seen here but its folder.

Slurm's word counts where a job is one of Slurm's. Without it, and for any other machine that shares the
folder, there is the supervisor's heartbeat: it touches ``supervisor.json`` every few seconds. Both clocks are
taken to agree within half of what a silence may last.
"""

import socket
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import NoSlurm, SlurmFailed
from core.jobs.batch import SlurmBatch, own, read_batch
from core.jobs.ending import Reason
from core.jobs.job import JobPaths
from core.jobs.process import Identity, boot_id
from core.slurm.queue import QUEUE, SlurmEntry, SlurmPhase

# Seconds between two heartbeats, and without one after which a supervisor is taken for dead: a folder on a
# network shows what another machine wrote up to a minute late (NFS, acregmax).
BEAT, SILENCE = 10.0, 120.0
# What was just submitted may not be in Slurm's answer yet; seconds.
SUBMITTED = 30.0

_REASONS = {
    "CANCELLED": Reason.stopped,
    "TIMEOUT": Reason.time_limit,
    "DEADLINE": Reason.time_limit,
    "OUT_OF_MEMORY": Reason.out_of_memory,
    "NODE_FAIL": Reason.node_failed,
    "BOOT_FAIL": Reason.node_failed,
}


class Word(StrEnum):
    """What is known of a job elsewhere. ``unknown``: nobody can say, and it may be at work."""

    waiting = "waiting"
    working = "working"
    ended = "ended"
    unknown = "unknown"


def is_here(identity: Identity) -> bool:
    """Whether a process is this machine's for sure: a container has a name of its own on the same boot."""
    return identity.boot == boot_id() and identity.host == socket.gethostname()


def is_elsewhere(identity: Identity) -> bool:
    """Whether a process is another machine's for sure: there its id says nothing."""
    return identity.boot != boot_id() and identity.host != socket.gethostname()


def beats(paths: JobPaths) -> bool:
    """Whether a supervisor has said lately that it lives."""
    with suppress(OSError):
        return abs(time.time() - paths.supervisor.stat().st_mtime) < SILENCE
    return False


def word_of(paths: JobPaths, batch: SlurmBatch) -> tuple[Word, Reason | None]:
    """What Slurm says of a job, and why it has ended."""
    here = own()
    if here and here.job == batch.job and here.tried != batch.tried:
        return _earlier_try(batch)
    try:
        entry = QUEUE.entry(batch.job)
    except (NoSlurm, SlurmFailed):
        return (Word.working if beats(paths) else Word.unknown), None
    if entry is None:
        new = batch.submitted and abs(time.time() - batch.at) < SUBMITTED
        return (Word.waiting, None) if new else (Word.ended, Reason.gone)
    return _of_entry(entry, batch)


def of_slurm(folder: Path) -> dict[str, Any]:
    """What Slurm says of the job in ``folder``, in its own words; nothing for one that was not handed to it.

    ``job`` is its id, ``slurm`` its state (null where Slurm knows it no more, or cannot be asked),
    ``restarts`` how often it was begun anew, ``reason`` why it waits, ``start`` when it began or may begin,
    on which ``nodes`` of which ``partition``.
    """
    batch = read_batch(folder)
    if batch is None or not batch.submitted:
        return {}
    entry = None
    with suppress(NoSlurm, SlurmFailed):
        entry = QUEUE.entry(batch.job)
    about = entry or SlurmEntry("", batch.tried)
    return {
        "job": batch.job,
        "slurm": about.state or None,
        "restarts": about.restarts,
        "reason": about.reason if about.phase is SlurmPhase.waiting else "",
        "nodes": about.nodes,
        "partition": about.partition,
        "start": about.start,
    }


def _of_entry(entry: SlurmEntry, batch: SlurmBatch) -> tuple[Word, Reason | None]:
    if entry.phase is SlurmPhase.ended:
        return Word.ended, _REASONS.get(entry.state, Reason.gone)
    if entry.phase is SlurmPhase.waiting or entry.restarts > batch.tried:
        return _earlier_try(batch)
    return Word.working, None


def _earlier_try(batch: SlurmBatch) -> tuple[Word, Reason | None]:
    """Slurm has taken the job off its nodes: it will begin anew, and a step of it is over."""
    return (Word.waiting, None) if batch.submitted else (Word.ended, Reason.gone)
