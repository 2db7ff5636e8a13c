"""``data check``: a data file looked at before it is trained. Returns what ``--json`` prints."""

import argparse
from pathlib import Path

from core.cli.arguments import MOST_TOKENS, whole_number
from core.cli.room import Commands, Options, Result
from core.cli.terminal import progress
from core.data.formats.shapes import FORMATS
from core.data.opening import open_data, reading_of
from core.models.folder import find_model
from core.pipeline.tune import ready_tokenizer
from core.recipe.recipe import Recipe
from core.wording import say
from core.workspace.paths import Workspace, cache_of

READ = ("--format", "--column")


def _check(options: argparse.Namespace, workspace: Workspace) -> Result:
    from core.steps import check  # its libraries take a tenth of a second, which no other command needs

    reading = reading_of(options.format, options.column)
    template = None if options.template == "auto" else options.template
    request = check.CheckRequest(options.file, options.model, options.max_length, template, reading)
    find_model(workspace, options.model)
    open_data(request.file, cache_of(workspace), reading)  # what is wrong with the question is said at once
    with progress(options.kind) as shown:
        ready_tokenizer(workspace, options.model, shown)
        shown.stage("check")
        opened, report = check.run(workspace, request, shown.update)
        shown.say(
            "check.about", path=options.file, format=say(f"format.{report.format}"), reason=opened.reason
        )
    return report.as_json()


OPTIONS: Options = {
    "--format": {"choices": FORMATS, "metavar": "|".join(FORMATS)},
    "--column": {"action": "append", "default": [], "metavar": "ROLE=NAME"},
    "--max-length": {
        "type": whole_number(1, MOST_TOKENS),
        "default": Recipe.max_length,
        "metavar": "N",
    },
    "FILE": {"type": Path, "metavar": "FILE"},
}
COMMANDS: Commands = {
    "data check": (_check, ("FILE", "--model", "--max-length", "--template", *READ)),
}
