"""What a room of commands holds."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from core.workspace.paths import Workspace

# The version of what ``--json`` prints: raised when a key is taken away or means something else (see docs).
SCHEMA = 1
# What ``--json`` prints, besides ``schema``.
Result = dict[str, Any]
Command = Callable[[argparse.Namespace, Workspace], Result]
# By name: the function, and the options it takes, each a key of Options.
Commands = Mapping[str, tuple[Command, tuple[str, ...]]]
# By option: what argparse's ``add_argument`` takes.
Options = Mapping[str, Mapping[str, Any]]
