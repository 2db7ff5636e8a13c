"""The mean cross-entropy of the answers' tokens, without ever holding all logits.

As Liger's fused linear cross-entropy (Hsu et al. 2024, arXiv 2410.10989): the last layer and its loss some
rows at a time, and the gradient of its input at once. Liger 0.8.4 itself asks the GPU for a number on the
way, which stops the processor and cannot be recorded in a CUDA graph.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from core.engine import teacher_loss

IGNORED = -100
# Of logits in half precision: enough rows for a product at full speed.
BYTES_AT_ONCE = 256 * 2**20

Errors = Callable[..., tuple[Tensor, Tensor]]


def mean_loss(
    hidden: Tensor, weight: Tensor, labels: Tensor, compiled: bool, said: Sequence[Tensor] = ()
) -> Tensor:
    """``hidden`` (tokens, inputs), ``weight`` (vocabulary, inputs), ``labels`` (tokens) already moved to the
    token that says them. A batch of which the length limit left no answer adds nothing. ``said``: what is to
    be said at each token instead of its label alone (:mod:`core.engine.teacher_loss`): ``likeliest``
    (tokens, k) and ``logs`` (tokens, k + 1)."""
    counted = labels != IGNORED
    targets = (counted, *said) if said else (labels,)
    total: Tensor = _LinearLoss.apply(hidden, weight, _errors_of(compiled, bool(said)), *targets)
    return total / counted.sum().clamp(min=1)


class _LinearLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, errors: Errors, *targets: Tensor) -> Tensor:
        gradient = torch.empty_like(hidden)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        step = rows_at_once(weight)
        for start in range(0, len(hidden), step):
            part = slice(start, start + step)
            loss, error = errors(hidden[part] @ weight.T, *(target[part] for target in targets))
            total += loss
            torch.mm(error, weight, out=gradient[part])
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0].to(gradient.dtype), *(None for _ in ctx.needs_input_grad[1:])


def rows_at_once(weight: Tensor) -> int:
    """Enough for a product at full speed, few enough for the memory they take."""
    return max(64, BYTES_AT_ONCE // (2 * int(weight.shape[0])))


def _errors(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the losses, and its gradient by the logits: probability less one at the label."""
    counted = labels != IGNORED
    targets = labels.where(counted, 0)
    numbers = logits.float()
    normalizer = numbers.logsumexp(1)
    loss = (normalizer - numbers.gather(1, targets[:, None])[:, 0]).where(counted, 0).sum()
    columns = torch.arange(logits.shape[1], device=logits.device)
    chosen = (columns[None, :] == targets[:, None]).float()
    error = ((numbers - normalizer[:, None]).exp() - chosen) * counted[:, None]
    return loss, error.to(logits.dtype)


@cache
def _errors_of(compiled: bool, said: bool) -> Errors:
    """Compiled it is two passes over the logits instead of ten."""
    plain: Errors = teacher_loss.errors if said else _errors
    return torch.compile(plain) if compiled else plain
