"""Models: which there are, and taking one in."""

import argparse

from core import importing
from core.commands.room import Commands, Options, Result
from core.hubs import HUBS, source_of
from core.paths import Workspace
from core.terminal import progress


def _models(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"models": [model.as_json() for model in importing.list_models(workspace)]}


def _import_model(options: argparse.Namespace, workspace: Workspace) -> Result:
    source = source_of(options.source, options.hub, options.revision)
    with progress(options.kind) as shown:
        return importing.take_in(workspace, source, options.name, options.copy, shown)


OPTIONS: Options = {
    "SOURCE": {"metavar": "DIR|REPO"},
    "--as": {"metavar": "NAME"},
    "--hub": {"choices": HUBS, "metavar": "|".join(HUBS)},
    "--revision": {"metavar": "REVISION"},
    "--copy": {"action": "store_true"},
}
COMMANDS: Commands = {
    "models": (_models, ()),
    "models import": (_import_model, ("SOURCE", "--as", "--hub", "--revision", "--copy")),
}
