"""Models: which there are, taking one in, and deleting one."""

import argparse
from pathlib import Path
from typing import get_args

from core.cli.room import Commands, Options, Result, Task
from core.model_store import choosing, importing, users
from core.model_store.importing import ImportRequest
from core.models.catalog import catalog, find
from core.models.hubs import HUBS, source_of
from core.pace import Progress
from core.pipeline import took
from core.wording import Language
from core.workspace.paths import Workspace


def _models(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"models": [model.as_json() for model in importing.list_models(workspace)]}


def _catalog(_: argparse.Namespace, workspace: Workspace) -> Result:
    found = took.offers(workspace)
    languages: tuple[Language, ...] = get_args(Language)
    advice = {known: choosing.recommended(found, known) for known in languages}
    return {
        "date": catalog().date,
        "models": [one.as_json() for one in found],
        "recommended": {known: one.entry.name if one else None for known, one in advice.items()},
    }


def _import_request(options: argparse.Namespace) -> ImportRequest:
    listed = None if options.revision else find(options.source)
    if listed and not Path(options.source).is_dir():
        return importing.listed_request(listed, options.hub, options.name)
    return ImportRequest(source_of(options.source, options.hub, options.revision), options.name, options.copy)


def _import_model(workspace: Workspace, _: str, request: ImportRequest, shown: Progress) -> Result:
    return importing.take_in(workspace, request, shown)


def _delete_model(options: argparse.Namespace, workspace: Workspace) -> Result:
    return users.delete(workspace, options.model_name, options.even_if_used)


OPTIONS: Options = {
    "SOURCE": {"metavar": "DIR|REPO|MODEL"},
    "--as": {"metavar": "NAME"},
    "--hub": {"choices": HUBS, "metavar": "|".join(HUBS)},
    "--revision": {"metavar": "REVISION"},
    "--copy": {"action": "store_true"},
    "MODEL_NAME": {"metavar": "NAME"},
    "--even-if-used": {"action": "store_true"},
}
COMMANDS: Commands = {
    "models": (_models, ()),
    "models catalog": (_catalog, ()),
    "models import": (
        Task(ImportRequest, _import_request, _import_model),
        ("SOURCE", "--as", "--hub", "--revision", "--copy"),
    ),
    "models delete": (_delete_model, ("MODEL_NAME", "--even-if-used")),
}
