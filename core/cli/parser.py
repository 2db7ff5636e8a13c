"""The commands and their options, of all rooms, as one parser."""

import argparse
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import NoReturn

from core.cli import check, configs, data, failures, fix, foreign, models, queue, rows, slurm, stages, sweep
from core.cli.arguments import COMMAND, Parser, grouped, joined
from core.cli.room import Commands, Options
from core.cli.serve import OPTIONS as SERVING
from core.cli.serve import add_options
from core.errors import InvalidOption
from core.wording import did_you_mean, say

ROOMS = (stages, sweep, failures, foreign, models, configs, data, check, rows, fix, queue, slurm)
COMMANDS: Commands = {name: command for room in ROOMS for name, command in room.COMMANDS.items()}
OPTIONS: Options = {option: settings for room in ROOMS for option, settings in room.OPTIONS.items()}
# Options whose sentence in ``locales/`` has another name than they have.
HELP = {
    "--who": "name",
    "--run": "go_on",
    "NAME": "config_name",
    "--where-to": "where_to",
    "--tuned-from": "tuned_from",
    "--its-adapter": "adapter",
    "--of-base": "tuned_from",
    "[RUN]": "run",
    "[RECIPE]": "sweep_recipe",
    "--go-on": "go_on_sweep",
    "--in-slurm": "in_slurm",
}
# One flag that means something else to another command.
FLAGS = {
    "--who": "--name",
    "--as": "--name",
    "--whose": "--name",
    "--where-to": "--to",
    "--span": "--rows",
    "--fixed": "--out",
    "--which": "--checkpoint",
    "--tuned-from": "--base",
    "--its-adapter": "--adapter",
    "--of-base": "--base",
    "--in-slurm": "--on",
    "[RUN]": "run",
    "[RECIPE]": "recipe",
}


# The program's own options that have a value.
BEFORE_COMMAND = ("--workspace", "--port", "--address", "--base-url-path", "--proxy")


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
    name = FLAGS.get(option, option if option.startswith("--") else option.lower())
    sentence = say(f"cli.option.{HELP.get(option) or option.strip('-').lower()}")
    command.add_argument(name, help=sentence, **OPTIONS[option])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What the words of a command line ask for; ``command`` is absent where they name none. Raises
    InvalidOption."""
    words = joined(grouped(arguments, COMMANDS), _option_names())
    _refuse_unknown(words)
    found = parser().parse_args(words)
    found.given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return found


def _refuse_unknown(words: Sequence[str]) -> None:
    """An option or a command that there is none of is said before what is missing, which may be what it was
    meant to be. Raises InvalidOption."""
    valued = {place + 1 for place, word in enumerate(words) if word in BEFORE_COMMAND}
    plain = (place for place, word in enumerate(words) if place not in valued and word[:1] != "-")
    place = next(plain, len(words))
    _refuse_options(words[:place], {"--workspace", "--help", "--json", *SERVING}, "scripts/run")
    if place == len(words) or words[place] not in COMMANDS:
        return
    command, rest = words[place], words[place + 1 :]
    rest = rest[: rest.index("--")] if "--" in rest else rest
    if rest and not rest[0].startswith("-") and not _takes_words(command):
        _refuse_command(command, [*takewhile(lambda word: not word.startswith("-"), rest[:2])])
    known = options_of(command) | {"--workspace", "--json", "--help"}
    _refuse_options(rest, known, f"scripts/run {command}")


def _refuse_options(words: Sequence[str], known: Collection[str], program: str) -> None:
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and len(name) > len("--") and name not in known:
            near = did_you_mean(name, dict.fromkeys(known, ()))
            _complain(say("cli.wrong.unknown", names=name, near=near), program)


def _refuse_command(command: str, given: Sequence[str]) -> None:
    """``data make`` or ``data chekc``: words after a command that takes none and has others below it."""
    below = {name.removeprefix(f"{command} "): name for name in COMMANDS if name.startswith(f"{command} ")}
    if not below:
        return
    group = [name for rest, name in below.items() if rest.startswith(f"{given[0]} ")]
    near = did_you_mean(" ".join(given), {name: (rest,) for rest, name in below.items()})
    if group and len(given) == 1:
        near = say("near", names=say("row.list").join(group))
    shown = " ".join([command, *given]) if group else f"{command} {given[0]}"
    _complain(say("cli.wrong.command", value=shown, near=near), f"scripts/run {command}")


def _takes_words(command: str) -> bool:
    return any(not option.startswith("-") for option in COMMANDS[command][1])


def _complain(message: str, program: str) -> NoReturn:
    raise InvalidOption(message=message, help=f"{program} --help")


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
