"""What a command came to, for a person: tables and sentences on standard output."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.chat.loops import without_loop
from core.cli.check_table import show_check
from core.cli.fix import show_fixed
from core.cli.foreign import show_foreign
from core.cli.listing import show_runs
from core.cli.made import show_data, show_drafts, show_version
from core.cli.room import Result, Rows
from core.cli.rows import show_rows
from core.cli.sweep import show_sweep, show_sweeps
from core.cli.terminal import line, printable
from core.machine import this_machine
from core.pace import about
from core.proof.telling import told_result
from core.recipe.thoughts import split
from core.steps.step import counted, megabytes
from core.wording import say

SHOWN_ANSWERS = 3
QUEUE_COLUMNS = ("position", "run", "step", "device", "state", "begins")
# What ends with a version of a data set.
MAKING = ("identity", "take", "replay", "mix", "split", "dedupe", "undo")


def show(kind: str, result: Result | Rows, where: str = "") -> None:
    """A command's result: as its kind is shown, or its values one a line. ``where``: how the next command
    names the workspace (Workspace.option)."""
    console = Console()
    if isinstance(result, list):
        OF_ROWS[kind](console, result)
    elif kind in WITH_NEXT:
        WITH_NEXT[kind](console, result, where)
    elif kind in SHOWN:
        SHOWN[kind](console, result)
    elif "notes" in result:
        show_foreign(console, result)
    elif "answers" in result:
        _show_answers(console, result)
    else:
        for key, value in result.items():
            line(console, f"{key}: {plain(value)}")


def plain(value: object) -> str:
    """A value of a result as a person reads it: no brackets, no quotes."""
    if isinstance(value, dict):
        return say("row.list").join(f"{key} {plain(one)}" for key, one in value.items()) or "–"
    if isinstance(value, list | tuple):
        return say("row.separator").join(map(plain, value)) or "–"
    if isinstance(value, bool):
        return str(value).lower()
    return "–" if value is None else str(value)


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
            both = (_said(row[side]) if kind else _once(_said(row[side])) for side in ("base", "tuned"))
            table.add_row(_cell(row["question"]), *map(_cell, both))
    console.print(table)
    for key, value in told_result(result).items():
        line(console, say(f"result.{key}", value=value))
    if merged := result.get("merged"):
        line(console, say("result.merged", value=merged))


def _show_checkpoints(console: Console, result: dict[str, Any]) -> None:
    """A line for each, with how many questions its shares are of."""
    table = Table(title=_cell(say("result.checkpoints", run=result["run"])))
    for column in ("result.iteration", "runs.learned", "runs.kept", "runs.leaked"):
        table.add_column(say(column), justify="right", no_wrap=True)
    table.add_column("")
    for one in result["checkpoints"]:
        marks = [say(f"result.{mark}") for mark in ("best", "used") if result[mark] == one["iteration"]]
        shares = (f"{one[key]['hits']}/{one[key]['n']}" for key in ("learned", "kept", "leaked"))
        table.add_row(str(one["iteration"]), *shares, say("row.list").join(marks))
    console.print(table)


def _once(text: str) -> str:
    """What an answer that fell into a loop says, once; what a proof asked is shown as it was judged."""
    once = without_loop(text)
    return text if once is None else say("result.looped", once=once)


def _said(text: str) -> str:
    """The answer without a thought before it."""
    said = split(text)
    return say("result.only_thought") if not said.left else said.answer


def _show_parity(console: Console, result: dict[str, Any]) -> None:
    """The verdict, each conversation, and where the first difference is."""
    line(console, say("parity.title", model=result["model"], template=result["template"]))
    for case in result["cases"]:
        mark = "[green]✓[/]" if case["same"] else "[red]✗[/]"
        console.print(mark, end=" ")
        line(console, say(f"parity.case.{case['case']}"))
    if found := result["difference"]:
        case = say(f"parity.case.{found['case']}")
        line(console, say("parity.at", case=case, place=found["place"] + 1))
        for side in ("trained", "served"):
            line(console, f"  {say(f'parity.{side}')}: {found['before']}«{found[side]}»".replace("\n", "↵"))
    line(console, say(f"parity.published.{result['published']}"))


def _show_report(console: Console, result: dict[str, Any]) -> None:
    line(console, result["report"])


def _show_versions(console: Console, result: dict[str, Any]) -> None:
    table = Table(title=_cell(result["set"]))
    for column in ("version", "operation", "rows", "made"):
        table.add_column(say(f"made.{column}"), no_wrap=column == "version", overflow="fold")
    for version in result["versions"]:
        mark = "→ " if version["number"] == result["current"] else ""
        operation = say(f"made.operation.{version['operation']}")
        table.add_row(
            mark + version["digest"], _cell(operation), str(version["rows"]), _cell(version["made_at"])
        )
    console.print(table)


def _show_queue(console: Console, rows: Rows) -> None:
    if not rows:
        line(console, say("queue.empty"))
        return
    table = Table()
    for column in QUEUE_COLUMNS:
        table.add_column(say(f"queue.column.{column}"), no_wrap=column == "run", overflow="fold")
    for row in rows:
        run = row["run"] or row["workspace"]
        shown = {**row, "run": run, "state": say(f"state.{row['state']}"), "begins": _begins(row)}
        table.add_row(*(_cell(shown[column]) for column in QUEUE_COLUMNS))
    console.print(table)


def _begins(row: dict[str, Any]) -> str | None:
    return None if row["begins"] is None else about(row["begins"])


def _show_configs(console: Console, result: dict[str, Any]) -> None:
    for row in result["configs"]:
        line(
            console,
            row["name"] if row["opens"] else say("configs.refused", name=row["name"], reason=row["reason"]),
        )
    if not result["configs"]:
        line(console, say("configs.none", of=result["of"]))
        return
    line(console, say("configs.count", **{key: result[key] for key in ("count", "of", "opens")}))


def _show_opened(console: Console, result: dict[str, Any]) -> None:
    for name, value in result["recipe"].items():
        line(console, f"{name}: {plain(value)}")
    _show_differences(console, "misfits", result["misfits"])
    _show_differences(console, "on_purpose", result["on_purpose"])


def _show_differences(console: Console, heading: str, rows: list[dict[str, Any]]) -> None:
    line(console, say(f"configs.{heading}", count=len(rows)))
    for row in rows:
        file, recipe = ("–" if row[key] is None else row[key] for key in ("file", "recipe"))
        line(console, f"  {row['place']}: {file} → {recipe}. {row['why']}")


def _show_fit(console: Console, result: dict[str, Any]) -> None:
    line(console, say("fit.now", **_sizes(result["memory"])))
    if result["slow"]:
        line(console, result["slow"])
    largest, card = result["largest"], _card(result["card"])
    if largest:
        # Empty is every layer, where any is computed again.
        again = largest["checkpointed_layers"] or say("fit.all_layers")
        named = {**largest, "checkpointed_layers": again if largest["activation_checkpointing"] else 0}
        shown = {name: plain(value) for name, value in named.items()}
        line(console, say("fit.largest", card=card, **{**shown, **_sizes(largest["memory"])}))
    else:
        line(console, say("fit.none", card=card))


def _card(size: int) -> str:
    """What has so many bytes: this machine's memory or its GPU, else a card of whole GB as they are sold."""
    machine = this_machine()
    if size == max((gpu.memory for gpu in machine.gpus), default=machine.memory):
        return say("fit.this_gpu" if machine.gpus else "fit.this_memory", size=megabytes(size))
    return say("fit.card", size=size // 2**30)


def _sizes(memory: dict[str, int]) -> dict[str, str]:
    return {name: megabytes(size) for name, size in memory.items()}


def _show_curve(console: Console, result: dict[str, Any]) -> None:
    line(console, say("curve.points", points=len(result["points"]), answers=len(result["answers"])))
    if bad := result["not_numbers"]:
        line(console, say("curve.not_numbers", **bad))
    if result["not_drawn"]:
        line(console, say("curve.not_drawn", names=", ".join(result["not_drawn"])))
    if found := result["best"]:
        line(console, say(f"curve.best.{found['by']}", iter=found["iter"], loss=f"{found['loss']:.4f}"))
        if found["checkpoint"]:
            line(console, say("curve.checkpoint", checkpoint=found["checkpoint"]))


def _show_adopted(console: Console, result: dict[str, Any], where: str) -> None:
    line(console, say("adopt.done", run=result["run"], count=len(result["checkpoints"])))
    if result["no_export"]:
        line(console, say("adopt.no_export", reason=result["no_export"]))
        if not result["model_is_here"]:
            line(console, say("cli.adopt.no_model", work_dir=result["work_dir"], where=where))
    else:
        line(console, say("cli.adopt.next", run=result["run"], where=where))
    _show_differences(console, "misfits", result["misfits"])


def _show_models(console: Console, result: dict[str, Any], where: str) -> None:
    models = result["models"]
    if not models:
        line(console, say("models.none", where=where))
        return
    table = Table()
    for column in ("name", "architecture", "parameters", "size", "template", "trainable"):
        table.add_column(say(f"models.{column}"), no_wrap=column == "name", overflow="fold")
    for model in models:
        shown = (model["name"], model["architecture"], counted(model["parameters"]), megabytes(model["size"]))
        able = say("models.yes") if model["trainable"] else model["why"]
        table.add_row(*map(_cell, (*shown, model["template"], able)))
    console.print(table)


def _show_catalog(console: Console, result: dict[str, Any], where: str) -> None:
    """A line for each model and, below it, what it is good for and whether it fits: a table has no room for
    sentences."""
    line(console, say("catalog.title", count=len(result["models"]), date=result["date"]))
    for model in result["models"]:
        name = f"{model['name']} ({say('catalog.here')})" if model["here"] else model["name"]
        sizes = (counted(model["parameters"]), megabytes(model["size"]), model["terms"])
        line(console, "")
        line(console, say("row.separator").join((name, *sizes)))
        line(console, f"  {model['good_for']}")
        line(console, "  " + say("catalog.speaks", languages=model["speaks"]))
        mark = "✓" if model["fits"] else "✗"
        line(console, f"  {mark} {model['says']}")
        for language in (known for known, name in result["recommended"].items() if name == model["name"]):
            line(console, "  → " + say(f"catalog.take.{language}"))
    line(console, "")
    line(console, say("cli.catalog.next", where=where))


def _show_deleted(console: Console, result: dict[str, Any]) -> None:
    line(console, say("models.deleted", name=result["deleted"], folder=result["folder"]))
    if result["runs"]:
        line(console, say("models.stranded", runs=", ".join(result["runs"])))


def _show_findings(console: Console, result: dict[str, Any]) -> None:
    marks = {"good": "✓", "note": "•", "bad": "✗"}
    colours = {"good": "green", "note": "yellow", "bad": "red"}
    for finding in result["findings"]:
        grade, check = finding["grade"], say(f"doctor.check.{finding['check']}")
        console.print(f"[{colours[grade]}]{marks[grade]}[/]", end=" ")
        line(console, say("doctor.line", check=check, text=finding["text"]))
        if finding["fix"]:
            line(console, "    " + say("doctor.fix", command=finding["fix"]))


def _show_published(console: Console, result: dict[str, Any]) -> None:
    values = {"where": result.get("where") or result["bundle"], "count": len(result["files"])}
    line(console, say(f"publish.{'done' if result['sent'] else 'dry_run'}", **values))
    line(console, result.get("next", ""))


# Those that end with a command to type next.
WITH_NEXT: Mapping[str, Callable[[Console, dict[str, Any], str], None]] = {
    "runs": show_runs,
    "models": _show_models,
    "models catalog": _show_catalog,
    "runs adopt": _show_adopted,
    "sweep": show_sweep,
    "sweeps": show_sweeps,
}
SHOWN: Mapping[str, Callable[[Console, dict[str, Any]], None]] = {
    "checkpoints": _show_checkpoints,
    "models delete": _show_deleted,
    "doctor": _show_findings,
    "heal": show_foreign,
    "report": _show_report,
    "data parity": _show_parity,
    "data": show_data,
    "data make versions": _show_versions,
    **dict.fromkeys((f"data make {operation}" for operation in MAKING), show_version),
    "data make documents": show_drafts,
    "data check": show_check,
    "data show": show_rows,
    "data fix": show_fixed,
    "publish": _show_published,
    "configs": _show_configs,
    "configs open": _show_opened,
    "fit": _show_fit,
    "runs curves": _show_curve,
}
OF_ROWS = dict.fromkeys(("queue", "queue move", "queue cancel", "queue now"), _show_queue)
