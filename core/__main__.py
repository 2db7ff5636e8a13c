"""The command line: without a command it serves the dashboard; with one, a stage without a browser.

Progress and messages go to standard error; with ``--json`` the last line of standard output is the result.
Exit codes: 0 done, 1 failed, 2 cannot be done as asked, 130 interrupted, 141 nobody reads the output.
"""

import locale
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from core.cli.listing import list_here, only_listing
from core.cli.room import Interrupted
from core.cli.serve import only_serving, serve, serving
from core.cli.terminal import printable
from core.cli.waiting import take_up_waiting
from core.errors import StorageFailed, TuneboardError, reason_of
from core.wording import say
from core.workspace.paths import Workspace


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code. No error reaches a person as a traceback."""
    try:
        return _run(arguments)
    except TuneboardError as error:
        print(printable("\n".join([error.on_terminal(), *error.advice])), file=sys.stderr)
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
    if options := only_serving(arguments):
        workspace = Workspace.of(options.workspace)
        workspace.find()
        workspace.keep_private()
        serve(serving(options), workspace)
    if options := only_listing(arguments):
        workspace = Workspace.of(options.workspace)
        workspace.find()
        workspace.keep_private()
        take_up_waiting(workspace)
        return list_here(options, workspace)
    # Most of a second's imports, which the dashboard's start does not wait for.
    from core.cli.command import run

    return run(arguments)


def speak_utf8() -> None:
    """Names of files, and what jobs write, are UTF-8 on every machine: in a session of another encoding (GBK,
    Latin-1) this process begins anew in Python's UTF-8 mode, which its jobs inherit. A terminal keeps its
    own."""
    if sys.getfilesystemencoding() != "utf-8":
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "PYTHONUTF8": "1"})  # nosec B606  # a list, no shell
    for stream in (sys.stdout, sys.stderr):
        if sys.flags.utf8_mode and isinstance(stream, TextIOWrapper) and stream.isatty():
            stream.reconfigure(encoding=locale.getencoding(), errors="replace")


if __name__ == "__main__":
    speak_utf8()
    sys.exit(main(sys.argv[1:]))
