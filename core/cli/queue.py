"""The queue: who computes on this machine's devices and who waits, and changing the order."""

import argparse
from pathlib import Path

from core.cli.arguments import whole_number
from core.cli.room import Commands, Options, Rows
from core.pipeline import queued
from core.workspace.paths import Workspace
from core.workspace.user import user_name

MOST_POSITION = 1_000_000


def _queue(workspace: Workspace) -> Rows:
    return [one.as_json() for one in queued.queued(workspace).jobs]


def _job(options: argparse.Namespace, workspace: Workspace) -> Path:
    return queued.waiting_job(workspace, workspace.run(options.run).id)


def _list(_: argparse.Namespace, workspace: Workspace) -> Rows:
    return _queue(workspace)


def _move(options: argparse.Namespace, workspace: Workspace) -> Rows:
    queued.move(workspace, _job(options, workspace), options.position)
    return _queue(workspace)


def _cancel(options: argparse.Namespace, workspace: Workspace) -> Rows:
    queued.cancel(workspace, _job(options, workspace), user_name())
    return _queue(workspace)


def _now(options: argparse.Namespace, workspace: Workspace) -> Rows:
    queued.run_now(workspace, _job(options, workspace))
    return _queue(workspace)


OPTIONS: Options = {
    "--position": {"type": whole_number(1, MOST_POSITION), "default": 1, "metavar": "N"},
}
COMMANDS: Commands = {
    "queue": (_list, ()),
    "queue move": (_move, ("RUN", "--position")),
    "queue cancel": (_cancel, ("RUN",)),
    "queue now": (_now, ("RUN",)),
}
