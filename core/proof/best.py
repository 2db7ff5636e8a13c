"""Which of several candidates is the best, by what they answer to the development questions.

The rule: of those whose learned share is within one standard error of the highest, the one that kept most;
of equals the one that leaked least, then the one that drifts least from the base, then the earliest. What is
within one standard error is not better by more than chance (Breiman, Friedman, Olshen & Stone 1984,
"Classification and Regression Trees", 3.4.3): among such the one that forgot least is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from core.proof.score import Score, Share


@dataclass(frozen=True)
class Candidate:
    """What was made at one ``iteration``, and its score; ``drift`` in nats a token, None where it was not
    measured."""

    iteration: int
    score: Score
    drift: float | None = None


def best(candidates: Sequence[Candidate]) -> Candidate:
    """The best by the rule above. Raises ValueError where there is none."""
    highest = max((one.score.learned for one in candidates), key=_value)
    least = _value(highest) - standard_error(highest)
    close = [one for one in candidates if _value(one.score.learned) >= least]
    return min(close, key=_forgets)


def standard_error(share: Share) -> float:
    """Of a share, by Agresti & Coull (The American Statistician 52, 1998): two hits and two misses more, so
    that it is not 0 for 12 of 12."""
    n = share.n + 4
    p = (share.hits + 2) / n
    return sqrt(p * (1 - p) / n)


def _forgets(one: Candidate) -> tuple[float, float, float, int]:
    score = one.score
    return (-_value(score.kept), _value(score.leaked), one.drift or 0.0, one.iteration)


def _value(share: Share) -> float:
    return share.value or 0.0
