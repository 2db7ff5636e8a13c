"""A job on its page: its state, its log, its curves."""
