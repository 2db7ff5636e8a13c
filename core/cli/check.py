"""``data check``: a data file looked at before it is trained. Returns what ``--json`` prints."""

import argparse
from pathlib import Path

from core.cli.arguments import whole_number
from core.cli.room import Commands, Options, Result, Task
from core.data.accounting import left_out, unused
from core.data.formats.shapes import FORMATS
from core.data.opening import Reading, open_data, reading_of
from core.data.unknown import said_of_tables, unknown_rows
from core.models.folder import find_model
from core.pace import Progress
from core.pipeline.tune_request import ready_tokenizer
from core.steps.check_request import CheckRequest
from core.wording import say
from core.workspace.data_paths import cache_of
from core.workspace.paths import Workspace

LEAVE_OUT = "--leave-out-broken"
# What the command line adds to a sentence: the option to choose with.
WITH_SHEET = {"source.not_read": "cli.source.not_read"}
# The limits of a recipe's max_length.
SHORTEST, LONGEST = 16, 1_048_576
READ = ("--format", "--column", "--sheet", "--ignore", "--keep-thoughts")


def asked_reading(options: argparse.Namespace) -> Reading:
    """What the options of READ say. Raises InvalidOption."""
    return reading_of(options.format, options.column, options.ignore, options.keep_thoughts, options.sheet)


def _asked(options: argparse.Namespace) -> CheckRequest:
    template = None if options.template == "auto" else options.template
    reading = asked_reading(options)
    person = (options.name or "", options.author or "")
    return CheckRequest(options.file, options.model, options.max_length, template, reading, *person)


def _check(workspace: Workspace, _: str, request: CheckRequest, shown: Progress) -> Result:
    from core.steps import check  # its libraries take a tenth of a second, which no other command needs

    find_model(workspace, request.model)
    open_data(request.file, cache_of(workspace), request.reading)  # what is wrong with it is said at once
    ready_tokenizer(workspace, request.model, shown)
    shown.stage("check")
    opened, report = check.run(workspace, request, shown.update)
    if opened.format:
        named = say(f"format.{report.format}")
        shown.say("check.about", path=request.file, format=named, reason=opened.reason)
    for key, values in said_of_tables(opened.source.tables):
        shown.say(WITH_SHEET.get(key, key), **values)
    if opened.format is None and opened.detected.looked:
        shown.say("cli.error.unknown_rows", **unknown_rows(opened.source).values)
    elif not report.usable:
        shown.say("cli.check.none_usable")
    return {
        **report.as_json(),
        "tables": [one.as_json() for one in opened.source.tables],
        "left_out": [one.as_json() for one in left_out(report.findings)],
        "unused": [one.as_json() for one in unused(report.unread)],
        "ok": report.usable > 0,
    }


OPTIONS: Options = {
    "--format": {"choices": FORMATS, "metavar": "|".join(FORMATS)},
    "--column": {"action": "append", "default": [], "metavar": "ROLE=NAME"},
    "--sheet": {"action": "append", "default": [], "metavar": "NAME"},
    LEAVE_OUT: {"action": "store_true"},
    "--ignore": {"action": "append", "default": [], "metavar": "KEY"},
    "--keep-thoughts": {"action": argparse.BooleanOptionalAction},
    "--max-length": {"type": whole_number(SHORTEST, LONGEST), "metavar": "N"},
    "--whose": {"metavar": "NAME"},
    "--author": {"metavar": "NAME"},
    "FILE": {"type": Path, "metavar": "FILE"},
}
COMMANDS: Commands = {
    "data check": (
        Task(CheckRequest, _asked, _check),
        ("FILE", "--model", "--max-length", "--template", "--whose", "--author", *READ),
    ),
}
