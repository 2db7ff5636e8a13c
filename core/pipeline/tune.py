"""The whole chain, step after step: from a name to an assistant that proves what it learned and kept."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import AdoptedRun, StepFailed, StepStopped
from core.jobs.again import resume_once_more
from core.jobs.launch import stop, wait
from core.jobs.live import LiveCurve
from core.jobs.status import State, is_live, state_of
from core.models.folder import read_shape
from core.pace import Progress
from core.pipeline import checkpoints as kept
from core.pipeline import crash, saying
from core.pipeline.tune_request import (
    TuneRequest,
    chosen_model,
    ready_model,
    recipe_asked_for,
    taught,
    with_thoughts,
)
from core.proof.asking import THOUGHT_TOKENS, Ask
from core.proof.questions import Question, own_questions, questions
from core.recipe.disk import disk_use
from core.recipe.recipe import Recipe
from core.runs import CHAIN, STEPS, introduce
from core.steps import (
    answer,
    chosen,
    convert,
    data,
    dividing,
    export,
    merge,
    prepare,
    proof,
    prove,
    resuming,
    train,
)
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.busy import busy
from core.steps.checkpoints import Trained, checkpoints, is_whole
from core.steps.health import Health, said_once
from core.steps.own import OWN_BASE, OWN_TUNED
from core.steps.step import check_space, run_job, warm
from core.steps.taught import Taught
from core.steps.watch import trained, worked
from core.wording import say
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, Workspace

OWN_TOKENS = 128


def tune(
    workspace: Workspace,
    request: TuneRequest,
    progress: Progress,
    run: RunPaths | None = None,
    begun: Callable[[RunPaths], object] = lambda _: None,
) -> dict[str, Any]:
    """Make the assistant that ``request`` asks for. Returns the result as ``--json`` prints it.

    In ``run``, a run's folder, it goes on: what was made there is not made again. ``begun`` is told the run
    before anything is made in it. Where a step crashes it goes on from there, as often as was asked.
    """
    made: list[RunPaths] = []

    def begun_once(paths: RunPaths) -> None:
        if not made:
            begun(paths)
            made.append(paths)

    with warm(lambda why: progress.say("tune.cold", why=why)):
        while True:
            try:
                return _tune(workspace, request, progress, run, begun_once)
            except StepFailed as error:
                if not made or not crash.is_crash(error):
                    raise
                run = made[-1]
                if (times := resume_once_more(run.job(CHAIN), request.auto_resume)) is None:
                    raise
                progress.say("tune.resumes", why=error.text(), times=times, most=request.auto_resume)
                request = replace(request, restart=False)


def _tune(
    workspace: Workspace,
    request: TuneRequest,
    progress: Progress,
    run: RunPaths | None,
    begun: Callable[[RunPaths], object],
) -> dict[str, Any]:
    began = time.monotonic()
    if run:
        outlast(run, progress)
    run = make_data(workspace, request, progress, run, begun)
    check_space(run.root, room_for(run, request.as_it_is))
    if request.as_it_is:
        progress.say("tune.as_it_is", iteration=chosen.used(run).iteration)
    elif request.restart or not trained_already(run):
        run_train(run, progress, restart=request.restart)
    kept.choose(workspace, run, progress)
    make_model(run, progress)
    return {**run_compare(workspace, run, progress), "seconds": round(time.monotonic() - began, 1)}


def outlast(run: RunPaths, progress: Progress) -> None:
    """Wait for the step that is at work: of a chain that was killed itself its step may still be."""
    for step in STEPS:
        folder = run.job(step)
        if is_live(folder):
            progress.say("tune.outlasts", step=say(f"stage.{step}"))
            try:
                wait(folder)
            except KeyboardInterrupt:
                stop(folder, by="keyboard")
                wait(folder)
                raise


def make_model(run: RunPaths, progress: Progress) -> None:
    """Convert and merge what is not made of the checkpoint that is used."""
    if not converted(run):
        run_convert(run, progress)
    if convert.makes_adapter(run) and not made(run, "merge", "merged"):
        run_merge(run, progress)


def room_for(run: RunPaths, as_it_is: bool = False) -> int:
    """Bytes that making a prepared run whole takes: checkpoints, unless it is left ``as_it_is``, adapter and
    merged model, as far as they are not there. Raises MissingArtefact, NoSuchModel."""
    recipe, model = prepare.recipe_of(run), prepare.model_of(run)
    use = disk_use(recipe, model, read_shape(model), prepare.iterations(run, recipe))
    adapter = 0 if converted(run) else use.adapter
    merged = 0 if made(run, "merge" if convert.makes_adapter(run) else "convert", "merged") else use.merged
    done = as_it_is or trained_already(run)
    return adapter + merged + (0 if done else prepare.space_for(run, recipe, model))


def trained_already(run: RunPaths) -> bool:
    """Whether nothing is left to train though the last checkpoint is not there to go on from: somebody
    deleted it, or it was damaged, after the adapter was made, and nothing of the run has changed."""
    left = checkpoints(run.work_dir)
    return (
        finished(run, "train")
        and not (left and is_whole(left[-1].checkpoint))
        and converted(run)
        and not resuming.changes_since(run)
    )


def prepared(run: RunPaths) -> bool:
    """Whether a run has its rows and its recipe: all that training takes."""
    return run.data.exists() and run.recipe.exists()


def finished(run: RunPaths, step: str) -> bool:
    """Whether a step's last job ended well."""
    return state_of(run.job(step)) is State.finished


def made(run: RunPaths, step: str, kind: export.Kind) -> bool:
    """Whether a step has made its artefact of what there is now: what was made of an earlier checkpoint, by
    whichever command, is made anew."""
    return finished(run, step) and any(a.kind == kind and not a.stale for a in export.artefacts(run))


def converted(run: RunPaths) -> bool:
    """Whether what converting makes is there, of what there is now."""
    return made(run, "convert", export.kinds_of(run)[0])


def make_data(
    workspace: Workspace,
    request: TuneRequest,
    progress: Progress,
    run: RunPaths | None = None,
    begun: Callable[[RunPaths], object] = lambda _: None,
) -> RunPaths:
    """Everything before training: a run (a new one, or ``run``) with its rows, recipe and config.

    What is wrong with the request is said before the run's folder is made and ``begun`` told of it.
    Raises InvalidName, NoSuchFile, NoSuchColumn, NotJson, NotConversations, NoUsableRow, EmptyData,
    UnreadKeys, NoSuchModel, NotAModel, QuantizedBase, NotWritable, DiskFull, InvalidRecipe.
    """
    if run is not None:
        if run.adopted.exists():
            raise AdoptedRun(run=run.id, folder=run.work_dir.resolve())
        begun(run)
        if prepared(run):
            _put_back_base(workspace, request, run, progress)
            return run
    said = taught(request)
    model = ready_model(workspace, request.model, progress)
    said = with_thoughts(said, request, model)
    saying.say_thoughts(said, progress)
    recipe = recipe_asked_for(request, said, model)
    if run is None:
        run = workspace.new_run(said.name, datetime.now())
        introduce(run, said.name)
        begun(run)
    saying.say_contents(said, progress, workspace.data(run.id).left_out)
    saying.say_template(recipe, model, progress)
    saying.say_fit(recipe, progress)
    saying.say_length(said, recipe, model, progress)
    wanted = data.base_asks(said, recipe) if request.replay else data.BaseAsks()
    saying.say_rows(said, recipe, bool(wanted.replayed), progress)
    proof_asks = list(dict.fromkeys(question.base_ask for question in proof_questions(said, recipe)))
    asks = [*wanted.replayed, *wanted.earlier, *proof_asks]
    if not wanted.replayed:
        progress.say("tune.asked_for_proof", count=len(proof_asks))
    memory = AnswerCache(workspace, model.folder, PromptFormat.of(recipe))

    def begins() -> None:  # a stage that asks nothing would make the pace look better than it is
        progress.stage("base")

    job = run.job("base")
    answers = memory.ask(job, asks, recipe.device, progress.update, wanted.replayed, begins)
    if shipped := memory.shipped_of(asks):
        progress.say("tune.base_shipped", **shipped)
    place = workspace.data(run.id)
    data.write_asked(run, place, said, wanted, answers, memory.teacher, recipe, model)
    saying.say_what_is_short(data.about_data(run), progress)
    prepare.prepare(run, recipe, model, place.rows)
    return run


def _put_back_base(workspace: Workspace, request: TuneRequest, run: RunPaths, progress: Progress) -> None:
    """Make or fetch the base of a prepared run where somebody has deleted it since. Raises as
    :func:`ready_model` does."""
    base = Path(prepare.recipe_of(run).model)
    if not base.exists() and chosen_model(workspace, request.model) == base:
        ready_model(workspace, request.model, progress)


def proof_questions(said: Taught, recipe: Recipe, full: bool = False) -> list[Question]:
    """What the proof of a run asks, in every way its model was taught; all there is where it is ``full``."""
    ways = (data.thinking_in(recipe), data.in_halves(recipe))
    asked = questions(said.name, said.conversations, *ways, full, said.identity)
    return [*asked, *own_questions(said.facts, ways[0])]


def _busy_once(run: RunPaths, progress: Progress) -> Callable[[], None]:
    """A poll of a training that says, once each, that other programs take the cores, and what that costs."""
    said: set[str] = set()

    def poll() -> None:
        found = None if "busy.slow" in said else busy(run, "train")
        if found and found.key not in said:
            said.add(found.key)
            progress.say(found.key, **found.values)

    return poll


def run_train(
    run: RunPaths, progress: Progress, restart: bool = False, devices: int | None = None
) -> Trained:
    """Train the prepared run; returns its last checkpoint.

    It goes on from the last whole checkpoint, and does nothing where the training is done already; with
    ``restart`` it begins anew, on so many ``devices`` from here on if that is said. Raises RecipeChanged when
    the checkpoint was trained with other settings.
    """
    if devices:
        dividing.put_on(run, devices, anew=restart)
    elif fewer := dividing.put_here(run, anew=restart):
        progress.say("train.fewer_devices", **asdict(fewer))
    recipe = prepare.in_line(run)
    train.refuse_mismatch(run)
    last = None if restart else resuming.going_on(run)
    spec = train.plan(run, recipe, last.checkpoint if last else None)
    if last and finished(run, "train") and last == checkpoints(run.work_dir)[-1]:
        progress.say("train.nothing_left", iteration=last.iteration)
        return last
    if last:
        saying.say_passed_over(run, progress)
        progress.say("train.goes_on", iteration=last.iteration)
    elif checkpoints(run.work_dir) and not restart:
        progress.say("train.none_whole")
    check_space(run.root, prepare.space_for(run, recipe, prepare.model_of(run)))
    progress.stage("train")
    told = trained(run.job("train"), run.work_dir, prepare.iterations(run, recipe), progress.update)
    warned = said_once(Health(run, recipe, LiveCurve(run.work_dir).snapshot), progress.say)
    crowded = _busy_once(run, progress)

    def poll() -> None:
        told()
        warned()
        crowded()

    try:
        run_job("train", run.job("train"), spec, poll, before=train.making_way(run, last))
    except (KeyboardInterrupt, StepStopped):
        if found := resuming.stopped(run):
            progress.say(found.key, **asdict(found))
        raise
    return train.read(run)


def run_convert(run: RunPaths, progress: Progress) -> Path:
    """Make the adapter; of a full fine-tune the whole model."""
    saying.say_passed_over(run, progress)
    spec = convert.plan(run)
    progress.stage("convert")
    run_job("convert", run.job("convert"), spec, worked(run.job("convert"), progress.update))
    return convert.read(run) if convert.makes_adapter(run) else merge.read(run).folder


def run_merge(run: RunPaths, progress: Progress) -> Path:
    """Make the merged model; of a full fine-tune it is there once that is converted."""
    if not convert.makes_adapter(run):
        found = merge.read(run).folder
        progress.say("merge.nothing_to_merge", folder=found)
        return found
    spec = merge.plan(run)
    progress.stage("merge")
    run_job("merge", run.job("merge"), spec, worked(run.job("merge"), progress.update))
    return merge.read(run).folder


def run_compare(
    workspace: Workspace, run: RunPaths, progress: Progress, full: bool = False
) -> dict[str, Any]:
    """Ask the merged model what the base was asked, judge both, and write the run's result; ``full``: ask all
    the questions, not the part that fits a chain's time."""
    began = time.monotonic()
    said, recipe = data.read(run), prepare.recipe_of(run)
    base, merged = prepare.model_of(run).folder, merge.read(run).folder
    known = proof.read(run)
    full = full or bool(known and known.full and not known.stale)  # no answer is thrown away
    progress.stage("ask")
    asked = proof_questions(said, recipe, full)
    found = prove.prove(
        workspace,
        prove.ProofJobs(run.job("base"), run.job("ask")),
        prove.BaseAndTuned(base, merged, PromptFormat.of(recipe), recipe.device),
        said.name,
        asked,
        progress.update,
        full,
    )
    memory = AnswerCache(workspace, base, PromptFormat.of(recipe))
    result = {
        "run": run.id,
        "base": str(base),
        "adapter": str(run.adapter) if convert.makes_adapter(run) else None,
        "merged": str(merged),
        "seconds": round(time.monotonic() - began, 1),
        "base_shipped": memory.shipped_of([question.base_ask for question in asked]),
        **found,
    }
    write_json(run.result, result)
    return result


def ask_both(workspace: Workspace, run: RunPaths, own: list[str], progress: Progress) -> dict[str, Any]:
    """Ask base and merged model a person's own questions."""
    recipe = prepare.recipe_of(run)
    base, merged = prepare.model_of(run).folder, merge.read(run).folder
    prompt_format = PromptFormat.of(recipe)
    thought = THOUGHT_TOKENS if data.thinking_in(recipe).thinks else 0
    asks = [Ask(question, OWN_TOKENS + thought) for question in own]
    progress.stage("ask")
    before = AnswerCache(workspace, base, prompt_format).ask(
        run.job(OWN_BASE), asks, recipe.device, progress.update
    )
    after = answer.ask(run.job(OWN_TUNED), merged, prompt_format, asks, recipe.device, progress.update)
    rows = [{"question": one.question, "base": before[one].text, "tuned": after[one].text} for one in asks]
    return {"run": run.id, "answers": rows}
