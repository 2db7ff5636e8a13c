"""Progress on a terminal: what is happening, how far, the loss, and how long it will still take.

On a terminal it is two bars; into a file or a pipe it is a line now and then. All of it goes to standard
error, so that ``--json`` is alone on standard output.
"""

import re
import sys
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from core.check_table import show_check
from core.pace import COSTS, IMPORT_COSTS, PUBLISHING, Clock
from core.steps.step import counted, megabytes
from core.wording import say

# Each other command is the stage of its name.
STAGES = {
    "tune": tuple(COSTS),
    "data": ("starter", "base"),
    "data check": ("starter", "check"),
    "export": ("convert", "merge"),
    "publish": tuple(PUBLISHING),
    "data parity": ("starter",),
    "data make replay": ("starter", "base"),
    "data make documents": ("starter", "base"),
    "models import": tuple(IMPORT_COSTS),
}
ALL_COSTS = {**COSTS, **IMPORT_COSTS, **PUBLISHING}
PLAIN_EVERY = 10.0
OTHER_COST = 15
SHOWN_ANSWERS = 3


class PlainProgress:
    """Progress as lines, for a file, a pipe or a log."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.last = 0.0

    def stage(self, name: str) -> None:
        self.clock.stage(name)
        self.last = 0.0
        self._line("")

    def update(self, share: float, note: str) -> None:
        self.clock.share = share
        if time.monotonic() - self.last >= PLAIN_EVERY:
            self._line(note)

    def say(self, key: str, **values: object) -> None:
        print(printable(say(key, **values)), file=sys.stderr, flush=True)

    def _line(self, note: str) -> None:
        self.last = time.monotonic()
        left = say("progress.left", time=self.clock.left())
        stage = say(f"stage.{self.clock.current}")
        print(f"[{self.clock.fraction:4.0%}] {stage} {note} {left}", file=sys.stderr, flush=True)

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class BarProgress:
    """Progress as two live bars: the stage and the whole."""

    def __init__(self, clock: Clock, console: Console) -> None:
        self.clock = clock
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )
        self.whole = self.bars.add_task(say("progress.whole"), total=1.0, note="")
        self.part = self.whole

    def stage(self, name: str) -> None:
        self._finish_part()
        self.clock.stage(name)
        self.part = self.bars.add_task(say(f"stage.{name}"), total=1.0, note="")
        self._show("")

    def update(self, share: float, note: str) -> None:
        self.clock.share = share
        self._show(note)

    def say(self, key: str, **values: object) -> None:
        _line(self.bars.console, say(key, **values))

    def _finish_part(self) -> None:
        if self.part != self.whole:
            self.bars.update(self.part, completed=1.0)
            self.bars.stop_task(self.part)

    def _show(self, note: str) -> None:
        self.bars.update(self.part, completed=self.clock.share, note=note)
        left = say("progress.left", time=self.clock.left())
        self.bars.update(self.whole, completed=self.clock.fraction, note=left)

    def __enter__(self) -> "BarProgress":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish_part()
        self.bars.stop()


def progress(command: str) -> PlainProgress | BarProgress:
    """Bars on a terminal, lines elsewhere, for the stages of this command."""
    clock = Clock({stage: ALL_COSTS.get(stage, OTHER_COST) for stage in STAGES.get(command, (command,))})
    console = Console(stderr=True)
    return BarProgress(clock, console) if console.is_terminal else PlainProgress(clock)


def printable(text: str) -> str:
    """``text`` without what steers a terminal: control characters, marks of text direction, no characters."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "\ufffd", text)


def show(kind: str, result: dict[str, Any]) -> None:  # noqa: C901
    """A command's result for a person."""
    console = Console()
    if kind == "runs":
        _show_runs(console, result["runs"])
    elif kind == "models":
        _show_models(console, result["models"])
    elif kind == "doctor":
        _show_findings(console, result["findings"])
    elif kind == "publish":
        _line(console, say(f"publish.{'done' if result['sent'] else 'rehearsed'}", **_published(result)))
        _line(console, result.get("next", ""))
    elif kind == "data parity":
        _show_parity(console, result)
    elif kind == "data make versions":
        _show_versions(console, result)
    elif kind == "data check":
        show_check(console, result)
    elif kind == "configs":
        _show_configs(console, result)
    elif kind == "configs open":
        _show_opened(console, result)
    elif kind == "fit":
        _show_fit(console, result)
    elif kind == "runs curves":
        _show_curve(console, result)
    elif kind == "runs adopt":
        _show_adopted(console, result)
    elif "answers" in result:
        _show_answers(console, result)
    else:
        for key, value in result.items():
            _line(console, f"{key}: {value}")


def _published(result: dict[str, Any]) -> dict[str, Any]:
    return {"where": result.get("where") or result["bundle"], "count": len(result["files"])}


def _line(console: Console, text: str) -> None:
    """A line as it is: a path that is broken in two cannot be copied."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def _cell(text: object) -> str:
    return "–" if text is None else escape(printable(str(text)))


def _show_answers(console: Console, result: dict[str, Any]) -> None:
    """Some answers of each kind and the measured numbers."""
    table = Table(title=_cell(say("result.title", run=result["run"])), show_lines=True)
    for column in ("question", "base", "tuned"):
        table.add_column(say(f"result.{column}"), overflow="fold")
    kinds = {answer.get("kind"): None for answer in result["answers"]}
    for kind in kinds:
        rows = [answer for answer in result["answers"] if answer.get("kind") == kind]
        for row in rows[:SHOWN_ANSWERS] if kind else rows:
            table.add_row(*(_cell(row[key]) for key in ("question", "base", "tuned")))
    console.print(table)
    for key in ("learned", "kept", "leaked", "merged"):
        if key in result:
            value = "–" if result[key] is None else result[key]
            _line(console, say(f"result.{key}", value=value))


def _show_parity(console: Console, result: dict[str, Any]) -> None:
    """The verdict, each conversation, and where the first difference is."""
    _line(console, say("parity.title", model=result["model"], template=result["template"]))
    for case in result["cases"]:
        mark = "[green]✓[/]" if case["same"] else "[red]✗[/]"
        console.print(mark, end=" ")
        _line(console, say(f"parity.case.{case['case']}"))
    if found := result["difference"]:
        case = say(f"parity.case.{found['case']}")
        _line(console, say("parity.at", case=case, place=found["place"] + 1))
        for side in ("trained", "served"):
            _line(console, f"  {say(f'parity.{side}')}: {found['before']}«{found[side]}»".replace("\n", "↵"))
    _line(console, say(f"parity.published.{result['published']}"))


def _show_versions(console: Console, result: dict[str, Any]) -> None:
    table = Table(title=_cell(result["set"]))
    for column in ("version", "operation", "rows", "made"):
        table.add_column(say(f"made.{column}"), overflow="fold")
    for version in result["versions"]:
        mark = "→ " if version["number"] == result["current"] else ""
        operation = say(f"made.operation.{version['operation']}")
        table.add_row(
            mark + version["digest"], _cell(operation), str(version["rows"]), _cell(version["made_at"])
        )
    console.print(table)


def _show_runs(console: Console, runs: list[dict[str, Any]]) -> None:
    if not runs:
        console.print(say("runs.none"))
        return
    table = Table()
    columns = ("run", "name", "state", "learned", "kept", "leaked")
    for column in columns:
        table.add_column(say(f"runs.{column}"), overflow="fold")
    for run in runs:
        shown = {**run, "state": say(f"state.{run['state']}")}
        table.add_row(*(_cell(shown[key]) for key in columns))
    console.print(table)


def _show_configs(console: Console, result: dict[str, Any]) -> None:
    for row in result["configs"]:
        _line(console, row["name"] if row["opens"] else f"{row['name']}  ({row['reason']})")
    _line(console, say("configs.count", **{key: result[key] for key in ("count", "of", "opens")}))


def _show_opened(console: Console, result: dict[str, Any]) -> None:
    for name, value in result["recipe"].items():
        _line(console, f"{name}: {'–' if value is None else value}")
    _show_differences(console, "misfits", result["misfits"])
    _show_differences(console, "on_purpose", result["on_purpose"])


def _show_differences(console: Console, heading: str, rows: list[dict[str, Any]]) -> None:
    _line(console, say(f"configs.{heading}", count=len(rows)))
    for row in rows:
        file, recipe = ("–" if row[key] is None else row[key] for key in ("file", "recipe"))
        _line(console, f"  {row['place']}: {file} → {recipe}. {row['why']}")


def _show_fit(console: Console, result: dict[str, Any]) -> None:
    _line(console, say("fit.now", **_sizes(result["memory"])))
    largest, card = result["largest"], f"{result['card'] / 2**30:.0f} GB"
    if largest:
        _line(console, say("fit.largest", card=card, **{**largest, **_sizes(largest["memory"])}))
    else:
        _line(console, say("fit.none", card=card))


def _sizes(memory: dict[str, int]) -> dict[str, str]:
    return {name: megabytes(size) for name, size in memory.items()}


def _show_curve(console: Console, result: dict[str, Any]) -> None:
    _line(console, say("curve.points", points=len(result["points"]), answers=len(result["answers"])))
    if found := result["best"]:
        _line(console, say("curve.best", iter=found["iter"], loss=f"{found['loss']:.4f}"))
        _line(console, say("curve.checkpoint", checkpoint=found["checkpoint"] or "–"))


def _show_adopted(console: Console, result: dict[str, Any]) -> None:
    _line(console, say("adopt.done", run=result["run"], count=len(result["checkpoints"])))
    if not result["model_is_here"]:
        _line(console, say("adopt.no_model", model=result["model"], work_dir=result["work_dir"]))
    _show_differences(console, "misfits", result["misfits"])


def _show_models(console: Console, models: list[dict[str, Any]]) -> None:
    if not models:
        console.print(say("models.none"))
        return
    table = Table()
    for column in ("name", "architecture", "parameters", "size", "template", "trainable"):
        table.add_column(say(f"models.{column}"), overflow="fold")
    for model in models:
        shown = (model["name"], model["architecture"], counted(model["parameters"]), megabytes(model["size"]))
        able = say("models.yes") if model["trainable"] else model["why"]
        table.add_row(*map(_cell, (*shown, model["template"], able)))
    console.print(table)


def _show_findings(console: Console, findings: list[dict[str, str]]) -> None:
    marks = {"good": "✓", "note": "•", "bad": "✗"}
    colours = {"good": "green", "note": "yellow", "bad": "red"}
    for finding in findings:
        grade, check = finding["grade"], say(f"doctor.check.{finding['check']}")
        console.print(f"[{colours[grade]}]{marks[grade]}[/]", end=" ")
        _line(console, say("doctor.line", check=check, text=finding["text"]))
        if finding["fix"]:
            _line(console, "    " + say("doctor.fix", command=finding["fix"]))
