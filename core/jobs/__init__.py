"""Jobs: a tool runs under its own supervisor, in its own folder, whatever happens to who asked for it.

Status is computed from the folder's files, never stored.
"""
