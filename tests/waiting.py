"""Waiting for what a process of its own does, as long as a busy machine may take for it."""

import time
from collections.abc import Callable

PATIENCE = 120.0


def until(true: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return as soon as it is true; fail after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"it did not happen within {patience:g} s"
        time.sleep(0.02)
