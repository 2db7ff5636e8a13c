"""The command line: without a command it serves the dashboard; with one, a stage without a browser.

Progress and messages go to standard error; with ``--json`` the last line of standard output is the result.
Exit codes: 0 done, 1 failed, 2 cannot be done as asked, 130 interrupted, 141 nobody reads the output.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from core import check_command, data_commands, importing
from core import tune as chain
from core.arguments import MOST_ITERATIONS, Parser, grouped, joined, whole_number
from core.data.identity import LANGUAGES
from core.data.opening import reading_of
from core.doctor import report
from core.errors import StorageFailed, TuneboardError, reason_of
from core.files import read_json
from core.hubs import HUBS, source_of
from core.paths import Workspace
from core.publish import command as publishing
from core.recipe.templates import TEMPLATES
from core.recipe.xtuner_file import catalog
from core.runs import list_runs
from core.serve import OPTIONS, add_options, serve, serving
from core.steps import adopt, configs, curves, fit
from core.terminal import printable, progress, show
from core.tune import Wish
from core.wording import say

Result = dict[str, Any]
Command = Callable[[argparse.Namespace, Workspace], Result]


def parser() -> Parser:
    """The commands and their options."""
    main = Parser(prog="scripts/run", description=say("cli.about"))
    main.add_argument("--workspace", metavar="DIR", help=say("cli.option.workspace"))
    add_options(main)
    commands = main.add_subparsers(title=say("cli.commands"), metavar="COMMAND")
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
    known: dict[str, dict[str, Any]] = {
        "--name": {"required": True, "metavar": "NAME"},
        "--data": {"type": Path, "metavar": "FILE"},
        "--model": {"metavar": "DIR"},
        "--no-replay": {"action": "store_true"},
        "--seed": {"type": whole_number(0, 2**32 - 1), "default": 42, "metavar": "N"},
        "--iterations": {"type": whole_number(1, MOST_ITERATIONS), "metavar": "N"},
        "--run": {"metavar": "RUN"},
        "--system": {"default": "", "metavar": "TEXT"},
        "--language": {"choices": LANGUAGES, "metavar": "|".join(LANGUAGES)},
        "--as": {"metavar": "NAME"},
        "--hub": {"choices": HUBS, "metavar": "|".join(HUBS)},
        "--revision": {"metavar": "REVISION"},
        "--copy": {"action": "store_true"},
        "SOURCE": {"metavar": "DIR|REPO"},
        "RUN": {"metavar": "RUN"},
        "--card": {"type": whole_number(1, 10_000), "metavar": "GB"},
        "WHERE": {"metavar": "RUN|DIR"},
        "WORK_DIR": {"type": Path, "metavar": "DIR"},
        "CONFIG": {"metavar": "NAME|FILE"},
        "NAME": {"metavar": "NAME"},
        "FOLDER": {"type": Path, "metavar": "FOLDER", "nargs": "?", "default": Path()},
        "WORD": {"metavar": "WORD", "nargs": "*"},
        "QUESTION": {"metavar": "QUESTION", "nargs": "*"},
        **publishing.OPTIONS,
        "--template": {"choices": ("auto", *TEMPLATES), "default": "auto", "metavar": "TEMPLATE"},
        "--template-reason": {"default": "", "metavar": "TEXT"},
        **data_commands.OPTIONS,
        **check_command.OPTIONS,
    }
    settings = known[option]
    name = FLAGS.get(option, option) if option.startswith("--") else option.lower()
    command.add_argument(
        name, help=say(f"cli.option.{HELP.get(option) or option.strip('-').lower()}"), **settings
    )


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
        template=options.template,
        template_reason=options.template_reason,
        reading=reading_of(options.format, options.column),
    )


def _tune(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run) if options.run else None
    with progress(options.kind) as shown:
        return chain.tune(workspace, _wish(options), shown, run)


def _data(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run) if options.run else None
    with progress(options.kind) as shown:
        run = chain.make_data(workspace, _wish(options), shown, run)
    return {"run": run.id, "config": str(run.config), **(read_json(run.data) or {})}


def _train(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        done = chain.run_train(run, shown)
    return {"run": run.id, "checkpoint": str(done.checkpoint), "iteration": done.iteration}


def _convert(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        return {"run": run.id, "adapter": str(chain.run_convert(run, shown))}


def _merge(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        return {"run": run.id, "merged": str(chain.run_merge(run, shown))}


def _export(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        adapter = chain.run_convert(run, shown)
        return {"run": run.id, "adapter": str(adapter), "merged": str(chain.run_merge(run, shown))}


def _ask(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        if options.question:
            return chain.ask_both(workspace, run, options.question, shown)
        return chain.run_compare(workspace, run, shown)


def _publish(options: argparse.Namespace, workspace: Workspace) -> Result:
    return publishing.run(options, workspace, lambda: progress(options.kind))


def _fit(options: argparse.Namespace, workspace: Workspace) -> Result:
    return fit.report(workspace.run(options.run), options.card)


def _configs(options: argparse.Namespace, _: Workspace) -> Result:
    return configs.listing(options.word)


def _open_config(options: argparse.Namespace, _: Workspace) -> Result:
    return configs.opened(options.config)


def _copy_config(options: argparse.Namespace, _: Workspace) -> Result:
    return {"copy": str(catalog.copy(options.name, options.folder))}


def _curves(options: argparse.Namespace, workspace: Workspace) -> Result:
    return curves.of(workspace, options.where)


def _adopt(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = adopt.adopt(workspace, options.work_dir, options.model, datetime.now())
    return adopt.as_json(run)


def _models(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"models": [model.as_json() for model in importing.list_models(workspace)]}


def _import_model(options: argparse.Namespace, workspace: Workspace) -> Result:
    source = source_of(options.source, options.hub, options.revision)
    with progress(options.kind) as shown:
        return importing.take_in(workspace, source, options.name, options.copy, shown)


def _runs(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"runs": [run.as_json() for run in list_runs(workspace)]}


def _doctor(_: argparse.Namespace, workspace: Workspace) -> Result:
    return report(workspace)


HELP = {"--run": "go_on", "NAME": "config_name"}
# One flag that means something else to another command.
FLAGS = {"--as": "--name", "--place": "--to"}
MAKE = (
    "--name",
    "--data",
    *check_command.READ,
    "--model",
    "--no-replay",
    "--seed",
    "--iterations",
    "--system",
    "--language",
    "--template",
    "--template-reason",
)
COMMANDS: dict[str, tuple[Command, tuple[str, ...]]] = {
    "tune": (_tune, (*MAKE, "--run")),
    "data": (_data, (*MAKE, "--run")),
    "train": (_train, ("RUN",)),
    "convert": (_convert, ("RUN",)),
    "merge": (_merge, ("RUN",)),
    "export": (_export, ("RUN",)),
    "ask": (_ask, ("RUN", "QUESTION")),
    "publish": (_publish, ("RUN", *publishing.OPTIONS)),
    "models": (_models, ()),
    "models import": (_import_model, ("SOURCE", "--as", "--hub", "--revision", "--copy")),
    "runs": (_runs, ()),
    "runs adopt": (_adopt, ("WORK_DIR", "--model")),
    "runs curves": (_curves, ("WHERE",)),
    "fit": (_fit, ("RUN", "--card")),
    "configs": (_configs, ("WORD",)),
    "configs open": (_open_config, ("CONFIG",)),
    "configs copy": (_copy_config, ("NAME", "FOLDER")),
    "doctor": (_doctor, ()),
    **data_commands.COMMANDS,
    **check_command.COMMANDS,
}


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
    if "command" not in options:
        serve(serving(options), workspace)
    result = options.command(options, workspace)
    if options.json:
        _speak(encoding="utf-8", errors="backslashreplace")
        print(json.dumps(result, ensure_ascii=False), flush=True)
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
        *OPTIONS,
    }


def _speak(errors: str, encoding: str | None = None) -> None:
    """How standard output encodes: JSON is always UTF-8; elsewhere a terminal of another encoding shows a
    question mark rather than nothing."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors=errors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
