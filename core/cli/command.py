"""Running one command, at a terminal or as a job, and giving what it came to."""

from collections.abc import Sequence
from pathlib import Path

from core.cli.failures import after_failure, as_result
from core.cli.listing import exit_code, print_json, speak
from core.cli.parser import options_of, parse
from core.cli.requests import perform
from core.cli.results import show
from core.cli.room import Result
from core.cli.waiting import take_up_waiting
from core.errors import TuneboardError
from core.jobs.done import leave_done
from core.jobs.failure import leave_refusal
from core.jobs.request import JOB
from core.workspace.paths import Workspace


def run(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name; returns the exit code. Raises what the command does."""
    if len(arguments) == 2 and arguments[0] == JOB:
        return _as_job(Path(arguments[1]))
    options = parse(arguments)
    workspace = Workspace.of(options.workspace)
    workspace.find()
    workspace.keep_private()
    take_up_waiting(workspace)
    try:
        result = options.command(options, workspace)
    except TuneboardError as error:
        error.options, error.where = options_of(options.kind), workspace.option
        error.advice = tuple(after_failure(workspace, error))
        if options.json and (failed := as_result(workspace, error)):
            print_json(failed)
        raise
    if options.json:
        return print_json(result)
    speak(errors="replace")
    show(options.kind, result, workspace.option)
    return exit_code(result)


def _as_job(folder: Path) -> int:
    code = print_json(_perform(folder))
    if code == 0:
        leave_done(folder)
    return code


def _perform(folder: Path) -> Result:
    """What the job in ``folder`` is asked for; an error stays there for whoever asks why it failed."""
    try:
        return perform(folder)
    except TuneboardError as error:
        leave_refusal(folder, error)
        raise
