"""Sweeps: one run's recipe with other values, each a run of its own, and which of them came out best."""
