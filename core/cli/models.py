"""Models: which there are, taking one in, and deleting one."""

import argparse

from core.cli.room import Commands, Options, Result
from core.cli.terminal import progress
from core.model_store import importing, users
from core.models.hubs import HUBS, source_of
from core.workspace.paths import Workspace


def _models(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"models": [model.as_json() for model in importing.list_models(workspace)]}


def _import_model(options: argparse.Namespace, workspace: Workspace) -> Result:
    source = source_of(options.source, options.hub, options.revision)
    with progress(options.kind) as shown:
        return importing.take_in(workspace, source, options.name, options.copy, shown)


def _delete_model(options: argparse.Namespace, workspace: Workspace) -> Result:
    return users.delete(workspace, options.model_name, options.even_if_used)


OPTIONS: Options = {
    "SOURCE": {"metavar": "DIR|REPO"},
    "--as": {"metavar": "NAME"},
    "--hub": {"choices": HUBS, "metavar": "|".join(HUBS)},
    "--revision": {"metavar": "REVISION"},
    "--copy": {"action": "store_true"},
    "MODEL_NAME": {"metavar": "NAME"},
    "--even-if-used": {"action": "store_true"},
}
COMMANDS: Commands = {
    "models": (_models, ()),
    "models import": (_import_model, ("SOURCE", "--as", "--hub", "--revision", "--copy")),
    "models delete": (_delete_model, ("MODEL_NAME", "--even-if-used")),
}
