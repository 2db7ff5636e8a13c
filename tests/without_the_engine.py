"""Somebody's own Python beside this project."""

import os


def environment(**added: str) -> dict[str, str]:
    """This process's, without its path and without the engine's word, once imported, that no process it
    starts may read more of a checkpoint than weights."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("TORCH_FORCE")}
    return {**kept, **added}
