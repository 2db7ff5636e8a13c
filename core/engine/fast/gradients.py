"""The gradients of what is trained, one after the other in one tensor.

LoRA's are small: they are forgotten by one write, and several processes add theirs up by one all-reduce, not
by as many as there are matrices. Where each stands in memory never changes, as a recorded step wants it.
"""

import torch
from mmengine.dist import get_world_size
from torch import Tensor
from torch.nn import Parameter

# Numbers to which each gradient's beginning is rounded up: sixteen bytes, which kernels read at once.
ALIGNED = 4


class Gradients:
    """``parameters``: what is trained, of one type and on one device. A gradient that is there already, of a
    training that goes on within an update, is kept."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self.ranks = get_world_size()
        places, end = [], 0
        for parameter in parameters:
            places.append(end)
            end += -(-parameter.numel() // ALIGNED) * ALIGNED
        self.all = torch.zeros(end, dtype=parameters[0].dtype, device=parameters[0].device)
        for place, parameter in zip(places, parameters, strict=True):
            own = self.all[place : place + parameter.numel()].view_as(parameter)
            if parameter.grad is not None:
                own.copy_(parameter.grad)
            parameter.grad = own

    def forget(self) -> None:
        """They are nothing."""
        self.all.zero_()

    def add_up(self) -> Tensor:
        """All processes' sum, in each of them."""
        if self.ranks > 1:
            torch.distributed.all_reduce(self.all)
        return self.all
