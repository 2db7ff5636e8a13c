"""``data show``: what of a file's rows is trained, and what is not. Returns what ``--json`` prints."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console

from core.cli.accounts import show_accounts
from core.cli.arguments import whole_number
from core.cli.check import READ, WITH_SHEET, asked_reading
from core.cli.data import MOST_ROWS
from core.cli.room import Commands, Options, Result
from core.cli.terminal import line, progress
from core.data.accounting import Accounts
from core.data.encoder import Encoder
from core.data.findings import Finding
from core.data.formats.messages import Assembled
from core.data.opening import open_data
from core.data.own_encoder import encoder_of
from core.data.placing import placed
from core.data.reading.choosing import Table
from core.data.unknown import said_of_tables
from core.errors import EmptyData, InvalidOption
from core.models.folder import read_model
from core.pipeline.tune_request import ready_model
from core.recipe.own_template import spoken_by, template_of
from core.wording import say
from core.workspace.data_paths import cache_of
from core.workspace.paths import Workspace

FIRST_ROWS = 100
# So many rows are read to account for a file; more take longer than a person waits for a look.
ACCOUNTED = 200_000
SHOWN_ROWS = 10
HELP = "scripts/run data show --help"


def _show(options: argparse.Namespace, workspace: Workspace) -> Result:
    reading = asked_reading(options)
    opened = open_data(options.file, cache_of(workspace), reading)
    if not len(opened.source) and not any(part.stray for part in opened.source.parts):
        raise EmptyData(path=options.file)
    first, last = _span(options, len(opened.source))
    encoder = _encoder(options, workspace)
    rows: list[dict[str, Any]] = []
    not_trained: list[dict[str, Any]] = []
    accounts = Accounts()
    for number, made in opened.assembled():
        if number > max(ACCOUNTED, last):
            break
        if number <= ACCOUNTED:
            accounts.add(number, made)
        if first <= number <= last:
            found = opened.findings(number, made)
            if wrong := [finding.as_json() for finding in found if not finding.usable]:
                not_trained.append({"row": number, "problems": wrong})
            else:
                rows.append({"row": number, **_trained(made, found, encoder)})
    accounts.add_beside(opened.source)
    accounts.found.listed[:] = placed(opened.source, accounts.found.listed)
    return {
        "file": str(options.file.absolute()),
        "format": opened.format.name if opened.format else "unknown",
        "reason": opened.reason,
        "tables": [one.as_json() for one in opened.source.tables],
        "count": len(opened.source),
        "rows": rows,
        "not_trained": not_trained,
        "accounted": accounts.rows,
        "left_out": [one.as_json() for one in accounts.left_out],
        "unused": [one.as_json() for one in accounts.unused],
        "harmless": sorted(accounts.harmless),
        "usable": accounts.usable,
    }


def _span(options: argparse.Namespace, count: int) -> tuple[int, int]:
    """The first and last row that are asked for. Raises InvalidOption."""
    if options.row:
        if options.row > count:
            raise InvalidOption(message=say("cli.wrong.row", row=options.row, count=count), help=HELP)
        return options.row, options.row
    return options.rows or (1, FIRST_ROWS)


def rows_span(text: str) -> tuple[int, int]:
    """``A:B``, both counted from 1 and both shown. Raises ArgumentTypeError."""
    first, colon, last = text.partition(":")
    try:
        span = int(first or 1), int(last) if last else int(first or 1) + FIRST_ROWS - 1
    except ValueError:
        span = (0, 0)
    if not colon or not 1 <= span[0] <= span[1]:
        raise argparse.ArgumentTypeError(say("cli.wrong.rows", value=text))
    return span


def _encoder(options: argparse.Namespace, workspace: Workspace) -> Encoder | None:
    """Of the model and template that were asked for; None where nobody asked for tokens."""
    if options.model is None and options.template == "auto":
        return None
    with progress(options.kind) as shown:
        model = read_model(ready_model(workspace, options.model, shown).folder)
    name = options.template
    if name == "auto":
        name = spoken_by(model)
    return encoder_of(model.tokenizer_file, template_of(name, model.folder))


def _trained(made: Assembled, found: Sequence[Finding], encoder: Encoder | None) -> dict[str, Any]:
    """A row that can be trained, with what was remarked of it, and its tokens where they are wanted."""
    shown = {"turns": list(spoken(made)), "notes": [finding.as_json() for finding in found]}
    if encoder is None:
        return shown
    (segments,) = encoder.segments([made.conversation])
    tokens = sum(size for size, _ in segments)
    return {**shown, "tokens": tokens, "answer_tokens": sum(size for size, trained in segments if trained)}


def spoken(made: Assembled) -> Iterator[dict[str, Any]]:
    """What is said in a row in its order, as it is trained; ``loss``: whether it is learned."""
    tools = tuple(text.text for text in made.texts if text.role == "tool" and text.text)
    for turn in made.turns:
        if turn.system:
            yield {"role": "system", "text": turn.system, "loss": False}
        if turn.input:
            role = "tool" if tools and turn.input.startswith(tools) else "user"
            yield {"role": role, "text": turn.input, "loss": False}
        yield {"role": "assistant", "text": turn.output, "loss": turn.trained}


def show_rows(console: Console, result: dict[str, Any]) -> None:
    """The rows as they are trained, then what is not."""
    named = say(f"format.{result['format']}")
    line(console, say("check.about", path=result["file"], format=named, reason=result["reason"]))
    for key, values in said_of_tables([Table(**one) for one in result["tables"]]):
        line(console, say(WITH_SHEET.get(key, key), **values))
    for row in result["rows"][:SHOWN_ROWS]:
        line(console, "")
        line(console, say("page.data.row", number=row["row"]))
        for turn in row["turns"]:
            role = "unlearned" if turn["role"] == "assistant" and not turn["loss"] else turn["role"]
            line(console, "  " + say("show.turn", role=say(f"page.data.role.{role}"), text=turn["text"]))
        for note in row["notes"]:
            line(console, "  " + say("show.note", message=note["message"]))
    for row in result["not_trained"][:SHOWN_ROWS]:
        line(console, "")
        for problem in row["problems"]:
            line(console, say("row.problem", row=row["row"], message=problem["message"]))
    line(console, "")
    shown = min(SHOWN_ROWS, len(result["rows"]))
    if shown < result["count"]:
        line(console, say("cli.show.shown", shown=shown, count=result["count"]))
    show_accounts(console, result)


OPTIONS: Options = {
    "--row": {"type": whole_number(1, MOST_ROWS), "metavar": "N"},
    "--span": {"type": rows_span, "metavar": "A:B"},
}
COMMANDS: Commands = {
    "data show": (
        _show,
        (
            *("FILE", "--row", "--span", "--model", "--template"),
            *READ,
        ),
    ),
}
