"""Which stream of the GPU a training's work is on.

CUDA graphs are not recorded on the default stream, and gradients stay on the one that made them, so that the
fast path's steps are on a stream of their own. But bitsandbytes 0.50 launches what quantizes, and its
optimizers, on the default stream whichever is the current one, and neither waits for the other. What makes a
weight's second scales read the first ones before they were there: a 7B model in NF4 had weights of chance
(2026-11-30, two H200: gradients of 1e5, a loss that did not fall). What dequantizes follows the current one.
"""

import torch
from torch.optim import Optimizer


def leave_default_stream() -> None:
    """From here on what this thread computes is on a stream of its own: after the model is loaded and
    quantized, which has to be done by then."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.set_stream(torch.cuda.Stream())


def wait_for_gradients(optimizer: Optimizer) -> None:
    """Before an update that begins on the default stream. All of bitsandbytes' wait for their own end."""
    theirs = any(kind.__module__.partition(".")[0] == "bitsandbytes" for kind in type(optimizer).__mro__)
    if theirs and torch.cuda.is_available():
        torch.cuda.synchronize()
