"""Sweeps at the command line: many trainings with other values of a recipe, and which came out best."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from core.cli.arguments import whole_number
from core.cli.room import Commands, Options, Result, Task, can_go_on
from core.cli.terminal import line, printable
from core.errors import InvalidOption
from core.jobs.status import LIVE
from core.pace import Progress
from core.pipeline.tune import make_data
from core.pipeline.tune_request import TuneRequest
from core.recipe.recipe import Recipe
from core.slurm.profile import read_profile
from core.sweep import job
from core.sweep.axes import MOST_TRIALS
from core.sweep.base import base_of, recipe_in
from core.sweep.conduct import conduct, in_line, shown
from core.sweep.job import SweepRequest, SweepView
from core.sweep.rank import MEASURES, result_of
from core.sweep.sweep import MOST_AT_ONCE, Where, begin, planned, read
from core.sweep.trial import STOPPED, WHY, SweepTrial
from core.wording import say, spoken_language
from core.workspace.paths import RunPaths, SweepPaths, Workspace


@dataclass(frozen=True)
class SweepWish:
    """What the command line asks for: a new sweep, or one that is to ``go_on``."""

    recipe: str
    over: tuple[str, ...]
    trials: int | None
    prune: bool
    go_on: str
    made_of: TuneRequest | None
    on: str = ""
    at_once: int = 0


def _wish(options: argparse.Namespace) -> SweepWish:
    made_of = TuneRequest(options.name, data=options.data, model=options.model) if options.name else None
    over, go_on = tuple(options.over or ()), options.go_on or ""
    asked = (options.recipe or "", over, options.trials, not options.no_prune, go_on, made_of)
    return SweepWish(*asked, options.on or "", options.at_once or 0)


def _refuse_half(options: argparse.Namespace, _: Workspace) -> None:
    """Raises InvalidOption for a sweep that names neither a recipe nor a sweep to go on with, or both; for a
    place beside one that goes on where it was; and for a number at once that nobody is asked for."""
    wrong = ""
    if bool(options.recipe) == bool(options.go_on):
        wrong = say("sweep.one_of_both")
    elif options.go_on and (options.on or options.at_once):
        wrong = say("sweep.goes_on_there")
    elif options.at_once and not options.on:
        wrong = say("sweep.at_once_here")
    if wrong:
        raise InvalidOption(message=wrong, help="scripts/run sweep --help")


def _here(workspace: Workspace, _: str, wish: SweepWish, shown: Progress) -> Result:
    """In this process, seen on the pages as what a page started is; what is handed to Slurm outlasts it."""
    place = workspace.sweep(wish.go_on) if wish.go_on else _begin(workspace, wish, shown)
    if read(place).profile:
        job.start(workspace, place, spoken_language())
        return as_json(job.view(place))
    with (
        can_go_on(workspace, "sweep --go-on", place.id),
        job.in_this_process(workspace, place, spoken_language()),
    ):
        conduct(workspace, place, shown)
    return as_json(job.view(place))


def _begin(workspace: Workspace, wish: SweepWish, shown: Progress) -> SweepPaths:
    """Everything that is wrong is said before anything is started."""
    where = Where(read_profile(workspace, wish.on) if wish.on else None, wish.at_once)
    run, recipe = _base(workspace, wish, shown)
    sweep = planned(run, recipe, wish.over, wish.trials, wish.prune, where)
    place = begin(workspace, sweep)
    shown.say("sweep.begun", sweep=place.id, count=sweep.trials, run=run.id)
    return place


def _base(workspace: Workspace, wish: SweepWish, shown: Progress) -> tuple[RunPaths, Recipe]:
    if wish.made_of is None:
        return base_of(workspace, wish.recipe)
    run = make_data(workspace, wish.made_of, shown)
    return run, recipe_in(Path(wish.recipe).expanduser(), run)


def _as_job(workspace: Workspace, _: str, request: SweepRequest, shown: Progress) -> Result:
    place = workspace.sweep(request.sweep)
    conduct(workspace, place, shown)
    return as_json(job.view(place))


def _sweeps(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"sweeps": [as_json(view) for view in job.views(workspace)]}


def as_json(view: SweepView) -> dict[str, Any]:
    """What ``--json`` prints of a sweep."""
    return {
        "sweep": view.place.id,
        "base": view.sweep.base,
        "state": view.status.state.value if view.status else "waiting",
        "sampler": view.sweep.sampler,
        "prunes": view.sweep.prunes,
        "wanted": view.sweep.trials,
        "fields": list(view.sweep.fields),
        "profile": view.sweep.profile.name if view.sweep.profile else None,
        "best": next((_trial(one) for one in view.trials if one.number == view.best), None),
        "trials": [_trial(one) for one in view.trials],
    }


def _trial(trial: SweepTrial) -> dict[str, Any]:
    return {
        "number": trial.number + 1,
        "state": trial.state,
        "values": dict(trial.values),
        "run": trial.run or None,
        **result_of(trial),
        "stopped": trial.notes.get(STOPPED),
        "why": trial.notes.get(WHY),
    }


def show_sweep(console: Console, result: dict[str, Any], where: str) -> None:
    """A line for each trial, the best first."""
    table = Table(title=printable(say("sweep.table", sweep=result["sweep"])))
    for column in result["fields"]:
        table.add_column(column, justify="right", no_wrap=True)
    for column in MEASURES:
        table.add_column(say(f"runs.{column}"), justify="right", no_wrap=True)
    table.add_column(say("runs.state"), no_wrap=True)
    table.add_column(say("runs.run"), overflow="fold")
    for trial in result["trials"]:
        table.add_row(*_cells(result, trial))
    console.print(table)
    if best := result["best"]:
        line(console, say("sweep.best", run=best["run"], values=in_line(best["values"])))
        line(console, say("cli.sweep.next", run=best["run"], where=where))
    if result["profile"] and result["state"] in LIVE:
        line(console, say("cli.sweep.handed", profile=result["profile"], sweep=result["sweep"], where=where))


def _cells(result: dict[str, Any], trial: dict[str, Any]) -> list[str]:
    values = [shown(trial["values"].get(field, "–")) for field in result["fields"]]
    shares = ["–" if trial[name] is None else f"{trial[name]:.0%}" for name in ("learned", "kept")]
    leaked = "–" if trial["leaked"] is None else str(trial["leaked"])
    return [*values, *shares, leaked, say(f"sweep.state.{trial['state']}"), trial["run"] or "–"]


def show_sweeps(console: Console, result: dict[str, Any], where: str) -> None:
    for one in result["sweeps"]:
        show_sweep(console, one, where)
    if not result["sweeps"]:
        line(console, say("cli.sweep.none", where=where))


OPTIONS: Options = {
    "[RECIPE]": {"metavar": "RECIPE", "nargs": "?"},
    "--over": {"metavar": "FIELD=VALUES", "action": "append"},
    "--trials": {"type": whole_number(1, MOST_TRIALS), "metavar": "N"},
    "--no-prune": {"action": "store_true"},
    "--go-on": {"metavar": "SWEEP"},
    "--in-slurm": {"metavar": "PROFILE"},
    "--at-once": {"type": whole_number(1, MOST_AT_ONCE), "metavar": "N"},
}
COMMANDS: Commands = {
    "sweep": (
        Task(SweepRequest, _wish, _as_job, first=_refuse_half, here=_here),
        (
            *("[RECIPE]", "--over", "--trials", "--no-prune", "--who", "--data", "--model", "--go-on"),
            *("--in-slurm", "--at-once"),
        ),
    ),
    "sweeps": (_sweeps, ()),
}
