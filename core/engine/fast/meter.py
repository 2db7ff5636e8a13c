"""How many tokens a second are trained, and how many more are computed because shapes are few."""

import time
from collections import deque

# Steps that are looked back on: the first ones compile.
WINDOW = 20


class Meter:
    """Padding is no token: neither what fills a row nor what fills a batch."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int, int]] = deque(maxlen=WINDOW)

    def read(self, tokens: int, computed: int) -> dict[str, float]:
        """After a step of ``tokens`` that were ``computed`` with what fills them: what the last steps say."""
        self._steps.append((time.perf_counter(), tokens, computed))
        padding = 1 - sum(t for _, t, _ in self._steps) / sum(c for *_, c in self._steps)
        took = self._steps[-1][0] - self._steps[0][0]
        trained = sum(t for _, t, _ in self._steps) - self._steps[0][1]
        return {"padding": padding, **({"tokens_per_second": trained / took} if took else {})}
