"""What a chain will take on this machine, before it starts and while it runs."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import TuneboardError
from core.jobs.progress import JobProgress, job_progress
from core.model_store import choosing
from core.model_store.choosing import Offer, model_of
from core.models.catalog import STARTER, Entry, catalog, find
from core.models.folder import Model, read_model
from core.pace import NOTHING, Clock, Cost, Mark
from core.pipeline.tune import prepared, proof_questions
from core.pipeline.tune_request import TuneRequest, chosen_model, recipe_asked_for, taught, with_thoughts
from core.proof.asking import Ask
from core.proof.development import development
from core.proof.questions import Question
from core.recipe.length import saves
from core.recipe.recipe import Recipe
from core.steps import data, first_recipe, prepare, resuming
from core.steps.answer import AnswerCache, PromptFormat, not_shipped
from core.steps.expected import (
    A_BYTE,
    AROUND,
    REPLAYED_ROW,
    Known,
    Workload,
    asked_tokens,
    device_of,
    expected,
    tokens_of,
    trained_tokens,
)
from core.steps.taught import Taught
from core.workspace.paths import RunPaths, Workspace

# What the base is asked for a run's rows, and what the proof asks.
Questions: TypeAlias = tuple[data.BaseAsks, Sequence[Question]]
# Any name takes as long.
ANYBODY = TuneRequest("Ada Lovelace")


def costs_of(workspace: Workspace, request: TuneRequest) -> dict[str, Cost]:
    """What each stage of a chain for ``request`` costs here; what is done already, as asking a base that has
    answered before, is left out.

    Takes about a second the first time. Raises as :func:`core.pipeline.tune.make_data` does.
    """
    return Forecast(workspace, request).costs(request.model)


def offers(workspace: Workspace, request: TuneRequest = ANYBODY) -> list[Offer]:
    """The list of models on this machine, with what each would take for what is wanted (its ``model`` does
    not matter), on a machine left alone. Raises as :func:`core.pipeline.tune_request.taught` does."""
    forecast = Forecast(workspace, request)

    def costs(entry: Entry, here: str | None) -> Mapping[str, Cost]:
        with suppress(TuneboardError, OSError):  # what is here under its name is none that can be trained
            return forecast.costs(None if entry.name == STARTER else here or entry.name)
        return forecast.costs_by_description(entry)

    return choosing.offers(workspace, costs)


def costs_of_run(workspace: Workspace, run: RunPaths, request: TuneRequest) -> dict[str, Cost]:
    """The same for a run that is being made: by its own rows and recipe, once it has them, and of a training
    that goes on what is left of it. Its base has been asked then; what that took stays."""
    folder = chosen_model(workspace, request.model)
    work = Forecast(workspace, request).work(folder, request.model)
    if prepared(run):
        recipe = prepare.recipe_of(run)
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
    whole = prepare.iterations(run, recipe)
    return min(1.0, resuming.goes_on_from(run) / whole) if whole else 0.0


class Forecast:
    """What a request teaches, and what that costs here on one model or another. Raises as
    :func:`core.pipeline.tune_request.taught` does."""

    def __init__(self, workspace: Workspace, request: TuneRequest) -> None:
        self.workspace, self.request = workspace, request
        self.said = taught(request)
        self._of_rows: dict[int, Questions] = {}

    @cached_property
    def known(self) -> Known:
        """What earlier runs took here."""
        return Known.of(self.workspace)

    def costs(self, model: str | None) -> dict[str, Cost]:
        """What each stage costs on a ``model`` as a request calls it."""
        folder = chosen_model(self.workspace, model)
        return self.known.costs(self.work(folder, model), folder)

    def costs_by_description(self, entry: Entry) -> dict[str, Cost]:
        """What each stage costs on a model of the list, whatever is here of it."""
        folder = self.workspace.model(entry.title)
        return self.known.costs(self._unseen(folder, entry.name), folder)

    def work(self, folder: Path, called: str | None) -> Workload:
        """What is to be done on the model in ``folder``, or that will be there."""
        if not folder.exists():
            return self._unseen(folder, called)
        model = read_model(folder)
        said = with_thoughts(self.said, self.request, model)
        recipe = recipe_asked_for(self.request, said, model)
        answers = AnswerCache(self.workspace, model.folder, PromptFormat.of(recipe))
        row = first_recipe.taught_lengths(said, recipe, model).mean(recipe.max_length)
        asked = self._base_asks(said, recipe), proof_questions(said, recipe)
        return self._work(said, recipe, model, row, asked, answers.missing)

    def _unseen(self, folder: Path, called: str | None) -> Workload:
        """Of a model that still has to be unpacked or fetched: its template and its tokenizer are not here to
        count with."""
        starter = next(one for one in catalog().models if one.name == STARTER)
        entry = find(called) or starter
        model = model_of(entry, folder)
        recipe = first_recipe.unseen_recipe(model, self.said, self.request.replay, self.request.method)
        recipe = recipe.changed(iterations=self.request.iterations or recipe.iterations)
        row = min(float(recipe.max_length), AROUND + A_BYTE * self._bytes)
        to_do = (self.said, recipe, model, row, self._unseen_questions(recipe))
        if entry is not starter:
            return replace(self._work(*to_do, missing=list), fetched=model.size)
        return replace(self._work(*to_do, missing=not_shipped), unpacked=True)

    @cached_property
    def _bytes(self) -> float:
        """Of a taught conversation, on average; of many, of the first."""
        rows = (self.said.own or self.said.conversations)[: first_recipe.MEASURED]
        texts = ((text for turn in row for text in (turn.system, turn.input, turn.output)) for row in rows)
        return statistics.fmean(sum(len(text.encode()) for text in row) for row in texts)

    def _base_asks(self, said: Taught, recipe: Recipe) -> data.BaseAsks:
        return data.base_asks(said, recipe) if self.request.replay else data.BaseAsks()

    def _unseen_questions(self, recipe: Recipe) -> Questions:
        """What is asked where the template is not known: the same of all models that see as many rows."""
        rows = (recipe.iterations or 1) * recipe.rows_at_once
        if rows not in self._of_rows:
            self._of_rows[rows] = self._base_asks(self.said, recipe), proof_questions(self.said, recipe)
        return self._of_rows[rows]

    def _work(
        self,
        said: Taught,
        recipe: Recipe,
        model: Model,
        row: float,
        questions: Questions,
        missing: Callable[[list[Ask]], list[Ask]],
    ) -> Workload:
        """``row``: how many tokens a taught row has; ``missing``: what of these questions the base was never
        asked."""
        wanted, asked = questions
        base = [*wanted.replayed, *wanted.earlier, *(one.base_ask for one in asked)]
        unknown = missing(list(dict.fromkeys(base)))
        general = [one.base_ask for one in asked if one.kind == "general"]
        # A base that was not asked is asked too how likely it finds its own answers.
        given = len(general) + len({*general} & {*unknown})
        tuned = tokens_of(list(dict.fromkeys(one.ask for one in asked)), given)
        return Workload(
            device=device_of(recipe),
            method=recipe.method,
            parameters=model.parameters,
            size=model.size,
            train=_trained(said, recipe, row, bool(wanted.replayed)),
            base=tokens_of(unknown, replayed=len({*unknown} & {*wanted.replayed})),
            ask=tuned,
            choose=_choosing(said, recipe),
        )


def _trained(said: Taught, recipe: Recipe, row: float, replay: bool) -> float:
    """How many tokens a training of this recipe reads, where a taught row has so many."""
    rows = (recipe.iterations or 1) * recipe.rows_at_once
    if recipe.pack:
        return float(rows * recipe.max_length)
    own = data.shares_in(said, recipe, replay).taught
    return own * row + (rows - own) * REPLAYED_ROW


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
    clock = _clock_of_training(workspace, run)
    return clock.left() if clock else ""


def training_far(workspace: Workspace, run: RunPaths) -> tuple[float, float] | None:
    """How much of such a training is behind, from 0 to 1, and the seconds left; None before it says so."""
    clock, now = _clock_of_training(workspace, run), job_progress(run.job("train"))
    return (now.share, clock.seconds()) if clock and now and now.share else None


def seconds_of_training(workspace: Workspace, run: RunPaths) -> float:
    """The same in seconds; before it has begun, what it takes here. Raises as :func:`training_cost`."""
    if clock := _clock_of_training(workspace, run):
        return clock.seconds()
    return _cost_of_training(workspace, run, 0.0)[0].whole


def _clock_of_training(workspace: Workspace, run: RunPaths) -> Clock | None:
    now = job_progress(run.job("train"))
    if now is None or not now.share:
        return None
    cost, behind = _cost_of_training(workspace, run, now.began)
    clock = Clock({"train": cost}, now.began, time.time, now.slower)
    clock.stage("train", now.began)
    clock.reach(of_the_rest(now.share, behind), now.moved, *marks_of(now, behind))
    return clock


@cache
def _cost_of_training(workspace: Workspace, run: RunPaths, _: float) -> tuple[Cost, float]:
    """By the run's own rows and recipe, and the share that was behind before it began; looked up once."""
    recipe = prepare.recipe_of(run)
    cost = training_cost(workspace, run, recipe, prepare.model_of(run))
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
