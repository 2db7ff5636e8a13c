"""What a chain will take on this machine, before it starts and while it runs."""

import time
from dataclasses import replace
from functools import cache
from pathlib import Path

from core.jobs.progress import job_progress
from core.model_store.choosing import model_of
from core.models.catalog import STARTER, catalog, find
from core.models.folder import Model, read_model
from core.pace import Clock, Cost
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
    """The same for a run that is being made: by its own rows and recipe, once it has them."""
    folder = chosen_model(workspace, request.model)
    work = _work(workspace, request, folder)
    if prepared(run):
        recipe = train.recipe_of(run)
        folder = Path(recipe.model)
        recipe = recipe.changed(iterations=train.iterations(run, recipe))
        work = replace(
            work, device=device_of(recipe), method=recipe.method, train=trained_tokens(run, recipe), base=0.0
        )
    return expected(workspace, work, folder)


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
    clock = Clock({"train": _training_cost(workspace, run)}, now.began, time.time)
    clock.stage("train", now.began)
    clock.reach(now.share, now.moved, now.first, now.lately)
    return clock.left()


@cache
def _training_cost(workspace: Workspace, run: RunPaths) -> Cost:
    """By the run's own rows and recipe; looked up once."""
    recipe, model = train.recipe_of(run), train.model_of(run)
    tokens = trained_tokens(run, recipe)
    work = Workload(device_of(recipe), recipe.method, model.parameters, model.size, tokens, 0.0, 0.0)
    return expected(workspace, work, model.folder)["train"]
