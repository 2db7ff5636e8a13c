"""The stages of a run from a name to what is published, what runs there are, and what this machine has."""

import argparse
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from core.cli import check
from core.cli.arguments import MOST_ITERATIONS, whole_number
from core.cli.listing import runs_command
from core.cli.room import Commands, Options, Result, Task, can_go_on
from core.cli.slurm import in_slurm
from core.cli.terminal import ShownProgress, progress
from core.data.identity import LANGUAGES
from core.doctor import report
from core.errors import InvalidOption, JobRunning, TuneboardError
from core.pace import Cost, Progress
from core.pipeline import chain, chain_stages, checkpoints, took, tune, use
from core.pipeline.checkpoints import CheckpointsRequest
from core.pipeline.tune_request import MOST_RESUMES, TuneRequest, chosen_model
from core.pipeline.use import UseRequest
from core.publish import command as publishing
from core.publish import takes
from core.publish.publish import publish
from core.publish.request import PublishRequest
from core.recipe.recipe import MOST_DEVICES, Checkpoint, Method
from core.recipe.templates import template_names
from core.runs import CHAIN
from core.slurm.profile import read_profile
from core.steps import export, prepare
from core.steps.export import ExportRequest
from core.steps.own import AskRequest
from core.wording import say, spoken_language
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name

# What --checkpoint takes besides an iteration.
BEST = "best"


def _checkpoint(text: str) -> int | str:
    return text if text == BEST else whole_number(1, MOST_ITERATIONS)(text)


def _tune_request(options: argparse.Namespace) -> TuneRequest:
    return TuneRequest(
        name=options.name or "",
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
        as_it_is=getattr(options, "as_it_is", False),
        leave_out_broken=options.leave_out_broken,
        max_length=options.max_length,
        method=options.method,
        checkpoint=options.checkpoint,
        identity=not options.no_identity,
        document=options.document,
        auto_resume=getattr(options, "auto_resume", 0),
        devices=options.devices,
    )


@dataclass(frozen=True)
class _Tune(Task):
    """``tune --on PROFILE`` hands the whole chain to Slurm, and does not wait for it."""

    def __call__(self, options: argparse.Namespace, workspace: Workspace) -> Result:
        if not options.on:
            return super().__call__(options, workspace)
        profile = read_profile(workspace, options.on)
        self.first(options, workspace)
        if options.run:
            if options.restart:
                # Slurm begins a job anew after a node failed, and would restart the training each time.
                message = say("cli.wrong.not_with", option="--restart", other="--on")
                raise InvalidOption(message=message, help=f"scripts/run {options.kind} --help")
            run, by, language = workspace.run(options.run), user_name(), spoken_language()
            chain.go_on(workspace, run, by, language, profile, options.auto_resume, options.as_it_is)
        else:
            run = chain.start(workspace, self.asked(options), user_name(), spoken_language(), profile)
        return {"run": run.id, "profile": profile.name, **in_slurm(run.job(CHAIN))}


def _tune(workspace: Workspace, run: str, request: TuneRequest, shown: Progress) -> Result:
    there = workspace.run(run) if run else None
    if there:
        _tell_as_the_pages(workspace, there, shown)
    return tune.tune(workspace, request, shown, there)


def _tell_as_the_pages(workspace: Workspace, run: RunPaths, shown: Progress) -> None:
    """How far a chain is and how long it still takes, as everybody else says it."""
    if isinstance(shown, ShownProgress):
        shown.told = lambda: chain_stages.time_left(workspace, run)


def _costs(workspace: Workspace, request: TuneRequest) -> Mapping[str, Cost]:
    """What the stages cost here; nothing where the request is wrong, which is said later."""
    with suppress(TuneboardError):
        return took.costs_of(workspace, request)
    return {}


def tune_here(workspace: Workspace, run: str, request: TuneRequest, shown: Progress) -> Result:
    """Seen on the pages as what a page started is."""
    there = workspace.run(run) if run else None
    wanted = _wanted(there, request)
    if there and chain.is_live(there):  # said before its step is waited for
        raise JobRunning(folder=there.job(CHAIN))
    with ExitStack() as job:

        def begun(paths: RunPaths) -> None:
            shown.say("tune.run", run=paths.id)
            job.enter_context(can_go_on(workspace, "tune --run", paths.id))
            job.enter_context(chain.in_this_process(workspace, paths, wanted))
            _tell_as_the_pages(workspace, paths, shown)

        return tune.tune(workspace, wanted, shown, there, begun)


def _data_here(workspace: Workspace, run: str, request: TuneRequest, shown: Progress) -> Result:
    return _data(workspace, run, _wanted(workspace.run(run) if run else None, request), shown)


def _wanted(run: RunPaths | None, request: TuneRequest) -> TuneRequest:
    """What a run was asked to be, where it is one to go on with."""
    before = chain.asked_before(run) if run else None
    if before is None:
        return request
    wanted = replace(before, restart=request.restart, as_it_is=request.as_it_is)
    return replace(wanted, auto_resume=request.auto_resume or before.auto_resume)


def _refuse_another(options: argparse.Namespace, workspace: Workspace) -> None:
    """Raises InvalidOption without --run and --name, and for options beside --run that ask for something
    else than the run was asked to be."""
    help_of = f"scripts/run {options.kind} --help"
    if getattr(options, "as_it_is", False) and (message := _not_as_it_is(options)):
        raise InvalidOption(message=message, help=help_of)
    run = workspace.run(options.run) if options.run else None
    before = chain.asked_before(run) if run else None
    if before is None:
        if options.name is None:
            names = "--name" if run else "--name | --run"
            raise InvalidOption(message=say("cli.wrong.required", names=names, count=1), help=help_of)
        return
    now = _tune_request(options)
    same = {
        option: getattr(now, field) == getattr(before, field)
        for option, field in FIELDS.items()
        if option in options.given
    }
    if now.data and before.data:
        same["--data"] = now.data.absolute() == before.data.absolute()
    if "--model" in same:
        same["--model"] = chosen_model(workspace, now.model) == chosen_model(workspace, before.model)
    if "--devices" in same:  # who said nothing has one
        same["--devices"] = now.devices_each == before.devices_each
    if others := [option for option, alike in same.items() if not alike]:
        message = say("cli.wrong.beside_run", names=", ".join(others), run=options.run)
        raise InvalidOption(message=message, help=help_of)


def _not_as_it_is(options: argparse.Namespace) -> str:
    """Why nothing can be made of what a run has learned so far; empty where it can."""
    if options.restart:
        return say("cli.wrong.not_with", option="--as-it-is", other="--restart")
    return "" if options.run else say("cli.wrong.required", names="--run", count=1)


def _data(workspace: Workspace, run: str, request: TuneRequest, shown: Progress) -> Result:
    made = tune.make_data(workspace, request, shown, workspace.run(run) if run else None)
    return {"run": made.id, "config": str(made.config), **(read_object(made.data) or {})}


def _train(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with (
        progress(options.kind, _training_cost(workspace, run)) as shown,
        can_go_on(workspace, "train", run.id),
    ):
        own = shown.clock
        # What the page says.
        shown.told = lambda: took.training_far(workspace, run) or (own.fraction, own.seconds())
        done = tune.run_train(run, shown, options.restart, options.devices)
    return {"run": run.id, "checkpoint": str(done.checkpoint), "iteration": done.iteration}


def _training_cost(workspace: Workspace, run: RunPaths) -> Mapping[str, Cost]:
    """What its training costs here; nothing where that cannot be trained, which is said later."""
    with suppress(TuneboardError):
        return {"train": took.training_cost(workspace, run, prepare.recipe_of(run), prepare.model_of(run))}
    return {}


def _checkpoints(workspace: Workspace, run: str, _: CheckpointsRequest, shown: Progress) -> Result:
    paths = workspace.run(run)
    return checkpoints.as_json(paths, checkpoints.prove(workspace, paths, shown))


def _use(workspace: Workspace, run: str, request: UseRequest, shown: Progress) -> Result:
    return use.use(workspace, workspace.run(run), request, shown)


def _use_request(options: argparse.Namespace) -> UseRequest:
    return UseRequest(None if options.checkpoint == BEST else options.checkpoint)


def _convert(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown, can_go_on(workspace, "convert", run.id):
        return {"run": run.id, **_converted(run, shown)}


def _converted(run: RunPaths, shown: Progress) -> dict[str, str]:
    """What converting made: the adapter, or of a full fine-tune the whole model."""
    made = str(tune.run_convert(run, shown))
    return {export.kinds_of(run)[0]: made}


def _merge(options: argparse.Namespace, workspace: Workspace) -> Result:
    run = workspace.run(options.run)
    with progress(options.kind) as shown, can_go_on(workspace, "merge", run.id):
        return {"run": run.id, "merged": str(tune.run_merge(run, shown))}


def _export(workspace: Workspace, run: str, _: ExportRequest, shown: Progress) -> Result:
    paths = workspace.run(run)
    made = _converted(paths, shown)
    merged = made.get("merged") or str(tune.run_merge(paths, shown))
    return {"run": paths.id, "adapter": made.get("adapter"), "merged": merged}


def _ask(workspace: Workspace, run: str, request: AskRequest, shown: Progress) -> Result:
    paths = workspace.run(run)
    if request.questions:
        return tune.ask_both(workspace, paths, list(request.questions), shown)
    return tune.run_compare(workspace, paths, shown)


def _publish(workspace: Workspace, run: str, request: PublishRequest, shown: Progress) -> Result:
    paths = workspace.run(run)
    if isinstance(shown, ShownProgress):
        with suppress(TuneboardError):  # which publishing says itself
            shown.expects(takes.costs(paths, request))
    return publish(workspace, paths, request, shown)


def _doctor(_: argparse.Namespace, workspace: Workspace) -> Result:
    return report(workspace)


OPTIONS: Options = {
    "--name": {"required": True, "metavar": "NAME"},
    "--who": {"metavar": "NAME"},
    "--data": {"type": Path, "metavar": "FILE"},
    "--model": {"metavar": "DIR"},
    "--no-replay": {"action": "store_true"},
    "--no-identity": {"action": "store_true"},
    "--document": {"action": argparse.BooleanOptionalAction},
    "--seed": {"type": whole_number(0, 2**32 - 1), "default": 42, "metavar": "N"},
    "--iterations": {"type": whole_number(1, MOST_ITERATIONS), "metavar": "N"},
    "--run": {"metavar": "RUN"},
    "--restart": {"action": "store_true"},
    "--as-it-is": {"action": "store_true"},
    "--on": {"metavar": "PROFILE"},
    "--auto-resume": {"type": whole_number(0, MOST_RESUMES), "default": 0, "metavar": "N"},
    "--devices": {"type": whole_number(1, MOST_DEVICES), "metavar": "N"},
    "--which": {
        "choices": get_args(Checkpoint),
        "default": "last",
        "metavar": "|".join(get_args(Checkpoint)),
    },
    "--checkpoint": {"type": _checkpoint, "required": True, "metavar": f"N|{BEST}"},
    "--system": {"default": "", "metavar": "TEXT"},
    "--language": {"choices": LANGUAGES, "metavar": "|".join(LANGUAGES)},
    "--template": {"choices": template_names(), "default": "auto", "metavar": "TEMPLATE"},
    "--template-reason": {"default": "", "metavar": "TEXT"},
    "--method": {"choices": get_args(Method), "default": "lora", "metavar": "|".join(get_args(Method))},
    "RUN": {"metavar": "RUN"},
    "QUESTION": {"metavar": "QUESTION", "nargs": "*"},
    **publishing.OPTIONS,
}
MAKE = (
    *("--who", "--data", "--document", "--no-identity", *check.READ, check.LEAVE_OUT, "--max-length"),
    *("--model", "--no-replay", "--seed", "--iterations", "--system", "--language"),
    *("--template", "--template-reason", "--method", "--which", "--devices"),
)
# Which field of a TuneRequest an option of MAKE is.
FIELDS = {
    **dict.fromkeys(check.READ, "reading"),
    "--name": "name",
    "--data": "data",
    check.LEAVE_OUT: "leave_out_broken",
    "--max-length": "max_length",
    "--model": "model",
    "--no-replay": "replay",
    "--no-identity": "identity",
    "--document": "document",
    "--seed": "seed",
    "--iterations": "iterations",
    "--system": "system",
    "--language": "language",
    "--template": "template",
    "--template-reason": "template_reason",
    "--method": "method",
    "--checkpoint": "checkpoint",
    "--devices": "devices",
}
COMMANDS: Commands = {
    "tune": (
        _Tune(TuneRequest, _tune_request, _tune, first=_refuse_another, here=tune_here, costs=_costs),
        (*MAKE, "--run", "--restart", "--as-it-is", "--auto-resume", "--on"),
    ),
    "data": (
        Task(TuneRequest, _tune_request, _data, first=_refuse_another, here=_data_here),
        (*MAKE, "--run"),
    ),
    "train": (_train, ("RUN", "--restart", "--devices")),
    "convert": (_convert, ("RUN",)),
    "merge": (_merge, ("RUN",)),
    "checkpoints": (Task(CheckpointsRequest, lambda _: CheckpointsRequest(), _checkpoints), ("RUN",)),
    "use": (Task(UseRequest, _use_request, _use), ("RUN", "--checkpoint")),
    "export": (Task(ExportRequest, lambda _: ExportRequest(), _export), ("RUN",)),
    "ask": (Task(AskRequest, lambda options: AskRequest(tuple(options.question)), _ask), ("RUN", "QUESTION")),
    "publish": (
        Task(PublishRequest, publishing.request_of, _publish, first=publishing.take_token),
        ("RUN", *publishing.OPTIONS),
    ),
    "runs": (runs_command, ()),
    "doctor": (_doctor, ()),
}
