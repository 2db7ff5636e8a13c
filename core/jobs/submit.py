"""Jobs are handed to Slurm, and taken back. What runs there is the same supervisor in the same folder."""

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from core.errors import JobNotStarted, NoSlurm, SlurmFailed
from core.jobs.batch import SlurmBatch, read_batch, write_batch
from core.jobs.elsewhere import Word, is_elsewhere, is_here, word_of
from core.jobs.ending import Ending, Reason
from core.jobs.environment import inherited
from core.jobs.job import JobPaths
from core.jobs.process import read_identity
from core.slurm.commands import SUBMIT_PATIENCE, ask
from core.slurm.profile import Profile, sbatch, within
from core.slurm.queue import QUEUE
from core.workspace.files import read_record, write_json
from core.workspace.paths import Workspace, make_folder, workspace_around
from core.workspace.user import stand_in

MODULE = "core.jobs.allocated"
# What a supervisor may take beyond its tool's grace before its allocation is taken away; seconds.
PATIENCE = 60.0


def submit(folders: Sequence[Path], profile: Profile, at_once: int = 0) -> None:
    """Hand jobs to Slurm whose folders are ready: one alone, or several as an array, of which ``at_once`` run
    at a time (0: as many as may). Each folder's job says which one it became. Raises JobNotStarted, which
    every folder says as well; OSError.
    """
    workspace = Workspace(workspace_around(folders[0]) or folders[0].parent)
    if len(folders) == 1:
        log, what, array = JobPaths(folders[0]).supervisor_log, [str(folders[0])], ""
    else:
        make_folder(workspace.arrays, exist_ok=True)
        kept = workspace.arrays / f"{token_hex(6)}.json"
        write_json(kept, [str(folder) for folder in folders])
        log, what = kept.with_name(f"{kept.stem}-%a.log"), ["--array", str(kept)]
        array = f"0-{len(folders) - 1}" + (f"%{at_once}" if at_once else "")
    python = profile.python or ("python3" if profile.container else sys.executable)
    command = within(profile, workspace.root, [python, "-m", MODULE, *what])
    title = f"tuneboard-{folders[0].parent.name}"[:60]
    given = [*sbatch(profile, title, _plain(log), array), *command]
    try:
        job = _id_of(ask(given, SUBMIT_PATIENCE, {**stand_in(), **inherited()}))
    except (NoSlurm, SlurmFailed) as error:
        _give_up(folders, error)
    QUEUE.forget()
    for number, folder in enumerate(folders):
        if read_batch(folder) is None:  # it may have begun already, and said so itself
            write_batch(folder, SlurmBatch(f"{job}_{number}" if array else job, True, 0, time.time()))


def _plain(log: Path) -> str:
    """A path in which Slurm fills nothing in but what ends an array's log."""
    return str(log.parent).replace("%", "%%") + "/" + log.name


def _id_of(said: str) -> str:
    """``sbatch --parsable`` says ``123``, or ``123;cluster``. Raises SlurmFailed."""
    job = said.strip().partition(";")[0]
    if not job.isdigit():
        raise SlurmFailed(command="sbatch", reason=said.strip() or "?")
    return job


def _give_up(folders: Sequence[Path], error: NoSlurm | SlurmFailed) -> None:
    """Raises JobNotStarted; the folders hold failed jobs, not any that seem to wait."""
    for folder in folders:
        with suppress(OSError):
            ended = Ending.unseen(Reason.not_started)
            write_json(JobPaths(folder).exit, ended.as_json())
    raise JobNotStarted(folder=folders[0], reason=error.text()) from error


def stops_elsewhere(paths: JobPaths, asked: Mapping[str, Any]) -> bool:
    """Ask a job on another machine to stop, or one of Slurm's: False for any other.

    Its supervisor sees the request in its folder, and Slurm tells it as well, since a network's folder shows
    it late. What has not begun is cancelled, as is what does not end in its grace, or is asked once more
    after that.
    """
    batch, supervisor = read_batch(paths.folder), read_identity(paths.supervisor)
    if batch is None or not batch.submitted:
        if supervisor is None or not (is_elsewhere(supervisor) or (batch and not is_here(supervisor))):
            return False
        write_json(paths.stop, asked)
        return True
    overdue = _overdue(paths)
    write_json(paths.stop, asked)
    with suppress(NoSlurm, SlurmFailed):
        if overdue or word_of(paths, batch)[0] is Word.waiting:
            _cancel(batch)
        else:
            ask(["scancel", "--batch", "--signal=TERM", batch.job])
            later = threading.Timer(float(asked["grace"]) + PATIENCE, _cancel_if_there, (paths, batch))
            later.daemon = True
            later.start()
    QUEUE.forget()
    return True


def take_back_waiting(jobs: Sequence[JobPaths], asked: Mapping[str, Any]) -> None:
    """Cancel those of Slurm's jobs that it has not begun, by one command. What begins meanwhile finds the
    request in its folder. Raises OSError."""
    known = ((paths, read_batch(paths.folder)) for paths in jobs)
    submitted = ((paths, batch) for paths, batch in known if batch and batch.submitted)
    waiting = [(paths, batch) for paths, batch in submitted if word_of(paths, batch)[0] is Word.waiting]
    for paths, _ in waiting:
        write_json(paths.stop, asked)
    if waiting:
        with suppress(NoSlurm, SlurmFailed):
            ask(["scancel", *(batch.job for _, batch in waiting)], SUBMIT_PATIENCE)
        QUEUE.forget()


def _overdue(paths: JobPaths) -> bool:
    before = read_record(paths.stop)
    with suppress(KeyError, TypeError, ValueError):
        return before is not None and time.time() > float(before["at"]) + float(before["grace"]) + PATIENCE
    return False


def _cancel_if_there(paths: JobPaths, batch: SlurmBatch) -> None:
    if not paths.exit.exists() and read_batch(paths.folder) == batch:
        with suppress(NoSlurm, SlurmFailed):
            _cancel(batch)


def _cancel(batch: SlurmBatch) -> None:
    """Raises NoSlurm, SlurmFailed."""
    ask(["scancel", batch.job])
