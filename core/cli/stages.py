"""The stages of a run from a name to what is published, what runs there are, and what this machine has."""

import argparse
from pathlib import Path

from core.cli import check
from core.cli.arguments import MOST_ITERATIONS, whole_number
from core.cli.room import Commands, Options, Result
from core.cli.terminal import progress
from core.data.identity import LANGUAGES
from core.data.opening import reading_of
from core.doctor import report
from core.pipeline import tune
from core.pipeline.tune import TuneRequest
from core.publish import command as publishing
from core.recipe.templates import TEMPLATES
from core.runs import list_runs
from core.workspace.files import read_json
from core.workspace.paths import Workspace


def _wish(options: argparse.Namespace) -> TuneRequest:
    return TuneRequest(
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
        restart=getattr(options, "restart", False),
    )


def _tune(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run) if options.run else None
    with progress(options.kind) as shown:
        return tune.tune(workspace, _wish(options), shown, run)


def _data(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run) if options.run else None
    with progress(options.kind) as shown:
        run = tune.make_data(workspace, _wish(options), shown, run)
    return {"run": run.id, "config": str(run.config), **(read_json(run.data) or {})}


def _train(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        done = tune.run_train(run, shown, options.restart)
    return {"run": run.id, "checkpoint": str(done.checkpoint), "iteration": done.iteration}


def _convert(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        return {"run": run.id, "adapter": str(tune.run_convert(run, shown))}


def _merge(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        return {"run": run.id, "merged": str(tune.run_merge(run, shown))}


def _export(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        adapter = tune.run_convert(run, shown)
        return {"run": run.id, "adapter": str(adapter), "merged": str(tune.run_merge(run, shown))}


def _ask(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown:
        if options.question:
            return tune.ask_both(workspace, run, options.question, shown)
        return tune.run_compare(workspace, run, shown)


def _publish(options: argparse.Namespace, workspace: Workspace) -> Result:
    return publishing.run(options, workspace, lambda: progress(options.kind))


def _runs(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"runs": [run.as_json() for run in list_runs(workspace)]}


def _doctor(_: argparse.Namespace, workspace: Workspace) -> Result:
    return report(workspace)


OPTIONS: Options = {
    "--name": {"required": True, "metavar": "NAME"},
    "--data": {"type": Path, "metavar": "FILE"},
    "--model": {"metavar": "DIR"},
    "--no-replay": {"action": "store_true"},
    "--seed": {"type": whole_number(0, 2**32 - 1), "default": 42, "metavar": "N"},
    "--iterations": {"type": whole_number(1, MOST_ITERATIONS), "metavar": "N"},
    "--run": {"metavar": "RUN"},
    "--restart": {"action": "store_true"},
    "--system": {"default": "", "metavar": "TEXT"},
    "--language": {"choices": LANGUAGES, "metavar": "|".join(LANGUAGES)},
    "--template": {"choices": ("auto", *TEMPLATES), "default": "auto", "metavar": "TEMPLATE"},
    "--template-reason": {"default": "", "metavar": "TEXT"},
    "RUN": {"metavar": "RUN"},
    "QUESTION": {"metavar": "QUESTION", "nargs": "*"},
    **publishing.OPTIONS,
}
MAKE = (
    *("--name", "--data", *check.READ, "--model", "--no-replay", "--seed", "--iterations", "--system"),
    *("--language", "--template", "--template-reason"),
)
COMMANDS: Commands = {
    "tune": (_tune, (*MAKE, "--run", "--restart")),
    "data": (_data, (*MAKE, "--run")),
    "train": (_train, ("RUN", "--restart")),
    "convert": (_convert, ("RUN",)),
    "merge": (_merge, ("RUN",)),
    "export": (_export, ("RUN",)),
    "ask": (_ask, ("RUN", "QUESTION")),
    "publish": (_publish, ("RUN", *publishing.OPTIONS)),
    "runs": (_runs, ()),
    "doctor": (_doctor, ()),
}
