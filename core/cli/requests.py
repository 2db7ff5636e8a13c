"""The command line's commands as jobs: what one was asked for, and how it is done or asked for again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cli.parser import COMMANDS
from core.cli.room import Result, Task
from core.cli.terminal import progress
from core.errors import DamagedFile
from core.jobs.job import JobPaths, JobSpec, profile_of
from core.jobs.request import Call, of_record, read_request
from core.pipeline.tune_request import TuneRequest
from core.steps.step import call_job
from core.workspace.paths import Workspace


def perform(folder: Path) -> Result:
    """Do what the job in ``folder`` is asked for. Raises NoSuchJob, DamagedFile, what its command does."""
    call, request = read_call(folder)
    task, workspace = _task(call, folder), Workspace(call.workspace)
    workspace.find()
    with progress(call.command) as shown:
        return task.do(workspace, call.run, request, shown)


def read_call(folder: Path) -> tuple[Call, Any]:
    """What a job of the command line was asked for: the call, and the command's own request. The command in
    its job.json is nothing that anybody goes by: a folder may come from somebody else. Raises NoSuchJob,
    DamagedFile.
    """
    call = read_request(Call, folder)
    try:
        return call, of_record(_task(call, folder).kind, call.asked)
    except ValueError as error:
        raise DamagedFile(path=JobPaths(folder).request) from error


def plan_again(workspace: Workspace, folder: Path, run: str = "") -> JobSpec:
    """The job that asks once more for what the one in ``folder`` was asked, by this version's own command;
    of Slurm, where that one was asked of it.

    ``run``: for this run instead of its own, in that run's folder of the same name. Raises as
    :func:`read_call` does.
    """
    call, request = read_call(folder)
    if isinstance(request, TuneRequest):
        # It goes on; of another run nothing is trained yet.
        request = replace(request, restart=False, as_it_is=request.as_it_is and not run)
    job = workspace.run(run).job(folder.name) if run else folder
    # A run's folder that was copied or came from somebody else is about itself, whatever its request says.
    own = folder.parent.name if call.run and folder.parent.parent == workspace.runs else call.run
    spec = call_job(job, call.command, workspace.root, request, run or own)
    return replace(spec, profile=profile_of(folder))


def _task(call: Call, folder: Path) -> Task:
    task = COMMANDS.get(call.command, (None,))[0]
    if not isinstance(task, Task):
        raise DamagedFile(path=JobPaths(folder).request)
    return task
