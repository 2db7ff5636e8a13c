"""XTuner's own configs and work folders, in and out; what fits a card."""

import argparse
from datetime import datetime
from pathlib import Path

from core.cli.arguments import whole_number
from core.cli.room import Commands, Options, Result
from core.recipe.xtuner_file import catalog
from core.steps import adopt, configs, curves, fit
from core.workspace.paths import Workspace


def _fit(options: argparse.Namespace, workspace: Workspace) -> Result:
    return fit.report(workspace.run(options.run), options.card)


def _configs(options: argparse.Namespace, _: Workspace) -> Result:
    return configs.listing(options.word)


def _open_config(options: argparse.Namespace, workspace: Workspace) -> Result:
    return configs.opened(options.config, workspace)


def _copy_config(options: argparse.Namespace, _: Workspace) -> Result:
    return {"copy": str(catalog.copy(options.name, options.folder).absolute())}


def _curves(options: argparse.Namespace, workspace: Workspace) -> Result:
    return curves.of(workspace, options.where)


def _adopt(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = adopt.adopt(workspace, options.work_dir, options.model, datetime.now())
    return adopt.as_json(run)


OPTIONS: Options = {
    "--card": {"type": whole_number(1, 10_000), "metavar": "GB"},
    "WHERE": {"metavar": "RUN|DIR|FILE"},
    "WORK_DIR": {"type": Path, "metavar": "DIR"},
    "CONFIG": {"metavar": "NAME|FILE"},
    "NAME": {"metavar": "NAME"},
    "FOLDER": {"type": Path, "metavar": "FOLDER", "nargs": "?", "default": Path()},
    "WORD": {"metavar": "WORD", "nargs": "*"},
}
COMMANDS: Commands = {
    "runs adopt": (_adopt, ("WORK_DIR", "--model")),
    "runs curves": (_curves, ("WHERE",)),
    "fit": (_fit, ("RUN", "--card")),
    "configs": (_configs, ("WORD",)),
    "configs open": (_open_config, ("CONFIG",)),
    "configs copy": (_copy_config, ("NAME", "FOLDER")),
}
