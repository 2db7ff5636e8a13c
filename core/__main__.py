"""The command line: without a command it serves the dashboard; with one, a stage without a browser.

Progress and messages go to standard error; with ``--json`` the last line of standard output is the result.
Exit codes: 0 done, 1 failed, 2 cannot be done as asked, 130 interrupted, 141 nobody reads the output.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from core.cli.parser import options_of, parse
from core.cli.requests import perform
from core.cli.results import show
from core.cli.room import SCHEMA, Interrupted, Result
from core.cli.serve import serve, serving
from core.cli.terminal import printable
from core.errors import StorageFailed, TuneboardError, reason_of
from core.jobs.failure import leave_refusal
from core.jobs.request import JOB
from core.wording import say
from core.workspace.paths import Workspace


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code. No error reaches a person as a traceback."""
    try:
        return _run(arguments)
    except TuneboardError as error:
        print(printable(error.on_terminal()), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        _give_up_output()
        return 141
    except OSError as error:
        if not error.filename:
            _give_up_output()
        failed = StorageFailed(path=error.filename or say("file.standard_output"), reason=reason_of(error))
        print(printable(failed.on_terminal()), file=sys.stderr)
        return failed.exit_code
    except Interrupted as stopped:
        print(
            printable(say("cli.interrupted.run", run=stopped.run, command=stopped.command)), file=sys.stderr
        )
        return 130
    except KeyboardInterrupt:
        print(say("cli.interrupted"), file=sys.stderr)
        return 130


def _give_up_output() -> None:
    """Python would try once more to write at its end, and say that it could not."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str]) -> int:
    # Asked to end by a supervisor, it stops the running step as it does at the keyboard.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if len(arguments) == 2 and arguments[0] == JOB:
        return _print_json(_perform(Path(arguments[1])))
    options = parse(arguments)
    workspace = Workspace.of(options.workspace)
    workspace.keep_private()
    if "command" not in options:
        serve(serving(options), workspace)
    try:
        result = options.command(options, workspace)
    except TuneboardError as error:
        error.options, error.where = options_of(options.kind), workspace.option
        raise
    if options.json:
        return _print_json(result)
    _speak(errors="replace")
    show(options.kind, result, workspace.option)
    return _exit_code(result)


def _perform(folder: Path) -> Result:
    """What the job in ``folder`` is asked for; an error stays there for whoever asks why it failed."""
    try:
        return perform(folder)
    except TuneboardError as error:
        leave_refusal(folder, error)
        raise


def _print_json(result: Result) -> int:
    _speak(encoding="utf-8", errors="backslashreplace")
    print(json.dumps({**result, "schema": SCHEMA}, ensure_ascii=False), flush=True)
    return _exit_code(result)


def _exit_code(result: Result) -> int:
    return 0 if result.get("ok", True) else 1


def _speak(errors: str, encoding: str | None = None) -> None:
    """How standard output encodes: JSON is always UTF-8; elsewhere a terminal of another encoding shows a
    question mark rather than nothing."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors=errors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
