"""What goes wrong, done to real processes. ``python -m tests.faults.record`` keeps what came of it in
``tests/recorded/faults.json``."""
