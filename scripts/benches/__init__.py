"""Measurements, each a program: ``scripts/bench NAME``. They import XTuner as the engine does."""

import core.engine  # noqa: F401  (before XTuner: what it imports and nobody uses is not installed)
