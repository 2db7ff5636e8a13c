"""What a room of commands holds."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.cli.terminal import progress
from core.pace import Cost, Progress
from core.workspace.paths import Workspace

# The version of what ``--json`` prints: raised when a key is taken away or means something else (see docs).
SCHEMA = 1
# What ``--json`` prints, besides ``schema``.
Result = dict[str, Any]
# Or its rows alone, which have no place for a version: what more a row says is added to it.
Rows = list[dict[str, Any]]
Command = Callable[[argparse.Namespace, Workspace], Result | Rows]
# By name: the function, and the options it takes, each a key of Options.
Commands = Mapping[str, tuple[Command, tuple[str, ...]]]
# By option: what argparse's ``add_argument`` takes.
Options = Mapping[str, Mapping[str, Any]]


class Interrupted(KeyboardInterrupt):
    """Somebody stopped a command that can go on: the run it is about, and the command that does."""

    def __init__(self, run: str, command: str) -> None:
        super().__init__(run, command)
        self.run, self.command = run, command


@contextmanager
def can_go_on(workspace: Workspace, command: str, run: str) -> Iterator[None]:
    """What is interrupted in the block says how it goes on; ``command``: ``tune --run`` or the like."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise Interrupted(run, f"scripts/run {command} {run}{workspace.option}") from stopped


@dataclass(frozen=True)
class Task:
    """A command that a page can start as a job as well: both say what they want as one dataclass.

    ``kind`` is that dataclass, or either of two, ``asked`` reads it from the command line's options, ``do``
    does it, with the id of the run it is about, empty for none. ``first`` is what only somebody at a terminal
    can do before, ``here`` how it is done there where that is another way; ``costs``: what its
    stages cost here.
    """

    kind: Any
    asked: Callable[[argparse.Namespace], Any]
    do: Callable[[Workspace, str, Any, Progress], Result]
    first: Callable[[argparse.Namespace, Workspace], None] = lambda *_: None
    here: Callable[[Workspace, str, Any, Progress], Result] | None = None
    costs: Callable[[Workspace, Any], Mapping[str, Cost]] = lambda *_: {}

    def __call__(self, options: argparse.Namespace, workspace: Workspace) -> Result:
        request = self.asked(options)
        self.first(options, workspace)
        with progress(options.kind, self.costs(workspace, request)) as shown:
            return (self.here or self.do)(workspace, run_of(options), request, shown)


def run_of(options: argparse.Namespace) -> str:
    """The run that a command is about; empty where it names none."""
    return getattr(options, "run", None) or ""
