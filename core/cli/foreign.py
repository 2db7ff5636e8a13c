"""The final test: of a run's model, or of what was tuned elsewhere; and healing that."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.cli.room import Commands, Options, Result, Task
from core.cli.terminal import line, printable
from core.errors import InvalidOption
from core.pace import Progress
from core.pipeline import tune
from core.pipeline.foreign import ForeignRequest, prove_foreign, score_in
from core.pipeline.heal import heal
from core.proof import telling
from core.proof.score import Score, Share
from core.steps.proof import ProveRequest
from core.wording import say
from core.workspace.paths import ForeignPaths, Workspace

MEASURES = ("learned", "kept", "leaked")
# What is said of a model that is no run's.
ELSEWHERE = ("--base", "--adapter", "--merged", "--name", "--system")
HELP = "scripts/run prove --help"


def _asked(options: argparse.Namespace) -> ProveRequest | ForeignRequest:
    """Raises InvalidOption for a run and something else, and for neither."""
    elsewhere = [option for option in ELSEWHERE if option in options.given]
    if options.run:
        if elsewhere:
            names = say("row.list").join(elsewhere)
            raise InvalidOption(message=say("cli.wrong.run_or_elsewhere", names=names), help=HELP)
        return ProveRequest(options.full)
    if not elsewhere:
        raise InvalidOption(message=say("cli.wrong.required", names="RUN | --base", count=1), help=HELP)
    for option, value in (("--base", options.base), ("--name", options.name)):
        if value is None:
            raise InvalidOption(message=say("cli.wrong.required", names=option, count=1), help=HELP)
    if (options.adapter is None) == (options.merged is None):
        raise InvalidOption(message=say("cli.wrong.adapter_or_merged"), help=HELP)
    system = options.system if "--system" in options.given else None
    return ForeignRequest(options.base, options.name, options.adapter, options.merged, system, options.full)


def _place(workspace: Workspace, place: str) -> ForeignPaths | None:
    """The folder that whoever started the job has made for it."""
    return workspace.foreign_place(place) if place else None


def _prove(
    workspace: Workspace, about: str, request: ProveRequest | ForeignRequest, shown: Progress
) -> Result:
    """``about``: the run, or the folder of what was tuned elsewhere."""
    if isinstance(request, ProveRequest):
        return tune.run_compare(workspace, workspace.run(about), shown, request.full)
    return prove_foreign(workspace, request, shown, _place(workspace, about))


def _healing(options: argparse.Namespace) -> ForeignRequest:
    system = options.system if "--system" in options.given else None
    return ForeignRequest(options.base, options.name, options.adapter, system=system)


def _heal(workspace: Workspace, place: str, request: ForeignRequest, shown: Progress) -> Result:
    return heal(workspace, request, shown, _place(workspace, place))


def show_foreign(console: Console, result: dict[str, Any]) -> None:
    """The measured shares with their intervals; of a healing before and after."""
    tested = {"tuned": result} if "answers" in result else {}
    tested |= {key: result[key] for key in ("before", "after") if result.get(key)}
    scores = {key: score_in(result["name"], found["answers"]) for key, found in tested.items()}
    for note in result["notes"]:
        line(console, note["text"])
    table = Table(title=escape(printable(say("foreign.title", name=result["name"]))))
    table.add_column("")
    for key in scores:
        table.add_column(say(f"foreign.{key}"))
    for measure in MEASURES:
        cells = [telling.share(share_of(score, measure), form=telling.FINE) for score in scores.values()]
        table.add_row(say(f"runs.{measure}"), *cells)
    console.print(table)
    line(console, say("proof.brackets"))
    if "tried" in result:
        line(console, healed_text(result))
    line(console, say("foreign.answers", file=result["result"]))


def healed_text(result: dict[str, Any]) -> str:
    """What was made of the adapter, in a sentence."""
    if not result["healed"]:
        return say("foreign.healed.not")
    how = "trained" if result["trained"] else "scale"
    return say(f"foreign.healed.{how}", scale=f"{result['scale']:g}", folder=result["healed"])


def share_of(score: Score, measure: str) -> Share:
    """``learned``, ``kept`` or ``leaked``."""
    found: Share = getattr(score, measure)
    return found


OPTIONS: Options = {
    "[RUN]": {"metavar": "RUN", "nargs": "?"},
    "--full": {"action": "store_true"},
    "--of-base": {"metavar": "DIR"},
    "--tuned-from": {"required": True, "metavar": "DIR"},
    "--adapter": {"type": Path, "metavar": "DIR"},
    "--its-adapter": {"type": Path, "required": True, "metavar": "DIR"},
    "--merged": {"type": Path, "metavar": "DIR"},
}
COMMANDS: Commands = {
    "heal": (
        Task(ForeignRequest, _healing, _heal),
        ("--tuned-from", "--its-adapter", "--name", "--system"),
    ),
    "prove": (
        Task(ProveRequest | ForeignRequest, _asked, _prove),
        ("[RUN]", "--full", "--of-base", "--adapter", "--merged", "--who", "--system"),
    ),
}
