"""A gradient that is no number counts as zero, and a training that has no other ends, as failed.

mmengine 0.10.7 multiplies every gradient by what their norm asks for: one that is NaN makes all weights NaN,
and every checkpoint after it, while the training goes on to its end. DeepSpeed clips by itself: of its
trainings only the losses are looked at.
"""

from typing import Any, NoReturn

import torch
from torch import Tensor

# Steps one after the other. Half precision begins with some: its loss scale is halved until all is a number.
PATIENCE = 20


def leave_out_what_is_no_number() -> None:
    """For the trainings of this process: mmengine's own clipping, which leaves the norm where it is (reading
    it would wait for the GPU), and then this. Raises FloatingPointError from a training's step or end."""
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


class InARow:
    """How many steps there were, and how many of the last in a row had no number; that stays on the GPU until
    it can matter."""

    def __init__(self) -> None:
        self.steps = 0
        self._in_a_row = torch.zeros(())

    def count(self, number: Tensor) -> None:
        self.steps += 1
        self._in_a_row = (self._in_a_row.to(number.device) + 1) * torch.isfinite(number).logical_not()

    @property
    def ends_the_training(self) -> bool:
        """Of a training shorter than ``PATIENCE`` all steps."""
        return self.steps > 0 and bool(self._in_a_row.max().item() >= min(PATIENCE, self.steps))


def _count(wrapper: Any, norm: Tensor) -> None:
    """Read as often as it can matter."""
    if not hasattr(wrapper, "_no_numbers"):
        wrapper._no_numbers = InARow()
    wrapper._no_numbers.count(norm)
    if wrapper._no_numbers.steps % PATIENCE == 0 and wrapper._no_numbers.ends_the_training:
        end_training(PATIENCE)


def end_training(steps: int) -> NoReturn:
    """Of a training whose last ``steps`` steps taught nothing. Raises FloatingPointError."""
    raise FloatingPointError(
        f"The loss or its gradient was no number in each of the last {steps} steps. "
        "None of them taught anything: what was saved is what was learned before."
    )
