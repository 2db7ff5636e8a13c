"""The command line's commands as jobs: what one was asked for, and how it is done or asked for again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cli.parser import COMMANDS, parse
from core.cli.room import Result, Task, run_of
from core.cli.terminal import progress
from core.errors import DamagedFile, NoSuchJob
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.request import Call, as_record, of_record, read_request
from core.pipeline.tune import TuneRequest, prepared
from core.runs import CHAIN, DATA
from core.steps.step import call_job
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace


def perform(folder: Path) -> Result:
    """Do what the job in ``folder`` is asked for. Raises NoSuchJob, DamagedFile, what its command does."""
    call, request = read_call(folder)
    task = _task(call, folder)
    with progress(call.command) as shown:
        return task.do(Workspace(call.workspace), call.run, request, shown)


def read_call(folder: Path) -> tuple[Call, Any]:
    """What a job of the command line was asked for: the call, and the command's own request.

    Of a job that an earlier version started there is no request.json: its command line is read, by the parser
    that reads every other. Raises NoSuchJob, DamagedFile, InvalidOption.
    """
    try:
        call = read_request(Call, folder)
    except NoSuchJob:
        return _of_command_line(folder)
    try:
        return call, of_record(_task(call, folder).kind, call.asked)
    except ValueError as error:
        raise DamagedFile(path=JobPaths(folder).request) from error


def plan_again(workspace: Workspace, folder: Path, run: str = "") -> JobSpec:
    """The job that asks once more for what the one in ``folder`` was asked, by this version's own command.

    ``run``: for this run instead of its own, in that run's folder of the same name. Raises as
    :func:`read_call` does.
    """
    call, request = read_call(folder)
    if isinstance(request, TuneRequest):
        request = replace(request, restart=False)  # it goes on
    job = workspace.run(run).job(folder.name) if run else folder
    return call_job(job, call.command, workspace.root, request, run or call.run)


def plan_rest(workspace: Workspace, run: RunPaths) -> JobSpec | None:
    """The job that makes what ``run`` still lacks, however it was begun; None where nobody can say what it is
    about. Raises as :func:`read_call` does."""
    for job in (CHAIN, DATA):
        if JobPaths(run.job(job)).spec.exists():
            request = replace(read_call(run.job(job))[1], restart=False)
            return call_job(run.job(CHAIN), "tune", workspace.root, request, run.id)
    name = (read_object(run.data) or {}).get("name")
    if not name or not prepared(run):
        return None
    return call_job(run.job(CHAIN), "tune", workspace.root, TuneRequest(name), run.id)


def _of_command_line(folder: Path) -> tuple[Call, Any]:
    words = read_spec(folder).command
    options = parse(words[3:]) if words[1:3] == ("-m", "core") else None
    task = getattr(options, "command", None)
    if options is None or not isinstance(task, Task):
        raise DamagedFile(path=JobPaths(folder).spec)
    request = task.asked(options)
    workspace = Workspace.of(options.workspace).root
    return Call(options.kind, workspace, as_record(request), run_of(options)), request


def _task(call: Call, folder: Path) -> Task:
    task = COMMANDS.get(call.command, (None,))[0]
    if not isinstance(task, Task):
        raise DamagedFile(path=JobPaths(folder).request)
    return task
