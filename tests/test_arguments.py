"""argparse speaks our sentences: its messages are translated where it looks them up, not read back."""

import argparse
import ast
import inspect
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import pytest

from core.cli.arguments import COMPLAINTS, WORDS, Decimal, Parser
from core.cli.parser import COMMANDS, parse
from core.errors import InvalidOption
from core.wording import Language, say

# Said to whoever writes a parser, or by what no parser here has (FileType, abbreviations, actions that need a
# group of their own); a version of Python with another message fails the test that names them all.
OTHERS = {
    "%(prog)s: error: %(message)s\n",
    "%r is not callable",
    "'required' is an invalid argument for positionals",
    ".__call__() not defined",
    "ambiguous option: %(option)s could match %(matches)s",
    "argument %(argument_name)s: %(message)s",
    'argument "-" with mode %r',
    "can't open '%(filename)s': %(error)s",
    "cannot have multiple subparser arguments",
    "cannot merge actions - two groups are named %r",
    "conflicting option string: %s",
    "conflicting option strings: %s",
    "conflicting subparser alias: %s",
    "conflicting subparser: %s",
    "dest= is required for options like %r",
    "expected %s argument",
    "invalid conflict_resolution value: %r",
    "invalid option string %(option)r: must start with a character %(prefix_chars)r",
    "mutually exclusive arguments must be optional",
    "subcommands",
    "unexpected option string: %s",
    "unknown parser %(parser_name)r (choices: %(choices)s)",
}


def test_every_message_of_argparse_is_known() -> None:
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(argparse))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"_", "ngettext"}
        ):
            found |= {
                one.value
                for argument in node.args[: 1 + (node.func.id == "ngettext")]
                for one in ast.walk(argument)
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            }
    # what kwargs.pop is asked for
    assert found - {"title", "description"} == OTHERS | WORDS.keys() | COMPLAINTS.keys()


def one_of_each() -> Parser:
    parser = Parser(prog="scripts/run")
    parser.add_argument("--device", choices=["cpu", "cuda"])
    parser.add_argument("--rate", type=Decimal(0, 1))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--two", nargs=2)
    parser.add_argument("--some", nargs="+")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--from")
    either.add_argument("--to")
    return parser


def two_needed() -> Parser:
    parser = Parser(prog="scripts/run")
    parser.add_argument("--name", required=True)
    parser.add_argument("run")
    return parser


def one_needed() -> Parser:
    parser = Parser(prog="scripts/run")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--from")
    either.add_argument("--to")
    return parser


def of_commands() -> Parser:
    parser = Parser(prog="scripts/run")
    parser.add_subparsers(metavar="COMMAND").add_parser("train").add_argument("--rows", type=int)
    return parser


# What makes the parser, what it is given, and the key and values of the sentence.
Case = tuple[Callable[[], Parser], list[str], str, dict[str, object]]
CASES: list[Case] = [
    (
        one_of_each,
        ["--device", "x"],
        "choice",
        {"option": "--device", "choices": ("cpu", "cuda"), "near": ""},
    ),
    (one_of_each, ["--device"], "no_value", {"option": "--device"}),
    (one_of_each, ["--two", "a"], "no_value", {"option": "--two"}),
    (one_of_each, ["--some"], "no_value", {"option": "--some"}),
    (one_of_each, ["--quiet=yes"], "takes_no_value", {"option": "--quiet"}),
    (one_of_each, ["--rows", "many"], "type", {"option": "--rows", "value": "many"}),
    (one_of_each, ["--from", "a", "--to", "b"], "not_with", {"option": "--to", "other": "--from"}),
    (one_of_each, ["x", "y"], "unknown", {"names": "x y", "near": ""}),
    (two_needed, [], "required", {"names": ("--name", "run"), "count": 2}),
    (one_needed, [], "required_one", {"names": ("--from", "--to")}),
    (of_commands, ["trian"], "command", {"value": "trian", "near": ("train",)}),
    (of_commands, ["train", "--rows", "x"], "type", {"option": "--rows", "value": "x"}),
    # words of argparse's own, and marks of formats, in what a person wrote
    (
        one_of_each,
        ["--rows", "a (choose from %s)"],
        "type",
        {"option": "--rows", "value": "a (choose from %s)"},
    ),
    (one_of_each, ["--quiet=%(x)s {y}"], "takes_no_value", {"option": "--quiet"}),
]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("case", CASES, ids=[" ".join(case[1]) or case[0].__name__ for case in CASES])
def test_every_complaint_is_a_sentence_in_the_terminal_s_language(
    case: Case, language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, arguments, key, values = case
    monkeypatch.setenv("TUNEBOARD_LANG", language)
    # whatever language argparse itself would speak
    monkeypatch.setattr(argparse, "_", lambda text: text.upper())
    with pytest.raises(InvalidOption) as raised:
        make().parse_args(arguments)
    said = raised.value.values
    assert said["message"] == say(f"cli.wrong.{key}", language, **_told(values, language))
    assert said["help"] == ("scripts/run train --help" if "train" in arguments else "scripts/run --help")


def _told(values: dict[str, object], language: Language) -> dict[str, object]:
    """Several names as the language lists them."""
    listed = {
        name: say("row.list", language).join(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
    if near := listed.get("near"):
        listed["near"] = say("near", language, names=near)
    return listed


@pytest.mark.parametrize("value", ["2", "x (choose from %s)", "expected one argument"])
def test_a_type_s_own_reason_follows_its_option(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    with pytest.raises(InvalidOption) as raised:
        one_of_each().parse_args(["--rate", value])
    reason = say("cli.wrong.decimal", "en", value=value, low=0, high=1)
    assert raised.value.values["message"] == say("cli.wrong.value", "en", option="--rate", reason=reason)


@pytest.mark.parametrize(("language", "words"), [("en", "usage: options"), ("zh", "用法： 选项")])
def test_the_help_is_in_that_language(language: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", language)
    shown = one_of_each().format_help()
    assert all(word in shown for word in words.split())
    assert language == "en" or not any(word in shown for word in WORDS)


def test_others_in_this_process_keep_argparse_as_it_is() -> None:
    before = argparse._, argparse.ngettext  # type: ignore[attr-defined]
    with pytest.raises(InvalidOption):
        one_of_each().parse_args(["--rows", "x"])
    assert (argparse._, argparse.ngettext) == before  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", list(COMMANDS))
def test_chinese_help_has_chinese_punctuation(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "zh")
    with pytest.raises(SystemExit), redirect_stdout(StringIO()) as printed:
        parse([*command.split(), "--help"])
    assert not re.findall(r"[\u4e00-\u9fff）][,:;(]|[,;)][\u4e00-\u9fff]", printed.getvalue())


def test_several_that_are_required_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    with pytest.raises(InvalidOption, match="RUN, --what are required"):
        parse(["publish"])


def test_words_may_come_behind_options() -> None:
    found = parse(["ask", "RUN", "你是谁？", "--workspace", "w", "Who are you?", "--json", "2 + 2?"])
    assert found.question == ["你是谁？", "Who are you?", "2 + 2?"] and found.json
    assert parse(["ask", "RUN", "--workspace", "w", "Who are you?"]).question == ["Who are you?"]
    assert parse(["ask", "RUN", "--json"]).question == []
