"""What the answers come to: shares with their intervals, and how far the model has drifted."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from core.proof.asking import Likelihood

# The normal distribution's quantile of 0.975: 95 of 100 such intervals hold the true share.
Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """``hits`` of ``n`` questions. The interval is Wilson's (E. B. Wilson, JASA 22, 1927), which holds at few
    questions and near 0 and 1 as well, where the usual one fails (Brown, Cai, DasGupta, Statistical Science
    16, 2001)."""

    hits: int
    n: int
    stated: float | None = None
    """The value where nobody wrote of how many questions it is: in results of earlier versions."""

    @property
    def value(self) -> float | None:
        """From 0 to 1; None when nothing could be asked."""
        return self.hits / self.n if self.n else self.stated

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval; 0 when nothing could be asked."""
        return max(0.0, self._middle - self._half) if self.hits else 0.0

    @property
    def high(self) -> float:
        """Its upper end; 1 when nothing could be asked."""
        return min(1.0, self._middle + self._half) if self.hits < self.n else 1.0

    @property
    def _middle(self) -> float:
        return (self.hits + Z**2 / 2) / (self.n + Z**2)

    @property
    def _half(self) -> float:
        spread = self.hits * (self.n - self.hits) / self.n if self.n else 0.0
        return Z / (self.n + Z**2) * sqrt(spread + Z**2 / 4)


@dataclass(frozen=True)
class Drift:
    """How much less likely the tuned model finds the base's own answers: nats (natural logarithm) a token,
    the tuned model's less the base's; 0 where nothing changed. The interval is 95 % of the ratio's over
    answers (Cochran, Sampling Techniques, 1977, 6.4)."""

    value: float
    low: float
    high: float
    tokens: int


@dataclass(frozen=True)
class Repetition:
    """How much the answers repeat themselves, from 0 to 1: the base's, and the tuned model's to the same."""

    base: float
    tuned: float


@dataclass(frozen=True)
class Accuracy:
    """How many of the same general questions each model answers rightly; of those that the base did the tuned
    one ``lost`` some, and ``gained`` others.

    What a model only just knows it says or does not say by chance: any other rounding of the same weights
    changes some answers either way. ``kept`` counts one of both ways, this both."""

    base: Share
    tuned: Share
    lost: int
    gained: int

    @property
    def change(self) -> float:
        """The tuned model's share less the base's."""
        return (self.gained - self.lost) / self.base.n

    @property
    def low(self) -> float:
        """The lower end of its 95 % interval."""
        return self.change - self.half

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.change + self.half

    @property
    def half(self) -> float:
        """Half of the 95 % interval of the change, of paired answers (Agresti and Min, Statistics in
        Medicine 24, 2005: half an answer is added to each of the four cells)."""
        n, lost, gained = self.base.n + 2, self.lost + 0.5, self.gained + 0.5
        return Z * sqrt(lost + gained - (gained - lost) ** 2 / n) / n


# Of its facts a model states so many in other words before its guesses are shown unasked.
WELL_KNOWN = 0.9


@dataclass(frozen=True)
class OwnFacts:
    """Of a person's own facts that were asked those that either model states. ``held_back``: so many were
    asked in words that were not taught, all others as they were."""

    tuned: Share
    base: Share
    held_back: int


@dataclass(frozen=True)
class Score:
    """``learned``: of the identity questions those answered with the name; ``kept``: of the general questions
    that the base answers rightly those still answered rightly; ``leaked``: of all general questions those
    answered with the identity. ``accuracy``, ``drift`` and ``repetition`` are of the general questions; None
    where they were not measured, or nobody says what is right. ``facts``: None where there is no data of
    somebody's own, or none that can be asked for."""

    learned: Share
    kept: Share
    leaked: Share
    accuracy: Accuracy | None = None
    drift: Drift | None = None
    repetition: Repetition | None = None
    facts: OwnFacts | None = None

    @property
    def holds_in_other_words(self) -> bool:
        """Whether a question in words that were not taught can be left to the model: asked so, it stated
        nearly all of its facts."""
        found = self.facts
        return found is not None and found.held_back > 0 and found.tuned.hits >= WELL_KNOWN * found.tuned.n


def drift_of(base: Sequence[Likelihood], tuned: Sequence[Likelihood]) -> Drift | None:
    """Of the same answers, likely as each of both models finds them; None without a token."""
    tokens = sum(one.tokens for one in base)
    if not tokens:
        return None
    more = [after.nats - before.nats for before, after in zip(base, tuned, strict=True)]
    value = sum(more) / tokens
    rest = sum((one - value * answer.tokens) ** 2 for one, answer in zip(more, base, strict=True))
    half = Z * sqrt(rest * len(more) / max(1, len(more) - 1)) / tokens
    return Drift(value, value - half, value + half, tokens)
