"""What Slurm says of this user's jobs: asked for all of them at once, every few seconds at most."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.errors import NoSlurm, SlurmFailed
from core.slurm.commands import ask

# Seconds for which an answer counts; a controller that gave none is left alone for as long again.
FRESH = 10.0
# No field can hold the separator but the last: names of nodes, states and reasons are Slurm's own words.
FIELDS = "JobArrayID:|,State:|,RestartCnt:|,StartTime:|,NodeList:|,Partition:|,Reason:|"


class SlurmPhase(StrEnum):
    """What Slurm's two dozen states come to."""

    waiting = "waiting"
    working = "working"
    ended = "ended"


_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
_WORKING = {"RUNNING", "COMPLETING", "SUSPENDED", "STAGE_OUT", "SIGNALING", "RESIZING", "STOPPED"}


@dataclass(frozen=True)
class SlurmEntry:
    """One job as Slurm has it: ``state`` and ``reason`` in Slurm's words (``PENDING``, ``Resources``), how
    often it began anew, on which ``nodes`` (``n[1-2]``) of which ``partition``, and when it began or is
    thought to begin (ISO 8601 in the cluster's time; ``N/A``)."""

    state: str
    restarts: int = 0
    start: str = ""
    nodes: str = ""
    partition: str = ""
    reason: str = ""

    @property
    def phase(self) -> SlurmPhase:
        if self.state in _WAITING:
            return SlurmPhase.waiting
        return SlurmPhase.working if self.state in _WORKING else SlurmPhase.ended


def read_entries(text: str) -> dict[str, SlurmEntry]:
    """The lines of ``squeue -O`` by the job's id; what is no such line is left out."""
    found = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) >= 7 and parts[2].isdigit():
            job, state, restarts, *rest = parts[:7]
            found[job] = SlurmEntry(state, int(restarts), *rest)
    return found


def ask_squeue() -> Mapping[str, SlurmEntry]:
    """Raises NoSlurm, SlurmFailed."""
    options = ("--noheader", "--array", "--states=all", f"--user={os.getuid()}", f"--Format={FIELDS}")
    return read_entries(ask(["squeue", *options]))


class Queue:
    """The answers of one process, for any number of threads."""

    def __init__(
        self, look: Callable[[], Mapping[str, SlurmEntry]] = ask_squeue, fresh: float = FRESH
    ) -> None:
        self._look, self._fresh = look, fresh
        self._asking = threading.Lock()
        self._found: Mapping[str, SlurmEntry] = {}
        self._taken = self._tried = float("-inf")
        self._error: NoSlurm | SlurmFailed | None = None

    def entry(self, job: str) -> SlurmEntry | None:
        """What Slurm says of a job; None where it does not know it, or no more. Raises NoSlurm, SlurmFailed
        where it cannot be asked now."""
        self._refresh()
        if self._error is not None:
            raise self._error
        return self._found.get(job)

    def forget(self) -> None:
        """Something was changed by this process: the next question is asked anew."""
        self._tried = float("-inf")

    def _refresh(self) -> None:
        """Who comes while another thread asks takes the last answer, where there is one."""
        if time.monotonic() - self._tried < self._fresh:
            return
        if not self._asking.acquire(blocking=self._taken == float("-inf") and self._error is None):
            return
        try:
            if time.monotonic() - self._tried < self._fresh:
                return
            self._found, self._error = self._look(), None
            self._taken = time.monotonic()
        except (NoSlurm, SlurmFailed) as error:
            self._error = error
        finally:
            self._tried = time.monotonic()
            self._asking.release()


QUEUE = Queue()
