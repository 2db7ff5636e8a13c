"""After a failure: a new run with the one change that would prevent it, and a report for whoever helps."""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from core.cli.room import Commands, Options, Result, can_go_on
from core.cli.stages import tune_here
from core.cli.terminal import progress
from core.errors import NoRemedy, NoSuchJob, NoSuchRun, StepFailed, TuneboardError
from core.jobs.failure import Failure, why_failed
from core.jobs.job import JobPaths, job_folders
from core.jobs.status import State, read_status
from core.pipeline import chain, tune
from core.pipeline.tune_request import TuneRequest
from core.publish.report import report, run_of
from core.runs import CHAIN
from core.steps import prepare, remedy
from core.steps.remedy import Remedy
from core.wording import say
from core.workspace.paths import RunPaths, Workspace


def _retry(options: argparse.Namespace, workspace: Workspace) -> Result:
    """Train a new run with the change that the failure of this one asks for; a pipeline goes on in it."""
    run = workspace.run(options.run)
    found = remedy.of_run(run)
    if found is None:
        cause = remedy.cause_of(run)
        why = say(f"cause.{cause}") if cause else say("retry.did_not_fail")
        raise NoRemedy(run=run.id, why=why)
    new = prepare.variant(workspace, run, datetime.now(), found.recipe)
    with progress("tune" if chain.has_chain(run) else "train") as shown:
        shown.say("retry.new", run=new.id, changes=changes_in_words(found))
        if chain.has_chain(run):
            asked = replace(chain.asked_before(run) or TuneRequest(""), as_it_is=False)
            return tune_here(workspace, new.id, asked, shown)
        with can_go_on(workspace, "train", new.id):
            done = tune.run_train(new, shown)
    return {"run": new.id, "checkpoint": str(done.checkpoint), "iteration": done.iteration}


def _report(options: argparse.Namespace, workspace: Workspace) -> Result:
    job = _job(workspace, options.run)
    return {"job": str(job), "report": report(workspace, job)}


def _job(workspace: Workspace, named: str) -> Path:
    """The job that somebody means: of a run the one that failed last, else the one that ended last; or a
    job's own folder. Raises NoSuchRun, NoSuchJob."""
    try:
        run = workspace.run(named)
    except NoSuchRun:
        folder = Path(named).expanduser().absolute()
        if not JobPaths(folder).holds_a_job:
            raise
        return folder
    states = {job: read_status(job) for job in job_folders(run.root)}
    # Of a pipeline the step that failed, not the pipeline that ended with it.
    order = sorted(
        states,
        key=lambda job: (
            states[job].state in {State.failed, State.lost},
            job.name != CHAIN,
            states[job].ended or 0.0,
        ),
    )
    if not order:
        raise NoSuchJob(folder=run.root)
    return order[-1]


def changes_in_words(found: Remedy) -> str:
    """What is changed of the recipe: "lr 0.01 → 0.003"."""
    parts = (f"{name} {_shown(old)} → {_shown(new)}" for name, (old, new) in found.changes.items())
    return say("row.list").join(parts)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def after_failure(workspace: Workspace, error: TuneboardError) -> Iterator[str]:
    """What the command line adds to the error of a job: the log's last lines where nothing says why, the
    command that makes a new run with the change that would prevent it, and the one for a report."""
    why, run = _failure(error), _run(workspace, error)
    if why is None or error.job is None:
        return
    if not why.is_known:
        lines = why.last()
        yield "\n".join(
            [why.ended(), say("failure.last", count=len(lines)), *(f"  {line}" for line in lines)]
        )
    if run and (found := _remedy(run)):
        yield say("cli.fix", changes=changes_in_words(found), command=_command(workspace, "retry", run.id))
    named = run.id if run else shlex.quote(str(error.job))
    yield say("cli.report_with", command=_command(workspace, "report", named))


def as_result(workspace: Workspace, error: TuneboardError) -> dict[str, Any] | None:
    """The same as ``--json`` prints it; None of an error that is no failed job's."""
    why, run = _failure(error), _run(workspace, error)
    if why is None or error.job is None:
        return None
    found = _remedy(run) if run else None
    return {
        "ok": False,
        "run": run.id if run else None,
        "step": error.job.name,
        "cause": why.cause if not why.said else None,
        "message": error.text(),
        "line": why.line,
        "log": str(why.log),
        "last": [] if why.is_known else why.last(),
        "changes": {name: list(pair) for name, pair in found.changes.items()} if found else {},
        "fix": _command(workspace, "retry", run.id) if run and found else None,
    }


def _failure(error: TuneboardError) -> Failure | None:
    return (
        why_failed(error.job, read_status(error.job)) if error.job and isinstance(error, StepFailed) else None
    )


def _run(workspace: Workspace, error: TuneboardError) -> RunPaths | None:
    return run_of(workspace, error.job) if error.job else None


def _remedy(run: RunPaths) -> Remedy | None:
    try:
        return remedy.of_run(run)
    except TuneboardError:  # what failed is told already
        return None


def _command(workspace: Workspace, command: str, run: str) -> str:
    return f"scripts/run {command} {run}{workspace.option}"


OPTIONS: Options = {}
COMMANDS: Commands = {"retry": (_retry, ("RUN",)), "report": (_report, ("RUN",))}
