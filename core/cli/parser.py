"""The commands and their options, of all rooms, as one parser."""

import argparse
from collections.abc import Sequence

from core.cli import check, configs, data, fix, models, rows, stages
from core.cli.arguments import COMMAND, Parser, grouped, joined
from core.cli.room import Commands, Options
from core.cli.serve import OPTIONS as SERVING
from core.cli.serve import add_options
from core.wording import say

ROOMS = (stages, models, configs, data, check, rows, fix)
COMMANDS: Commands = {name: command for room in ROOMS for name, command in room.COMMANDS.items()}
OPTIONS: Options = {option: settings for room in ROOMS for option, settings in room.OPTIONS.items()}
# Options whose sentence in ``locales/`` has another name than they have.
HELP = {"--who": "name", "--run": "go_on", "NAME": "config_name", "--where-to": "where_to"}
# One flag that means something else to another command.
FLAGS = {
    "--who": "--name",
    "--as": "--name",
    "--whose": "--name",
    "--where-to": "--to",
    "--span": "--rows",
    "--fixed": "--out",
}


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


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What the words of a command line ask for; ``command`` is absent where they name none. Raises
    InvalidOption."""
    words = joined(grouped(arguments, COMMANDS), _option_names())
    found = parser().parse_args(words)
    found.given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return found


def options_of(command: str) -> set[str]:
    """The options of one command, as they are typed."""
    return {FLAGS.get(option, option) for option in COMMANDS[command][1] if option.startswith("-")}


def _option_names() -> set[str]:
    return {option for command in COMMANDS for option in options_of(command)} | {
        "--workspace",
        "--json",
        "--help",
        "-h",
        *SERVING,
    }
