"""A data check's result on a terminal: the numbers, then what was found, most often first."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.cli.accounts import show_accounts
from core.wording import say

NUMBERS = (
    *("rows", "usable", "tokens", "answer_tokens", "max_length", "truncated_rows"),
    *("answer_tokens_lost", "duplicates", "seconds"),
)
SHOWN_ROWS = 5


def show_check(console: Console, result: dict[str, Any]) -> None:
    """Draw both tables."""
    console.print(_numbers(result))
    if result["problems"]:
        console.print(_findings(result["problems"], result["counts"]))
    else:
        console.print(say("check.none"), markup=False)
    show_accounts(console, result)


def _numbers(result: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", overflow="fold")
    for name in NUMBERS:
        table.add_row(say(f"check.{name}"), f"{result[name]:,}")
    spoken = " ".join(f"{language} {count:,}" for language, count in result["languages"].items())
    table.add_row(say("check.languages"), spoken or "–")
    return table


def _findings(problems: list[dict[str, Any]], counts: Mapping[str, int]) -> Table:
    """One line for each code: how many rows, which are the first, and the first one's words."""
    by_code: dict[str, list[dict[str, Any]]] = {}
    for problem in problems:
        by_code.setdefault(problem["code"], []).append(problem)
    table = Table(show_lines=True)
    for column in ("problem", "count", "first"):
        table.add_column(say(f"check.{column}"), overflow="fold")
    for code, found in sorted(by_code.items(), key=lambda item: -counts[item[0]]):
        rows = list(dict.fromkeys(problem["row"] for problem in found))
        # Of very many not all are listed.
        count = len(rows) if len(found) == counts[code] else counts[code]
        numbers = say("row.list").join(map(str, rows[:SHOWN_ROWS])) + (" …" if count > SHOWN_ROWS else "")
        example = say("row.problem", row=found[0]["row"], message=found[0]["message"])
        said = say("check.rows_of", count=f"{count:,}", numbers=numbers)
        table.add_row(say(f"code.{code}"), said, escape(example))
    return table
