"""What goes wrong, done to real processes. ``python -m tests.faults.record`` writes what came of it into
``docs/reliability.md``."""
