"""The processes of a job that has several: their logs, and which of them ended it.

The first one's log is the job's own. Of the others each has its ``stdout.log`` and ``stderr.log`` in
``ranks/NODE/attempt_N/LOCAL/`` of the job's folder.
"""

import re
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core.jobs.job import JobPaths
from core.jobs.status import Status
from core.workspace.files import read_record, write_json

_LOG = re.compile(r"(?P<node>\d+)/attempt_(?P<attempt>\d+)/(?P<local>\d+)/std(?:out|err)\.log$")
TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class DeadRank:
    """Which process of several ended first, and with which exit code: 128 + N for one that signal N ended."""

    rank: int
    code: int

    @classmethod
    def first(cls, failed: Iterable[tuple[int, int]]) -> "DeadRank":
        """Of ranks and how each ended (-N by signal N), in the order in which that was seen: one that a
        signal ended, which nobody hands on, before one that may have missed it."""
        found = [cls(rank, code if code >= 0 else 128 - code) for rank, code in failed]
        killed = [one for one in found if one.code > 128 and one.code != TERMINATED]
        return (killed or found)[0]


# What a process says of another one that is no longer there: by gloo, by NCCL, by torch's store, by torchrun.
_MISSES_ANOTHER = re.compile(
    r"Connection (?:closed|reset) by peer|remote process exited|NCCL (?:communicator was|error)"
    r"|ncclRemoteError|Broken pipe|DistNetworkError|ChildFailedError|collective operation timeout"
    r"|Sending process \d+ closing signal|failed \(exitcode:|^rank \d+ ended with exit code"
)


def misses_another(line: str) -> bool:
    """Whether a line of a log is about another process than the one whose log it is."""
    return bool(_MISSES_ANOTHER.search(line))


def of_rank(status: Status, dead: DeadRank) -> Status:
    """How the one process ended, in the place of how all did."""
    name = None
    if dead.code > 128:
        with suppress(ValueError):
            name = signal.Signals(dead.code - 128).name
    return replace(status, code=dead.code, signal=name)


def leave_dead(folder: Path, dead: DeadRank) -> None:
    """Leave it in the job's folder. A full disk costs no more than that."""
    with suppress(OSError):
        write_json(JobPaths(folder).dead_rank, asdict(dead))


def dead_rank(folder: Path) -> DeadRank | None:
    """The one that ended the job in ``folder``; None for a job of one process, or where nobody saw it."""
    with suppress(TypeError):
        found = DeadRank(**(read_record(JobPaths(folder).dead_rank) or {}))
        return found if isinstance(found.rank, int) and isinstance(found.code, int) else None
    return None


def rank_logs(folder: Path) -> dict[int, list[Path]]:
    """The logs of the job's processes by their ranks, but the first one's, which is the job's own. What each
    printed comes before its errors: of one that crashed, the last line of these says more."""
    found: dict[tuple[int, int], list[Path]] = {}
    logs = JobPaths(folder).ranks.glob("*/*/*/*.log")
    for log in sorted(logs, key=lambda log: (log.parent, log.name == "stderr.log")):
        if match := _LOG.search(log.as_posix()):
            found.setdefault((int(match["node"]), int(match["local"])), []).append(log)
    each = max((local for _, local in found), default=0) + 1
    return {node * each + local: logs for (node, local), logs in sorted(found.items())}
