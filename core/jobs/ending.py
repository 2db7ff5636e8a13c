"""How a tool ended, in the words of ``exit.json``."""

import re
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

KILLED = 128 + signal.SIGKILL
# How programs end and what they say where they get no more memory.
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGTRAP}
_NO_MEMORY = re.compile(
    r"MemoryError|bad_alloc|failed to map segment|allocate memory|not enough memory"
    r"|Memory allocation still failed|can't start new thread|pthread_create failed|Thread creation failed"
    # What an extension of Python's that met it comes back with.
    r"|without (?:exception set|setting an exception)",
    re.IGNORECASE,
)


class Reason(StrEnum):
    """Why a job is no longer running. Those from ``never_started`` on are never written: they are why a job
    is lost."""

    finished = "finished"
    failed = "failed"
    stopped = "stopped"
    out_of_memory = "out of memory"
    disk_full = "disk full"
    memory_limited = "memory limit"
    not_started = "not started"
    never_started = "the supervisor never started"
    abandoned = "the supervisor was killed and the tool has ended since"
    restarted = "the machine was restarted"
    elsewhere = "it ran on another machine"
    node_failed = "its node failed"
    time_limit = "its time in Slurm was over"
    gone = "Slurm has ended it"


@dataclass(frozen=True)
class Ending:
    """The content of ``exit.json``; times in seconds since the epoch.

    ``code`` is the tool's exit code, as in a shell 128 + N when signal N ended it, 127 when there is no such
    program, 126 when it cannot be executed, None when nobody saw it end.
    """

    code: int | None
    signal: str | None
    reason: str
    started: float | None
    ended: float

    @classmethod
    def unseen(cls, reason: Reason, started: float | None = None) -> "Ending":
        """Now, of a tool that was never started, or that nobody here saw end."""
        return cls(None, None, reason, started, time.time())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ending(returned: int, reason: Reason, started: float, ended: float) -> Ending:
    """The ending of a process by the return code that ``subprocess`` gives (-N for signal N)."""
    if returned >= 0:
        return Ending(returned, None, reason, started, ended)
    return Ending(128 - returned, _signal_name(-returned), reason, started, ended)


def failure(
    returned: int, tail: Sequence[str], kernel_killed: bool, disk_full: bool, limited: bool = False
) -> Reason:
    """Why a tool failed that nobody stopped, from its return code, its log's end and its machine.

    ``kernel_killed``: the kernel killed for memory during the run; ``disk_full``: no room is left now;
    ``limited``: this session has a limit of its own (ulimit -v), and what meets it first says it in its own
    words, or crashes.
    """
    text = "\n".join(tail)
    if (returned in {-signal.SIGKILL, KILLED} and kernel_killed) or "CUDA out of memory" in text:
        return Reason.out_of_memory
    if disk_full or "No space left on device" in text:
        return Reason.disk_full
    if limited and (-returned in _CRASHES or _NO_MEMORY.search(text)):
        return Reason.memory_limited
    return Reason.failed


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"SIG{number}"
