"""Runs on their page: all of them, one as it runs, what it proved, and adopting one."""
