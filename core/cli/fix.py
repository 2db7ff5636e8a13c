"""``data fix``: a data file mended into a file of its own. Returns what ``--json`` prints."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.cli.check import LEAVE_OUT, READ, asked_reading
from core.cli.room import Commands, Options, Result, Task
from core.cli.terminal import line, printable
from core.data.findings import KINDS
from core.data.opening import open_data
from core.errors import InvalidOption
from core.models.folder import find_model
from core.pace import Progress
from core.pipeline.tune_request import ready_tokenizer
from core.steps import fixing
from core.steps.check_request import CheckRequest
from core.steps.fixing import FixRequest
from core.wording import say
from core.workspace.data_paths import cache_of
from core.workspace.paths import Workspace

HELP = "scripts/run data fix --help"
ENDS = (".jsonl", ".ndjson")
SHOWN_BROKEN = 5


def _asked(options: argparse.Namespace) -> FixRequest:
    """Raises InvalidOption."""
    template = None if options.template == "auto" else options.template
    values = fixing.values_of(options.value)
    if values is None:
        raise _wrong("value_pair", value=" ".join(options.value))
    checked = CheckRequest(
        options.file,
        options.model,
        options.max_length,
        template,
        asked_reading(options),
        values.get("name", ""),
        values.get("author", ""),
    )
    if options.list:
        return FixRequest(checked, None, values=tuple(values.items()))
    if options.out is None:
        raise InvalidOption(message=say("cli.wrong.required", names="--out", count=1), help=HELP)
    if options.out.suffix.lower() not in ENDS:
        raise _wrong("out", value=options.out, ends=say("row.list").join(ENDS))
    fixes = _chosen(options.fix) if options.fix else fixing.USUAL
    given = (tuple(fixes.items()), tuple(values.items()), options.leave_out_broken)
    return FixRequest(checked, options.out, *given)


def _chosen(names: Sequence[str]) -> dict[str, str]:
    """The fix of each code. Raises InvalidOption for a name that is none."""
    chosen: dict[str, str] = {}
    for name in names:
        found = fixing.named(name)
        if found is None:
            known = say("row.list").join(code for code, kind in KINDS.items() if kind.fix)
            raise _wrong("fix", value=name, known=known)
        chosen.update(found)
    return chosen


def _wrong(what: str, **values: object) -> InvalidOption:
    return InvalidOption(message=say(f"cli.wrong.{what}", **values), help=HELP)


def _fix(workspace: Workspace, _: str, request: FixRequest, shown: Progress) -> Result:
    asked = request.checked
    find_model(workspace, asked.model)
    open_data(asked.file, cache_of(workspace), asked.reading)  # what is wrong with it is said at once
    ready_tokenizer(workspace, asked.model, shown)
    shown.stage("check")
    return fixing.fix(workspace, request, shown.update)


def show_fixed(console: Console, result: dict[str, Any]) -> None:
    """What could be mended, or what was, and what is still broken."""
    if result["out"] is None:
        _show_list(console, result["findings"])
        return
    for one in result["fixed"]:
        line(console, say("fixed.line", what=one["what"], code=say(f"code.{one['code']}"), count=one["rows"]))
    values = {"path": result["out"], "rows": result["written"], "usable": result["written_usable"]}
    line(console, say("fixed.written", **values))
    for field in result["missing_values"]:
        line(console, say("cli.fixed.missing_value", field=field))
    if broken := result["still_broken"]:
        rows = len({one["row"] for one in broken})
        examples = [say("row.problem", row=one["row"], message=one["message"]) for one in broken]
        shown = say("row.separator").join(examples[:SHOWN_BROKEN])
        line(console, say("cli.fixed.still_broken", count=rows, problems=shown, code=broken[0]["code"]))


def _show_list(console: Console, findings: Sequence[dict[str, Any]]) -> None:
    if not findings:
        line(console, say("check.none"))
        return
    table = Table(show_lines=True)
    for column in ("problem", "count", "fix"):
        table.add_column(say(f"check.{column}"), overflow="fold")
    for one in findings:
        names = [
            f"{one['code'] if number == 0 else '='.join((one['code'], fix['fix']))}: {_with_values(fix)}"
            for number, fix in enumerate(one["fixes"])
        ]
        cells = (one["what"], f"{one['rows']:,}", "\n".join(names) or "–")
        table.add_row(*(escape(printable(cell)) for cell in cells))
    console.print(table)


def _with_values(fix: dict[str, Any]) -> str:
    """What a fix does, and the values that it takes as they are typed."""
    pairs = fix["values"].items()
    values = " ".join(
        f"--value {shlex.quote(f'{field}={value}') if value else f'{field}=…'}" for field, value in pairs
    )
    return f"{fix['what']} {values}".strip()


OPTIONS: Options = {
    "--fixed": {"type": Path, "metavar": "FILE2"},
    "--fix": {"nargs": "+", "action": "extend", "default": [], "metavar": "NAME"},
    "--value": {"action": "append", "default": [], "metavar": "FIELD=TEXT"},
    "--list": {"action": "store_true"},
}
COMMANDS: Commands = {
    "data fix": (
        Task(FixRequest, _asked, _fix),
        ("FILE", *OPTIONS, LEAVE_OUT, "--model", "--max-length", "--template", *READ),
    ),
}
