"""What a chain will take on this machine, before it starts and while it runs."""

import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from core.jobs.progress import JobProgress, job_progress
from core.model_store.choosing import model_of
from core.models.catalog import STARTER, catalog, find
from core.models.folder import Model, read_model
from core.pace import NOTHING, Clock, Cost, Mark
from core.pipeline.tune import (
    TuneRequest,
    chosen_model,
    prepared,
    proof_questions,
    recipe_asked_for,
    taught,
    with_thoughts,
)
from core.proof.development import development
from core.recipe.length import saves
from core.recipe.recipe import Recipe
from core.steps import data, train
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.expected import (
    REPLAYED_ROW,
    Workload,
    asked_tokens,
    device_of,
    expected,
    tokens_of,
    trained_tokens,
    usual_work,
)
from core.steps.taught import Taught
from core.workspace.paths import RunPaths, Workspace


def costs_of(workspace: Workspace, request: TuneRequest) -> dict[str, Cost]:
    """What each stage of a chain for ``request`` costs here; what is done already, as asking a base that has
    answered before, is left out.

    Takes about a second the first time. Raises as :func:`core.pipeline.tune.make_data` does.
    """
    folder = chosen_model(workspace, request.model)
    return expected(workspace, _work(workspace, request, folder), folder)


def costs_of_run(workspace: Workspace, run: RunPaths, request: TuneRequest) -> dict[str, Cost]:
    """The same for a run that is being made: by its own rows and recipe, once it has them, and of a training
    that goes on what is left of it. Its base has been asked then; what that took stays."""
    folder = chosen_model(workspace, request.model)
    work = _work(workspace, request, folder)
    if prepared(run):
        recipe = train.recipe_of(run)
        folder = Path(recipe.model)
        trained = _trained_by(run, recipe)
        work = replace(work, **trained, base=asked_tokens(run, "base"))
    return expected(workspace, work, folder)


def training_cost(workspace: Workspace, run: RunPaths, recipe: Recipe, model: Model) -> Cost:
    """What the training of a prepared run takes here by ``recipe``; of one that goes on, what is left."""
    untrained = Workload(device_of(recipe), recipe.method, model.parameters, model.size, 0.0, 0.0, 0.0)
    found = expected(workspace, replace(untrained, **_trained_by(run, recipe)), model.folder)
    return found.get("train", NOTHING)


def _trained_by(run: RunPaths, recipe: Recipe) -> dict[str, Any]:
    """Of a Workload what is known of a training once there are rows."""
    tokens = trained_tokens(run, recipe) * (1 - gone_on_from(run, recipe))
    return {"device": device_of(recipe), "method": recipe.method, "recipe": recipe, "train": tokens}


def gone_on_from(run: RunPaths, recipe: Recipe) -> float:
    """The share of a run's training that was behind before its job began, or will be; from 0 to 1."""
    whole = train.iterations(run, recipe)
    return min(1.0, train.goes_on_from(run) / whole) if whole else 0.0


def _work(workspace: Workspace, request: TuneRequest, folder: Path) -> Workload:
    said = taught(request)
    if not folder.exists():
        return _unseen(request, said, folder)
    model = read_model(folder)
    said = with_thoughts(said, request, model)
    recipe = recipe_asked_for(request, said, model)
    wanted = data.base_asks(said, recipe) if request.replay else data.BaseAsks()
    asked = proof_questions(said, recipe)
    base = [*wanted.replayed, *wanted.earlier, *(one.base_ask for one in asked)]
    missing = AnswerCache(workspace, model.folder, PromptFormat.of(recipe)).missing(list(dict.fromkeys(base)))
    given = sum(one.kind == "general" for one in asked)
    tuned = tokens_of(list(dict.fromkeys(one.ask for one in asked)), given)
    return Workload(
        device=device_of(recipe),
        method=recipe.method,
        parameters=model.parameters,
        size=model.size,
        train=_trained(said, recipe, model, bool(wanted.replayed)),
        base=tokens_of(missing, replayed=len({*missing} & {*wanted.replayed})),
        # A base that was not asked is asked too how likely it finds its own answers.
        ask=tuned + (tokens_of([], given) if missing else 0.0),
        choose=_choosing(said, recipe),
    )


def _unseen(request: TuneRequest, said: Taught, folder: Path) -> Workload:
    """Of a model that still has to be unpacked or fetched: its tokenizer is not here to count with."""
    starter = next(one for one in catalog().models if one.name == STARTER)
    entry = find(request.model) or starter
    model = model_of(entry, folder)
    recipe = data.usual_recipe(model, len(said.conversations) if request.data else 1)
    recipe = recipe.changed(iterations=request.iterations or recipe.iterations, method=request.method)
    work = usual_work(recipe, model, replay=request.replay)
    if entry is starter:
        return replace(work, unpacked=True, base=0.0)  # its answers come with the program
    return replace(work, fetched=model.size)


def _trained(said: Taught, recipe: Recipe, model: Model, replay: bool) -> float:
    """How many tokens a training of this recipe reads."""
    rows = (recipe.iterations or 1) * recipe.batch_size
    if recipe.pack:
        return float(rows * recipe.max_length)
    own = data.shares_in(said, recipe, replay).taught
    each = data.taught_lengths(said, recipe, model).mean(recipe.max_length)
    return own * each + (rows - own) * REPLAYED_ROW


def _choosing(said: Taught, recipe: Recipe) -> float:
    """How many tokens the checkpoints may write, where the best of them is to be found."""
    if recipe.checkpoint != "best":
        return 0.0
    asks = [one.ask for one in development(said.conversations, data.thinking_in(recipe))]
    kept = min(saves(recipe, recipe.iterations) or 1, recipe.keep_checkpoints)
    return kept * tokens_of(asks)


def training_left(workspace: Workspace, run: RunPaths) -> str:
    """How much longer a training that no chain runs will take, as a person says it; empty before it says how
    far it is."""
    now = job_progress(run.job("train"))
    if now is None or not now.share:
        return ""
    cost, behind = _cost_of_training(workspace, run, now.began)
    clock = Clock({"train": cost}, now.began, time.time)
    clock.stage("train", now.began)
    clock.reach(of_the_rest(now.share, behind), now.moved, *marks_of(now, behind))
    return clock.left()


@cache
def _cost_of_training(workspace: Workspace, run: RunPaths, _: float) -> tuple[Cost, float]:
    """By the run's own rows and recipe, and the share that was behind before it began; looked up once."""
    recipe = train.recipe_of(run)
    cost = training_cost(workspace, run, recipe, train.model_of(run))
    return cost, gone_on_from(run, recipe)


def of_the_rest(share: float, behind: float) -> float:
    """Which share of what was to be done is done, where ``behind`` was done before."""
    return max(0.0, share - behind) / (1 - behind) if behind < 1 else 1.0


def marks_of(told: JobProgress, behind: float) -> tuple[Mark | None, Mark | None]:
    """The first and a late point of a job's way, of what it had to do."""
    first, lately = (
        (mark[0], of_the_rest(mark[1], behind)) if mark else None for mark in (told.first, told.lately)
    )
    return first, lately
