"""The command line: without a command it serves the dashboard; with one, a stage without a browser.

Progress and messages go to standard error; with ``--json`` the last line of standard output is the result.
Exit codes: 0 done, 1 failed, 2 cannot be done as asked, 130 interrupted.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core import tune as chain
from core.data.identity import LANGUAGES
from core.doctor import report
from core.errors import InvalidOption, TuneboardError
from core.files import read_json
from core.paths import Workspace
from core.runs import list_runs
from core.serve import add_options, serve, serving
from core.terminal import progress, show
from core.tune import Wish
from core.wording import say

Result = dict[str, Any]
Command = Callable[[argparse.Namespace, Workspace], Result]


class Parser(argparse.ArgumentParser):
    """argparse, with its complaint as one sentence that says what to do."""

    def error(self, message: str) -> NoReturn:
        raise InvalidOption(message=message, help=f"scripts/run {' '.join(self.prog.split()[1:])} --help")


def parser() -> Parser:
    """The commands and their options."""
    main = Parser(prog="scripts/run", description=say("cli.about"), allow_abbrev=False)
    main.add_argument("--workspace", type=Path, metavar="DIR", help=say("cli.option.workspace"))
    add_options(main)
    commands = main.add_subparsers(title=say("cli.commands"), metavar="COMMAND")
    for name, (run, options) in COMMANDS.items():
        command = commands.add_parser(
            name, help=say(f"cli.{name}"), description=say(f"cli.{name}"), allow_abbrev=False
        )
        command.set_defaults(command=run, kind=name)
        for option in options:
            _add(command, option)
        command.add_argument(
            "--workspace",
            type=Path,
            metavar="DIR",
            default=argparse.SUPPRESS,
            help=say("cli.option.workspace"),
        )
        command.add_argument("--json", action="store_true", help=say("cli.option.json"))
    return main


def _add(command: argparse.ArgumentParser, option: str) -> None:
    known: dict[str, dict[str, Any]] = {
        "--name": {"required": True, "metavar": "NAME"},
        "--data": {"type": Path, "metavar": "FILE"},
        "--model": {"metavar": "DIR"},
        "--no-replay": {"action": "store_true"},
        "--seed": {"type": _count, "default": 42, "metavar": "N"},
        "--iterations": {"type": _positive, "metavar": "N"},
        "--run": {"metavar": "RUN"},
        "--system": {"default": "", "metavar": "TEXT"},
        "--language": {"choices": LANGUAGES, "metavar": "|".join(LANGUAGES)},
        "RUN": {"metavar": "RUN"},
        "QUESTION": {"metavar": "QUESTION", "nargs": "*"},
    }
    settings = known[option]
    name = option if option.startswith("--") else option.lower()
    command.add_argument(
        name, help=say(f"cli.option.{HELP.get(option) or option.strip('-').lower()}"), **settings
    )


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise ValueError(text)
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _wish(options: argparse.Namespace) -> Wish:
    return Wish(
        name=options.name,
        data=options.data,
        model=options.model,
        replay=not options.no_replay,
        seed=options.seed,
        iterations=options.iterations,
        system=options.system,
        language=options.language,
    )


def _tune(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run) if options.run else None
    with progress() as shown:
        return chain.tune(workspace, _wish(options), shown, run)


def _data(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run) if options.run else None
    with progress() as shown:
        run = chain.make_data(workspace, _wish(options), shown, run)
    return {"run": run.id, "config": str(run.config), **(read_json(run.data) or {})}


def _train(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress() as shown:
        done = chain.run_train(run, shown)
    return {"run": run.id, "checkpoint": str(done.checkpoint), "iteration": done.iteration}


def _convert(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress() as shown:
        return {"run": run.id, "adapter": str(chain.run_convert(run, shown))}


def _merge(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress() as shown:
        return {"run": run.id, "merged": str(chain.run_merge(run, shown))}


def _export(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress() as shown:
        adapter = chain.run_convert(run, shown)
        return {"run": run.id, "adapter": str(adapter), "merged": str(chain.run_merge(run, shown))}


def _ask(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress() as shown:
        if options.question:
            return chain.ask_both(workspace, run, options.question, shown)
        return chain.run_compare(workspace, run, shown)


def _runs(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"runs": [run.as_json() for run in list_runs(workspace)]}


def _doctor(_: argparse.Namespace, workspace: Workspace) -> Result:
    return report(workspace)


HELP = {"--run": "go_on"}
MAKE = ("--name", "--data", "--model", "--no-replay", "--seed", "--iterations", "--system", "--language")
COMMANDS: dict[str, tuple[Command, tuple[str, ...]]] = {
    "tune": (_tune, (*MAKE, "--run")),
    "data": (_data, (*MAKE, "--run")),
    "train": (_train, ("RUN",)),
    "convert": (_convert, ("RUN",)),
    "merge": (_merge, ("RUN",)),
    "export": (_export, ("RUN",)),
    "ask": (_ask, ("RUN", "QUESTION")),
    "runs": (_runs, ()),
    "doctor": (_doctor, ()),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code. No error reaches a person as a traceback."""
    try:
        # Asked to end by a supervisor, it stops the running step as it does at the keyboard.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        options = parser().parse_args(arguments)
        workspace = Workspace.of(options.workspace)
        if "command" not in options:
            serve(serving(options), workspace)
        result = options.command(options, workspace)
        if options.json:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        else:
            show(options.kind, result)
        return 0 if result.get("ok", True) else 1
    except TuneboardError as error:
        print(error.text(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(say("cli.interrupted"), file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
