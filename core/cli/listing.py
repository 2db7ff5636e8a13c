"""``runs``, and by itself: what is asked over and over does not wait for what other commands import."""

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from core.cli.room import SCHEMA, Result, Rows
from core.cli.terminal import line, printable
from core.run_list import list_runs
from core.runs import state_told
from core.wording import say
from core.workspace.paths import Workspace

if TYPE_CHECKING:
    from rich.console import Console

RUN_COLUMNS = ("run", "name", "state", "learned", "kept", "leaked")
# A run's id is what other commands are given: it is whole on its line, and on a narrow terminal these go.
DROPPED_FIRST = ("leaked", "kept", "learned", "name")
RUN_COLUMNS_LEAST = ("run", "state")
LEAST_NAME = 10
# A longer table is drawn without lines: with them each row takes half a millisecond.
MOST_IN_A_TABLE = 200


def only_listing(arguments: Sequence[str]) -> argparse.Namespace | None:
    """The options where ``arguments`` are this command alone, and right; None for anything else, which the
    whole parser (core.cli.parser) reads or refuses."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--workspace")
    parser.add_argument("--json", action="store_true")
    try:
        options, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return None
    return None if others or options.words != ["runs"] else options


def list_here(options: argparse.Namespace, workspace: Workspace) -> int:
    """Run the command; returns the exit code."""
    gc.disable()  # it would look for circles in all that is read, again and again, and find none
    found = runs_command(options, workspace)
    if options.json:
        return print_json(found)
    from rich.console import Console

    speak(errors="replace")
    show_runs(Console(), found, workspace.option)
    return 0


def runs_command(_: argparse.Namespace, workspace: Workspace) -> Result:
    """What ``runs`` prints."""
    return {"runs": [run.as_json() for run in list_runs(workspace)]}


def show_runs(console: "Console", result: dict[str, Any], where: str) -> None:
    """A line for each run, with as many columns as the terminal is wide."""
    runs = result["runs"]
    if not runs:
        line(console, say("runs.none", where=where))
        return
    headings = {column: say(f"runs.{column}") for column in RUN_COLUMNS}
    told = ({**run, "state": state_told(run["state"], run["stopped_at"], run["iterations"])} for run in runs)
    rows = [headings, *({column: _text(run[column]) for column in RUN_COLUMNS} for run in told)]
    widths = {column: max(_cells(row[column]) for row in rows) for column in RUN_COLUMNS}
    columns = [*RUN_COLUMNS]
    while len(columns) > len(RUN_COLUMNS_LEAST) and _width(columns, widths) > console.width:
        columns.remove(next(column for column in DROPPED_FIRST if column in columns))
    if len(runs) > MOST_IN_A_TABLE:
        # The name has what the others leave.
        widths["name"] = min(widths["name"], LEAST_NAME + max(0, console.width - _width(columns, widths)))
        print("\n".join(_line(row, columns, widths) for row in rows))
    else:
        _table(console, rows, columns)


def _table(console: "Console", rows: list[dict[str, str]], columns: list[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(rows[0][column], no_wrap=column != "name", overflow="fold")
    for row in rows[1:]:
        table.add_row(*(escape(row[column]) for column in columns))
    console.print(table)


def _line(row: dict[str, str], columns: list[str], widths: dict[str, int]) -> str:
    return "  ".join(_as_wide(row[column], widths[column]) for column in columns).rstrip()


def _as_wide(text: str, width: int) -> str:
    """The text filled up, or cut, to so many cells."""
    from rich.cells import set_cell_size

    return text.ljust(width)[:width] if text.isascii() else set_cell_size(text, width)


def _width(columns: list[str], widths: dict[str, int]) -> int:
    """How wide a table is with its cells whole, but for the name, which may take several lines."""
    wide = (LEAST_NAME if column == "name" else widths[column] for column in columns)
    return sum(width + len(" │ ") for width in wide) + 1


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)


def _text(value: object) -> str:
    """A value in one line."""
    text = "–" if value is None else str(value)
    return text if text.isprintable() else printable(" ".join(text.split()))


def print_json(result: Result | Rows) -> int:
    """The result as the last line of standard output; returns the exit code."""
    speak(encoding="utf-8", errors="backslashreplace")
    whole = result if isinstance(result, list) else {**result, "schema": SCHEMA}
    print(json.dumps(whole, ensure_ascii=False), flush=True)
    return exit_code(result)


def exit_code(result: Result | Rows) -> int:
    """Of a command that has this result: 1 where it is that something is missing."""
    return 0 if isinstance(result, list) or result.get("ok", True) else 1


def speak(errors: str, encoding: str | None = None) -> None:
    """How standard output encodes: JSON is always UTF-8; elsewhere a terminal of another encoding shows a
    question mark rather than nothing."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors=errors)
