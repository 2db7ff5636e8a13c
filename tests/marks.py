"""Cases of which a few stand for all among the fast tests, and all run with the slow ones."""

from collections.abc import Container, Iterable

import pytest
from _pytest.mark.structures import ParameterSet


def slow_but(fast: Container[object], cases: Iterable[tuple[object, ...]]) -> list[ParameterSet]:
    """The cases for ``parametrize``, each slow unless it is one of ``fast``."""
    return [pytest.param(*case, marks=() if case in fast else pytest.mark.slow) for case in cases]
