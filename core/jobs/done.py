"""A tool's own word that its work is done, for a job whose supervisor was killed: nobody else saw it end."""

import os
import time
from contextlib import suppress
from pathlib import Path

from core.jobs.job import JobPaths
from core.jobs.process import Identity, identify
from core.workspace.files import read_record, write_json


def leave_done(folder: Path) -> None:
    """This process has done what the job in ``folder`` was asked for. A full disk costs no more than this
    word."""
    with suppress(OSError):
        write_json(JobPaths(folder).done, {**identify(os.getpid()).as_json(), "ended": time.time()})


def done_at(folder: Path, tool: Identity | None) -> float | None:
    """When the job's ``tool`` said so, in seconds since the epoch; None where it did not, or where it was
    another process."""
    found = read_record(JobPaths(folder).done)
    if not found or tool is None:
        return None
    same = (found.get("pid"), found.get("ticks"), found.get("boot")) == (tool.pid, tool.ticks, tool.boot)
    ended = found.get("ended")
    return float(ended) if same and isinstance(ended, int | float) else None
