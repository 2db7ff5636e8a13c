"""What a command made of data came to, for a person: the data of a run, a data set's version, drafts."""

from typing import Any

from rich.console import Console

from core.cli.accounts import show_accounts
from core.cli.terminal import line
from core.data.row_counts import row_counts
from core.wording import say


def show_data(console: Console, result: dict[str, Any]) -> None:
    """The data of a run: how much it is, from what, and what is not in it."""
    counts = row_counts(result)
    line(console, say("data.done", run=result["run"], **counts))
    if result["identity"]:
        line(console, say("data.done.beside", **counts))
    line(console, say("data.done.tokens", **_picked(result, "tokens", "answer_tokens")))
    if result["truncated_rows"]:
        names = ("truncated_rows", "max_length", "answer_tokens_lost")
        line(console, say("data.done.cut", **_picked(result, *names)))
    for given in result["given"]:
        line(console, say("data.done.given", **_picked(given, "file", "copy")))
    if result["left_out"]["rows"]:
        line(console, say("data.done.left_out", **_picked(result["left_out"], "rows", "file")))
    parts = {"left_out": result["omitted"], "unused": result["unused"], "harmless": []}
    show_accounts(console, {**parts, "rows": result["own"] or result["taught"]})
    line(console, say("data.done.config", config=result["config"]))


def show_version(console: Console, result: dict[str, Any]) -> None:
    """The version of a data set that counts now."""
    if result["version"] is None:
        line(console, say("made.done.empty", set=result["set"]))
        return
    operation = say(f"made.operation.{result['operation']}")
    line(console, say("made.done", **_picked(result, "set", "rows", "file", "version"), operation=operation))
    if held := result.get("held_back"):
        line(console, say("made.done.held_back", **held))
    if "dropped" in result:
        line(console, say("made.done.dropped", count=result["dropped"]))


def show_drafts(console: Console, result: dict[str, Any]) -> None:
    """Questions and answers of documents, which wait for somebody to accept them."""
    line(console, say("made.done.drafts", **_picked(result, "set", "passages", "new", "waiting")))


def _picked(result: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: result[name] for name in names}
