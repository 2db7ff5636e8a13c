"""The stages of a run from a name to what is published, what runs there are, and what this machine has."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from core.cli import check
from core.cli.arguments import MOST_ITERATIONS, whole_number
from core.cli.room import Commands, Options, Result, Task
from core.cli.terminal import progress
from core.data.identity import LANGUAGES
from core.doctor import report
from core.pace import Progress
from core.pipeline import chain, tune
from core.pipeline.tune import TuneRequest
from core.publish import command as publishing
from core.publish.publish import publish
from core.publish.request import PublishRequest
from core.recipe.templates import TEMPLATES
from core.runs import list_runs
from core.steps.export import ExportRequest
from core.steps.own import AskRequest
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace


def _tune_request(options: argparse.Namespace) -> TuneRequest:
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
        reading=check.asked_reading(options),
        restart=getattr(options, "restart", False),
        leave_out_broken=options.leave_out_broken,
        max_length=options.max_length,
    )


def _tune(workspace: Workspace, run: str, request: TuneRequest, shown: Progress) -> Result:
    return tune.tune(workspace, request, shown, workspace.run(run) if run else None)


def _tune_here(workspace: Workspace, run: str, request: TuneRequest, shown: Progress) -> Result:
    """Seen on the pages as what a page started is."""
    with ExitStack() as job:

        def begun(paths: RunPaths) -> None:
            job.enter_context(chain.in_this_process(workspace, paths, request))

        return tune.tune(workspace, request, shown, workspace.run(run) if run else None, begun)


def _data(workspace: Workspace, run: str, request: TuneRequest, shown: Progress) -> Result:
    made = tune.make_data(workspace, request, shown, workspace.run(run) if run else None)
    return {"run": made.id, "config": str(made.config), **(read_object(made.data) or {})}


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


def _export(workspace: Workspace, run: str, _: ExportRequest, shown: Progress) -> Result:
    paths = workspace.run(run)
    adapter = tune.run_convert(paths, shown)
    return {"run": paths.id, "adapter": str(adapter), "merged": str(tune.run_merge(paths, shown))}


def _ask(workspace: Workspace, run: str, request: AskRequest, shown: Progress) -> Result:
    paths = workspace.run(run)
    if request.questions:
        return tune.ask_both(workspace, paths, list(request.questions), shown)
    return tune.run_compare(workspace, paths, shown)


def _publish(workspace: Workspace, run: str, request: PublishRequest, shown: Progress) -> Result:
    return publish(workspace, workspace.run(run), request, shown)


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
    *("--name", "--data", *check.READ, check.LEAVE_OUT, "--max-length", "--model", "--no-replay", "--seed"),
    *("--iterations", "--system", "--language", "--template", "--template-reason"),
)
COMMANDS: Commands = {
    "tune": (Task(TuneRequest, _tune_request, _tune, here=_tune_here), (*MAKE, "--run", "--restart")),
    "data": (Task(TuneRequest, _tune_request, _data), (*MAKE, "--run")),
    "train": (_train, ("RUN", "--restart")),
    "convert": (_convert, ("RUN",)),
    "merge": (_merge, ("RUN",)),
    "export": (Task(ExportRequest, lambda _: ExportRequest(), _export), ("RUN",)),
    "ask": (Task(AskRequest, lambda options: AskRequest(tuple(options.question)), _ask), ("RUN", "QUESTION")),
    "publish": (
        Task(PublishRequest, publishing.request_of, _publish, first=publishing.take_token),
        ("RUN", *publishing.OPTIONS),
    ),
    "runs": (_runs, ()),
    "doctor": (_doctor, ()),
}
