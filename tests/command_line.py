"""The real command line in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.workspace.paths import PROJECT, Workspace
from tests import fast_engine, job_forks
from tests.forked_engine import SOCKET_VARIABLE
from tests.forks import forks
from tests.promised import hold

TIMEOUT = 120
Begin = Callable[..., "subprocess.Popen[str]"]


def environment(**added: str) -> dict[str, str]:
    """This one's, in English and without a workspace of its own; the engine is forked, or the fast
    one, where it is here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUNEBOARD", "LC_", "LANG", "PYTEST"))}
    if SOCKET_VARIABLE in kept:
        kept["TUNEBOARD_ENGINE"] = "tests.forked_engine"
    elif fast_engine.VARIABLE in kept:
        kept["TUNEBOARD_ENGINE"] = fast_engine.NAME
    return {**kept, "PYTHONPATH": str(PROJECT), "TUNEBOARD_LANG": "en", "COLUMNS": "80", **added}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "core", *map(os.fspath, arguments)]


def cli(
    *arguments: str | Path, cwd: Path, before: str = "", **added: str
) -> subprocess.CompletedProcess[str]:
    """Run the program; ``before`` is a shell's line that limits it first.

    Forked, unless the interpreter itself has to start otherwise than this one did.
    """
    if not before and not any(name.startswith("PYTHON") for name in added):
        return forks().run([*map(os.fspath, arguments)], cwd, environment(**added), TIMEOUT)
    line, whole = command(*arguments), environment(**added)
    if before:
        whole.pop(job_forks.VARIABLE, None)  # its jobs are limited as it is
        line = ["sh", "-c", f'{before}; exec "$@"', "sh", *line]
        # What is measured of its coverage would be the first to find no room; and Python 3.11 leaves half a
        # .pyc beside the program where a file may grow no further, which nobody could import after that.
        whole = {name: value for name, value in whole.items() if not name.startswith("COVERAGE_")}
        whole["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run(line, cwd=cwd, env=whole, capture_output=True, text=True, timeout=TIMEOUT)


@contextmanager
def programs(workspace: Workspace) -> Iterator[Begin]:
    """Begins commands in processes of their own, with the fast engine; none outlives the block."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str | Path, **added: str) -> "subprocess.Popen[str]":
        line = command(*words, "--workspace", workspace.root)
        about = environment(**{"TUNEBOARD_ENGINE": "tests.fake_engine", **added})
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(line, env=about, stdout=pipe, stderr=pipe, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.terminate()
        with suppress(ValueError):  # its output was read already
            process.communicate(timeout=TIMEOUT)


def last_json(done: subprocess.CompletedProcess[str]) -> Any:
    """What ``--json`` printed: the last line, and the only one. It is as ``docs/json`` promises."""
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return hold(done.args, json.loads(line))


def make_data(workspace: Workspace, model: Path, *arguments: str | Path, **added: str) -> dict[str, Any]:
    """A run made by ``data``, without training."""
    options = ("--model", model, "--workspace", workspace.root, "--json")
    return last_json(cli("data", *arguments, *options, cwd=workspace.root.parent, **added))
