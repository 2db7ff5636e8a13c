"""Which of Slurm's jobs a job folder belongs to: ``slurm.json``.

Of a job that was submitted it says which one that became; of a step that such a job has started, in which
allocation it runs. Either way Slurm knows whether it can still be at work, which no process id of another
machine tells.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.jobs.job import JobPaths
from core.workspace.files import read_record, write_json


@dataclass(frozen=True)
class SlurmBatch:
    """``job`` is Slurm's id (``123``, of an array's job ``123_4``), ``tried`` how often Slurm had begun it
    anew when this try began, ``at`` when that was or when it was submitted, in seconds since the epoch.
    ``submitted``: the folder's own job, not a step of it."""

    job: str
    submitted: bool
    tried: int
    at: float

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def read_batch(folder: Path) -> SlurmBatch | None:
    """None for a job that Slurm has nothing to do with."""
    found = read_record(JobPaths(folder).batch)
    with suppress(KeyError, TypeError, ValueError):
        if found is not None:
            job, submitted = str(found["job"]), bool(found["submitted"])
            return SlurmBatch(job, submitted, int(found["tried"]), float(found["at"]))
    return None


def write_batch(folder: Path, batch: SlurmBatch) -> None:
    """Raises OSError."""
    write_json(JobPaths(folder).batch, batch.as_json())


def own(environment: Mapping[str, str] = os.environ) -> SlurmBatch | None:
    """The allocation that this process runs in, as a step of it says it; None outside of any."""
    job, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    name = f"{job}_{task}" if job and task else environment.get("SLURM_JOB_ID")
    tried = environment.get("SLURM_RESTART_COUNT", "0")
    return SlurmBatch(name, False, int(tried) if tried.isdigit() else 0, time.time()) if name else None


def leave(folder: Path) -> None:
    """Say in which allocation a job runs, where it runs in one. A full disk costs no more than that."""
    if batch := own():
        before = read_batch(folder)
        with suppress(OSError):
            write_batch(folder, replace(batch, submitted=before is not None and before.submitted))
