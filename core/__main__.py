"""The command line: without a command it serves the dashboard; with one, a stage without a browser.

Progress and messages go to standard error; with ``--json`` the last line of standard output is the result.
Exit codes: 0 done, 1 failed, 2 cannot be done as asked, 130 interrupted, 141 nobody reads the output.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from core.cli import check, configs, data, models, stages
from core.cli.arguments import COMMAND, Parser, grouped, joined
from core.cli.results import show
from core.cli.room import SCHEMA, Commands, Options
from core.cli.serve import OPTIONS as SERVING
from core.cli.serve import add_options, serve, serving
from core.cli.terminal import printable
from core.errors import StorageFailed, TuneboardError, reason_of
from core.wording import say
from core.workspace.paths import Workspace

ROOMS = (stages, models, configs, data, check)
COMMANDS: Commands = {name: command for room in ROOMS for name, command in room.COMMANDS.items()}
OPTIONS: Options = {option: settings for room in ROOMS for option, settings in room.OPTIONS.items()}
# Options whose sentence in ``locales/`` has another name than they have.
HELP = {"--run": "go_on", "NAME": "config_name", "--where-to": "where_to"}
# One flag that means something else to another command.
FLAGS = {"--as": "--name", "--where-to": "--to"}


def parser() -> Parser:
    """The commands and their options."""
    main = Parser(prog="scripts/run", description=say("cli.about"))
    main.add_argument("--workspace", metavar="DIR", help=say("cli.option.workspace"))
    add_options(main)
    commands = main.add_subparsers(title=say("cli.commands"), metavar=COMMAND)
    for name, (run, options) in COMMANDS.items():
        sentence = say(f"cli.{name.replace(' ', '.')}")
        command = commands.add_parser(name, help=sentence, description=sentence)
        command.set_defaults(command=run, kind=name)
        for option in options:
            _add(command, option)
        command.add_argument(
            "--workspace", metavar="DIR", default=argparse.SUPPRESS, help=say("cli.option.workspace")
        )
        command.add_argument("--json", action="store_true", help=say("cli.option.json"))
    return main


def _add(command: argparse.ArgumentParser, option: str) -> None:
    name = FLAGS.get(option, option) if option.startswith("--") else option.lower()
    sentence = say(f"cli.option.{HELP.get(option) or option.strip('-').lower()}")
    command.add_argument(name, help=sentence, **OPTIONS[option])


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code. No error reaches a person as a traceback."""
    try:
        return _run(arguments)
    except TuneboardError as error:
        print(printable(error.text()), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Python would try once more to write at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        failed = StorageFailed(path=error.filename or say("file.standard_output"), reason=reason_of(error))
        print(printable(failed.text()), file=sys.stderr)
        return failed.exit_code
    except KeyboardInterrupt:
        print(say("cli.interrupted"), file=sys.stderr)
        return 130


def _run(arguments: Sequence[str]) -> int:
    # Asked to end by a supervisor, it stops the running step as it does at the keyboard.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parser().parse_args(joined(grouped(arguments, COMMANDS), _option_names()))
    workspace = Workspace.of(options.workspace)
    workspace.keep_private()
    if "command" not in options:
        serve(serving(options), workspace)
    result = options.command(options, workspace)
    if options.json:
        _speak(encoding="utf-8", errors="backslashreplace")
        print(json.dumps({**result, "schema": SCHEMA}, ensure_ascii=False), flush=True)
    else:
        _speak(errors="replace")
        show(options.kind, result)
    return 0 if result.get("ok", True) else 1


def _option_names() -> set[str]:
    named = {option for _, options in COMMANDS.values() for option in options if option.startswith("-")}
    return {FLAGS.get(option, option) for option in named} | {
        "--workspace",
        "--json",
        "--help",
        "-h",
        *SERVING,
    }


def _speak(errors: str, encoding: str | None = None) -> None:
    """How standard output encodes: JSON is always UTF-8; elsewhere a terminal of another encoding shows a
    question mark rather than nothing."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors=errors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
