"""Which trial came out best, and the one number that a search goes by.

The best is found by the rule of :mod:`core.proof.best`, as the best checkpoint is: of those whose learned
share is within one standard error of the highest, the one that kept most, then the one that leaked least.
"""

from collections.abc import Mapping, Sequence
from math import floor
from typing import Any

from core.proof.best import Candidate, best, standard_error
from core.proof.score import Score, Share
from core.sweep.trial import SweepTrial

MEASURES = ("learned", "kept", "leaked")
# What was kept counts for so much of a step, what leaked for the rest: a step of learning for more than both.
KEPT, LEAKED = 0.9, 0.1


def noted(score: Score) -> dict[str, list[int]]:
    """What a trial keeps of its proof: hits and questions by measure."""
    return {name: [getattr(score, name).hits, getattr(score, name).n] for name in MEASURES}


def score_of(notes: Mapping[str, Any]) -> Score | None:
    """The score of :func:`noted`; None for a trial that has none."""
    if not all(name in notes for name in MEASURES):
        return None
    learned, kept, leaked = (Share(*notes[name]) for name in MEASURES)
    return Score(learned, kept, leaked)


def result_of(trial: SweepTrial) -> dict[str, float | int | None]:
    """What a finished trial came to: two shares and a count; None of any other."""
    score = score_of(trial.notes) if trial.state == "finished" else None
    return {
        "learned": score.learned.value if score else None,
        "kept": score.kept.value if score else None,
        "leaked": score.leaked.hits if score else None,
    }


def value_of(score: Score) -> float:
    """What a search makes large: the learned share in whole steps of one standard error, which is what may be
    chance, and within a step what was kept and what did not leak."""
    step = standard_error(Share(score.learned.n // 2, score.learned.n))
    learned, kept, leaked = (share.value or 0.0 for share in (score.learned, score.kept, score.leaked))
    return floor(learned / step) + KEPT * kept + LEAKED * (1 - leaked)


def best_of(trials: Sequence[SweepTrial]) -> int | None:
    """The number of the best finished trial; None before there is one."""
    found = [(trial, score_of(trial.notes)) for trial in trials if trial.state == "finished"]
    candidates = [Candidate(trial.number, score) for trial, score in found if score]
    return best(candidates).iteration if candidates else None


def in_order(trials: Sequence[SweepTrial]) -> list[SweepTrial]:
    """The best first, then by what was learned and kept; what has no result behind, in the order of its
    beginning."""
    first = best_of(trials)

    def place(trial: SweepTrial) -> tuple[float, ...]:
        score = score_of(trial.notes)
        if trial.state != "finished" or score is None:
            return (2, trial.number)
        shares = (-(score.learned.value or 0), -(score.kept.value or 0), score.leaked.value or 0)
        return (0 if trial.number == first else 1, *shares, trial.number)

    return sorted(trials, key=place)
