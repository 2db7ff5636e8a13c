"""``python -m core.jobs.allocated FOLDER``: what a job of Slurm's runs on its first node.

It is the folder's supervisor. Begun anew by Slurm, after its node failed or it had to make room, it is a new
try of the same job: what it was asked for goes on from what is kept. ``--array LIST`` takes the folder of
this task from a JSON list.
"""

import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from core.jobs import supervise
from core.jobs.batch import own, read_batch, write_batch
from core.jobs.ending import Ending, Reason
from core.jobs.job import JobPaths, read_spec
from core.jobs.launch import make_room
from core.jobs.process import identify
from core.queue.devices import HELD_VARIABLE
from core.workspace.files import read_json, read_record, write_json

# An earlier try that Slurm could not reach ends itself when it sees this one's word in the folder, which a
# network shows late; seconds.
PATIENCE = 180.0


def main(arguments: list[str]) -> int:
    """Run the job to its end; returns its exit code, so that Slurm says the same of it."""
    folder = _folder(arguments)
    paths = JobPaths(folder)
    if _begins(paths):
        with paths.supervisor_log.open("ab") as log:  # of an array's jobs each has its own
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ[HELD_VARIABLE] = "slurm"  # what it has allotted is not waited for again
        with suppress(SystemExit):
            supervise.main(folder, patience=PATIENCE)
    return _code(paths)


def _folder(arguments: list[str]) -> Path:
    if arguments[0] != "--array":
        return Path(arguments[0])
    listed = read_json(Path(arguments[1])) or []
    return Path(listed[int(os.environ["SLURM_ARRAY_TASK_ID"])])


def _begins(paths: JobPaths) -> bool:
    """Make the folder ready for this try; False where there is nothing to do any more."""
    batch = own()
    if batch is None:
        sys.exit("not in an allocation of Slurm's")
    with FileLock(paths.launch_lock, timeout=PATIENCE):
        before = read_batch(paths.folder)
        if before is not None and before.job != batch.job:
            return False  # somebody has launched the job anew meanwhile
        if paths.stop.exists():
            _say_stopped(paths)
            return False
        if _reason(paths) not in {None, Reason.stopped}:
            return False
        begun = replace(batch, submitted=True)
        if any(path.exists() for path in (paths.supervisor, paths.tool, paths.exit)):
            make_room(paths, read_spec(paths.folder), begun)
        else:
            write_batch(paths.folder, begun)
        write_json(paths.supervisor, identify(os.getpid()).as_json())
    return True


def _say_stopped(paths: JobPaths) -> None:
    if not paths.exit.exists():
        ended = Ending.unseen(Reason.stopped)
        write_json(paths.exit, ended.as_json())


def _reason(paths: JobPaths) -> str | None:
    return (read_record(paths.exit) or {}).get("reason")


def _code(paths: JobPaths) -> int:
    ended = read_record(paths.exit)
    code = (ended or {}).get("code")
    return code if isinstance(code, int) else int(ended is None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
