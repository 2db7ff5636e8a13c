"""argparse as this program speaks: every complaint one sentence that says what to do, in the terminal's
language, and values that begin with a dash taken as values where a person's own words stand."""

import argparse
import re
from ast import literal_eval
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from core.errors import InvalidOption
from core.wording import did_you_mean, say

MOST_ITERATIONS = 1_000_000
# Options whose value is a person's own words, which may begin with a dash.
OWN_WORDS = ("--name", "--author", "--system", "--template-reason", "--role")
# What argparse (Python 3.11 and 3.12) looks up by gettext: words of its help, and templates of complaints,
# each with its sentence in locales/ and the names of the values that argparse fills in, in their order.
WORDS = {
    "usage: ": "cli.usage",
    "positional arguments": "cli.arguments",
    "options": "cli.options",
    "show this help message and exit": "cli.option.help",
}
COMPLAINTS = {
    "the following arguments are required: %s": ("required", "names"),
    "one of the arguments %s is required": ("required_one", "names"),
    "unrecognized arguments: %s": ("unknown", "names"),
    "invalid choice: %(value)r (choose from %(choices)s)": ("choice", "value", "choices"),
    "not allowed with argument %s": ("not_with", "other"),
    "expected one argument": ("no_value",),
    "expected at most one argument": ("no_value",),
    "expected at least one argument": ("no_value",),
    "expected %s arguments": ("no_value", "count"),
    "ignored explicit argument %r": ("takes_no_value", "value"),
    "invalid %(type)s value: %(value)r": ("type", "type", "value"),
}
COMMAND = "COMMAND"
# A complaint on its way through argparse: this, its key, then name and value by turns. No argument holds NUL.
MARK = "\0"


class _Section(argparse.HelpFormatter._Section):
    """A part of the help, whose heading ends as one does in the language that is spoken."""

    def format_help(self) -> str:
        text = super().format_help()
        return text.replace(f"{self.heading}:\n", say("cli.heading", heading=self.heading) + "\n", 1)


class Formatter(argparse.HelpFormatter):
    """argparse's own help under our headings."""

    _Section = _Section  # type: ignore[assignment]


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations. :meth:`parse_args` raises InvalidOption."""

    def __init__(self, **settings: Any) -> None:
        with _our_words():
            super().__init__(allow_abbrev=False, exit_on_error=False, formatter_class=Formatter, **settings)

    def format_help(self) -> str:
        with _our_words():
            return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left over: a command's own parser complains, which knows where its help is."""
        with _our_words():
            try:
                found, left = super().parse_known_args(args, namespace)
            except argparse.ArgumentError as error:
                self._complain(_sentence(error.message, error.argument_name))
        if (many := self._many()) and not any(word.startswith("-") for word in left):
            # argparse closes a list of words at the first option: ``ask RUN --json QUESTION``.
            setattr(found, many.dest, [*(getattr(found, many.dest) or ()), *left])
            left = []
        if left:
            self._complain(say("cli.wrong.unknown", names=" ".join(left), near=self._near(left[0])))
        return found, left

    def _many(self) -> argparse.Action | None:
        """The words without a name that a command takes any number of, as they are typed."""
        return next(
            (one for one in self._get_positional_actions() if one.nargs == "*" and not one.type), None
        )

    def _near(self, word: str) -> str:
        known = dict.fromkeys(self._option_string_actions, ())
        return did_you_mean(word.partition("=")[0], known) if word.startswith("--") else ""

    def error(self, message: str) -> NoReturn:
        self._complain(_sentence(message))

    def _complain(self, sentence: str) -> NoReturn:
        raise InvalidOption(message=sentence, help=" ".join([self.prog, "--help"]))


@contextmanager
def _our_words() -> Iterator[None]:
    """argparse's gettext is ours; only for the block, because others in this process parse arguments too."""
    before = argparse._, argparse.ngettext  # type: ignore[attr-defined]
    argparse._ = _translated  # type: ignore[attr-defined]
    argparse.ngettext = lambda _, many, __: _translated(many)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        argparse._, argparse.ngettext = before  # type: ignore[attr-defined]


def _translated(template: str) -> str:
    if template in WORDS:
        return say(WORDS[template])
    if template not in COMPLAINTS:
        return template  # a mistake of whoever wrote the parser, not of whoever calls the program
    key, *names = COMPLAINTS[template]
    fields = re.findall(r"%(?:\(\w+\))?[rs]", template)
    return MARK.join(["", key, *(part for pair in zip(names, fields, strict=True) for part in pair)])


def _sentence(message: str, option: str | None = None) -> str:
    """The complaint that argparse filled in; ``option`` is whose value it is about. A type's own complaint
    (ArgumentTypeError) is a reason already."""
    before, *complaint = message.split(MARK)
    if before or not complaint:
        return message if option is None else say("cli.wrong.value", option=option, reason=message)
    key, *parts = complaint
    values: dict[str, object] = {**dict(zip(parts[::2], map(_as_written, parts[1::2]), strict=True))}
    if key == "choice":
        known = _items(parts[parts.index("choices") + 1])
        values["near"] = did_you_mean(str(values["value"]), {one: one.split()[-1:] for one in known})
        values["choices"] = say("row.list").join(known)
        key = "command" if option == COMMAND else key
    elif key in {"required", "required_one"}:
        names = str(values["names"]).split(", " if key == "required" else " ")
        values |= {"names": say("row.list").join(names), "count": len(names)}
    return say(f"cli.wrong.{key}", **{"option": option, **values})


def _as_written(value: str) -> str:
    """A value without the quotes that ``%r`` put around it."""
    with suppress(ValueError, SyntaxError):
        read = literal_eval(value)
        return read if isinstance(read, str) else value
    return value


def _items(choices: str) -> list[str]:
    """What may be chosen, as argparse lists it: in Python's quotes or without."""
    return [_as_written(one) for one in choices.split(", ")]


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
        raise argparse.ArgumentTypeError(
            say("cli.wrong.decimal", value=text, low=f"{self.low:.12g}", high=f"{self.high:.12g}")
        )


class WholeNumber:
    """Called by argparse with the text. Raises ArgumentTypeError with the limits."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __call__(self, text: str) -> int:
        # No more digits than the limit has: Python refuses to read numbers of thousands of digits.
        if re.fullmatch(r"[+-]?[0-9]{1,20}", text) and self.low <= int(text) <= self.high:
            return int(text)
        raise argparse.ArgumentTypeError(say("cli.wrong.number", value=text, low=self.low, high=self.high))
