"""A gradient that is no number counts as zero, and a training that has no other ends.

mmengine 0.10.7 multiplies every gradient by what their norm asks for: one that is NaN makes all weights NaN,
and every checkpoint after it, while the training goes on to its end. DeepSpeed clips by itself and is not
looked at.
"""

from typing import Any

import torch
from torch import Tensor

# Steps one after the other. Half precision begins with some: its loss scale is halved until all is a number.
PATIENCE = 20


def leave_out_what_is_no_number() -> None:
    """For the trainings of this process: mmengine's own clipping, which leaves the norm where it is (reading
    it would wait for the GPU), and then this. Raises FloatingPointError from a training's step."""
    from mmengine.optim import OptimWrapper

    OptimWrapper._clip_grad = _clip_gradients


def _clip_gradients(self: Any) -> None:
    groups = self.optimizer.param_groups
    trained = [p for group in groups for p in group["params"] if p.requires_grad and p.grad is not None]
    norm = self.clip_func(trained, **self.clip_grad_kwargs) if trained else None
    if norm is None:
        return
    self.message_hub.update_scalar(f"train/{self.grad_name}", norm)
    for parameter in trained:
        # A norm that is no number has made all of them NaN or 0.
        torch.nan_to_num_(parameter.grad, nan=0.0, posinf=0.0, neginf=0.0)
    _count(self, norm)


def _count(wrapper: Any, norm: Tensor) -> None:
    """How many steps in a row were none, read as often as it can matter."""
    steps, before = getattr(wrapper, "_no_numbers", (0, torch.zeros_like(norm)))
    in_a_row = (before + 1) * ~torch.isfinite(norm)
    wrapper._no_numbers = (steps + 1, in_a_row)
    if (steps + 1) % PATIENCE == 0 and in_a_row.item() >= PATIENCE:
        raise FloatingPointError(
            f"The loss or its gradient was no number in each of the last {PATIENCE} steps. "
            "None of them taught anything: what was saved is what was learned before."
        )
