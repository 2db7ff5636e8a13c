"""When a trial is stopped early, and by which numbers.

The rule: from a third of the tokens of the sweep's own recipe on, a trial is stopped when its lowest loss so
far is above the median of the losses that the finished trials had after the same number of tokens
(``optuna.pruners.MedianPruner``; the rule is that of Golovin et al. 2017, "Google Vizier", 3.2.2). The first
trials are never stopped: there is nothing to compare them with.

All trials go through the same rows in the same order, so the loss of training says which one learns them
faster. It is the mean of what was logged since the last place, a twentieth of the tokens before. It does not
say what is kept: that is only asked of trials that come to their end.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from core.jobs.curves import CurveReader
from core.recipe.length import iterations_of
from core.recipe.recipe import Recipe
from core.steps.pace import row_tokens
from core.sweep.trial import SweepTrial

# So many places of equally many tokens has a trial as long as the sweep's own recipe.
PLACES = 20
# From this share of them on trials are stopped, and never the first so many that finished.
FROM, FIRST = 1 / 3, 3


@dataclass(frozen=True)
class StoppedEarly:
    """Why a trial was stopped: after which ``share`` of the sweep's own recipe's tokens, its lowest ``loss``
    until then, and the ``median`` of ``others`` at that place."""

    share: float
    loss: float
    median: float
    others: int


def tokens_an_iteration(recipe: Recipe, about: Mapping[str, Any]) -> float:
    """Tokens that one iteration trains, by the run's data.json (``about``)."""
    return recipe.rows_at_once * row_tokens(recipe, about)


def unit_of(base: Recipe, about: Mapping[str, Any]) -> float:
    """Tokens from one place to the next."""
    return tokens_an_iteration(base, about) * iterations_of(base, about) / PLACES


def losses_of(curve: CurveReader, tokens: float, unit: float, ended: bool = False) -> dict[int, float]:
    """The mean loss before each place that a training has come to, whose iterations have ``tokens`` each; NaN
    where one of them was no number. Where nothing was logged on the way the last loss before stands. Of one
    that has ``ended`` the last place counts too."""
    columns = curve.columns()
    found: dict[int, list[float]] = {}
    for iteration, loss in zip(columns["iter"].tolist(), columns["loss"].tolist(), strict=True):
        found.setdefault(math.ceil(iteration * tokens / unit), []).append(loss)
    if not found:
        return {}
    losses, last = {}, math.nan
    for place in range(1, max(found) + ended):  # the one that it is at is not whole yet
        logged = found.get(place)
        last = sum(logged) / len(logged) if logged else last
        if logged or not math.isnan(last):
            losses[place] = last
    return losses


def why_stopped(trial: SweepTrial, others: Sequence[SweepTrial]) -> StoppedEarly:
    """The numbers of a trial that the rule has stopped."""
    place = max(trial.losses)
    there = [one.losses[place] for one in others if one.state == "finished" and place in one.losses]
    lowest = min((loss for loss in trial.losses.values() if not math.isnan(loss)), default=math.nan)
    return StoppedEarly(place / PLACES, lowest, median(there) if there else math.nan, len(there))
