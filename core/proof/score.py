"""What the answers come to: shares with their intervals."""

from dataclasses import dataclass
from math import sqrt

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
class Score:
    """``learned``: of the identity questions those answered with the name; ``kept``: of the general questions
    that the base answers rightly those still answered rightly; ``leaked``: of all general questions those
    answered with the identity."""

    learned: Share
    kept: Share
    leaked: Share
