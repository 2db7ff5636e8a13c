"""What of a data file is not trained, on a terminal."""

from typing import Any

from rich.console import Console

from core.cli.terminal import line
from core.data.accounting import ROW, Omission, Unused
from core.wording import say


def show_accounts(console: Console, result: dict[str, Any]) -> None:
    """What is left out, which keys nobody reads, and which are of no concern."""
    for one in (Omission(**given) for given in result["left_out"]):
        key = "data.rows_omitted" if one.what == ROW else "data.omitted"
        line(console, say(key, what=one.named, rows=one.rows, why=one.why))
    whole = result["accounted"] if "accounted" in result else result["rows"]
    for one in result["unused"]:
        line(console, say("data.not_read", key=say("data.unread", **Unused(**one).values(whole))))
    if result["harmless"]:
        line(console, say("data.harmless", keys=say("row.list").join(result["harmless"])))
