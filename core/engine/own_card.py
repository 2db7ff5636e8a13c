"""Which card of its machine a process has that trains together with others: the one of its number there."""

import os

import torch

from core.engine.program import is_one_of_several


def take_own_card() -> None:
    """Before anything that CUDA does: what was made before (a stream, a context) would lie on the first card
    in every process, and mmengine takes each one's own only when its runner is built. A CUDA graph of another
    card than the first would then be recorded on the default stream, which cannot be."""
    if is_one_of_several() and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
