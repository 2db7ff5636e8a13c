"""argparse as this program speaks: every complaint one sentence that says what to do, in the terminal's
language, and values that begin with a dash taken as values where a person's own words stand."""

import argparse
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from core.errors import InvalidOption
from core.wording import say

MOST_ITERATIONS = 1_000_000
MOST_TOKENS = 100_000_000
# Options whose value is a person's own words, which may begin with a dash.
OWN_WORDS = ("--name", "--system", "--template-reason", "--role")
# argparse's messages (Python 3.11 and 3.12) and the sentence for each, with the parts it names.
COMPLAINTS = (
    ("required", re.compile(r"the following arguments are required: (?P<names>.*)", re.DOTALL)),
    ("unknown", re.compile(r"unrecognized arguments: (?P<names>.*)", re.DOTALL)),
    ("command", re.compile(r"argument COMMAND: invalid choice: (?P<value>.*) \(choose from .*", re.DOTALL)),
    (
        "choice",
        re.compile(
            r"argument (?P<option>\S+): invalid choice: .* \(choose from (?P<choices>.*)\)", re.DOTALL
        ),
    ),
    ("no_value", re.compile(r"argument (?P<option>\S+): expected .* argument")),
    ("takes_no_value", re.compile(r"argument (?P<option>\S+): ignored explicit argument .*", re.DOTALL)),
    ("value", re.compile(r"argument (?P<option>\S+): (?P<reason>.*)", re.DOTALL)),
)


class Help(argparse.HelpFormatter):
    """The help's own words in the terminal's language."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, say("cli.usage") if prefix is None else prefix)


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations. :meth:`parse_args` raises InvalidOption."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(add_help=False, allow_abbrev=False, formatter_class=Help, **settings)
        self._positionals.title, self._optionals.title = say("cli.arguments"), say("cli.options")
        self.add_argument("-h", "--help", action="help", help=say("cli.option.help"))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left over: a command's own parser complains, which knows where its help is."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left

    def error(self, message: str) -> NoReturn:
        raise InvalidOption(message=_sentence(message), help=" ".join([self.prog, "--help"]))


def _sentence(message: str) -> str:
    for key, pattern in COMPLAINTS:
        if match := pattern.fullmatch(message):
            return say(f"cli.wrong.{key}", **match.groupdict())
    return message


def joined(arguments: Sequence[str], options: Iterable[str]) -> list[str]:
    """``--name -x`` as ``--name=-x``: argparse takes anything with a dash for an option.

    A value that is itself one of ``options`` stays one: there the value was forgotten.
    """
    known, left = {*options}, list(arguments)
    result: list[str] = []
    while left:
        argument = left.pop(0)
        if argument == "--":
            return [*result, argument, *left]
        if argument in OWN_WORDS and left and left[0].startswith("-") and left[0] not in known:
            argument = f"{argument}={left.pop(0)}"
        result.append(argument)
    return result


def grouped(arguments: Sequence[str], commands: Iterable[str]) -> list[str]:
    """``runs adopt`` or ``data make identity`` as one word, where such a command is known: argparse knows one
    level of commands."""
    known = sorted((command.split() for command in commands), key=len, reverse=True)
    for place in range(len(arguments)):
        if place and arguments[place - 1] == "--workspace":
            continue
        for words in known:
            if list(arguments[place : place + len(words)]) == words:
                return [*arguments[:place], " ".join(words), *arguments[place + len(words) :]]
    return list(arguments)


def whole_number(low: int, high: int) -> "WholeNumber":
    """A whole number from ``low`` to ``high``, for ``type=``."""
    return WholeNumber(low, high)


class Decimal:
    """A number from ``low`` to ``high``, called by argparse with the text. Raises ArgumentTypeError."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, text: str) -> float:
        with suppress(ValueError):
            if self.low <= float(text) <= self.high:
                return float(text)
        raise argparse.ArgumentTypeError(say("cli.wrong.decimal", value=text, low=self.low, high=self.high))


class WholeNumber:
    """Called by argparse with the text. Raises ArgumentTypeError with the limits."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __call__(self, text: str) -> int:
        # No more digits than the limit has: Python refuses to read numbers of thousands of digits.
        if re.fullmatch(r"[+-]?[0-9]{1,20}", text) and self.low <= int(text) <= self.high:
            return int(text)
        raise argparse.ArgumentTypeError(say("cli.wrong.number", value=text, low=self.low, high=self.high))
