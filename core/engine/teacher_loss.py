"""The loss of a place in an answer of which only the base's likeliest next tokens are known.

The loss is the divergence between distributions over k + 1 things, with p the base's and q the model's:
``sum over the k of p log(p/q) + r log(r/s)``, where r and s = 1 - sum of q are what is left. By the log-sum
inequality it is never more than the divergence over the whole vocabulary, and with k as large as that it is
the same. Its gradient by the logit of one of the k is q - p, as of the whole; by that of any other
``q (1 - r/s)``: the others together keep the base's share, and stay among themselves as the model has them.
Without the last number p would have to be made to sum to 1 and the model be pulled away from everything but
the k (Anshumann et al. 2025, arXiv 2503.16870, show the bias, and compare with such a "ghost token").

A taught token is the same with k = 1, p = 1: its loss is the cross-entropy. So every place of a batch is
computed alike, and no number is chosen on the way.
"""

from typing import Any

import torch
from torch import Tensor

# What is replayed weighs so many times what is taught. Measured on the starter: it halves what leaks and the
# drift, and what is learned less for it comes back with more rows (docs/proof.md).
REPLAY_WEIGHT = 2.0
# No probability that float32 holds is smaller; what is divided by it stays a number.
TINY = torch.finfo(torch.float32).tiny


def errors(logits: Tensor, counted: Tensor, likeliest: Tensor, logs: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the divergences over the ``counted`` places, those of replayed answers ``REPLAY_WEIGHT``
    times, and its gradient by the logits.

    ``logits`` (places, vocabulary), ``counted`` (places), ``likeliest`` (places, k) and ``logs`` (places,
    k + 1), the base's log-probabilities with that of all other tokens last. A token may stand among the k
    more than once if all but one of its log-probabilities are -inf.
    """
    weight = torch.where(logs[:, 1].isneginf(), 1.0, REPLAY_WEIGHT) * counted
    numbers = logits.float()
    logs = logs.float().log_softmax(1)  # what float16 rounded off
    chances = logs.exp()
    normalizer = numbers.logsumexp(1, keepdim=True)
    found = numbers.gather(1, likeliest) - normalizer
    others = (numbers - normalizer).exp().scatter(1, likeliest, 0.0)
    rest = others.sum(1, keepdim=True).clamp_min(TINY)
    loss = torch.xlogy(chances, chances).sum(1)
    loss = loss - (chances[:, :-1] * found).sum(1) - chances[:, -1] * rest[:, 0].log()
    error = others * (1 - chances[:, -1:] / rest)
    error = error.scatter(1, likeliest, found.exp()).scatter_add(1, likeliest, -chances[:, :-1])
    return (loss.where(counted, 0.0) * weight).sum(), (error * weight[:, None]).to(logits.dtype)


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, likeliest: Tensor, logs: Tensor) -> Tensor:
        counted = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
        loss, error = errors(logits, counted, likeliest, logs)
        ctx.save_for_backward(error)
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = ctx.saved_tensors
        return error * outer[0].to(error.dtype), None, None


def divergence(logits: Tensor, likeliest: Tensor, logs: Tensor) -> Tensor:
    """The sum over all places, as :func:`errors` has it, differentiable by the logits."""
    found: Tensor = _Divergence.apply(logits, likeliest, logs)
    return found


def label_alone(labels: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """What is to be said where the answer is taught: ``likeliest`` (places, k) and ``logs`` (places, k + 1)
    by which the loss is the cross-entropy of the ``labels`` (places)."""
    logs = torch.full((len(labels), k + 1), -torch.inf, dtype=torch.float16)
    logs[:, 0] = 0
    return labels[:, None].repeat(1, k), logs
