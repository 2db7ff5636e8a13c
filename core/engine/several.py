"""A training in several processes, each with a device of its own: what XTuner 0.2.0 and mmengine 0.10.7 need
to teach the same as one process does.

Each process has the whole model and its own rows; what is trained gets the mean of all gradients, by torch's
DistributedDataParallel, by DeepSpeed, or of the fast path by one sum of all of them (core.engine.fast.step).
"""

from typing import Any

import torch
from mmengine.dist import get_dist_info, get_world_size
from mmengine.hooks import Hook
from torch import Tensor

from core.engine.in_turn import take_rows_in_turn

# Further apart than any two training's seeds that somebody would compare.
STRIDE = 1_000_003


def train_together() -> None:
    """For the trainings of this process, where it is one of several; after the other patches."""
    take_rows_in_turn()
    _log_the_mean_loss()
    if not torch.cuda.is_available():
        _do_without_cards()


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of all processes' values, in each of them; nothing waits for it on a GPU."""
    if get_world_size() == 1:
        return value
    total = value.detach().clone()
    torch.distributed.all_reduce(total)
    return total / get_world_size()


def from_first_rank(value: float) -> float:
    """What the first process says, in all of them."""
    if get_world_size() == 1:
        return value
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    said = torch.tensor(value, dtype=torch.float64, device=device)
    torch.distributed.broadcast(said, 0)
    return float(said)


def as_first_rank(tensors: list[Tensor]) -> None:
    """Every process begins with the first one's."""
    if get_world_size() > 1:
        for tensor in tensors:
            torch.distributed.broadcast(tensor.data, 0)


class DrawApart(Hook):
    """Random numbers of a step, such as dropout's, are others in each process, and the same whenever that
    step is trained: a training that goes on drops what it would have dropped."""

    priority = "HIGHEST"

    def before_train_iter(self, runner: Any, **_: Any) -> None:
        rank, ranks = get_dist_info()
        if ranks > 1:
            torch.manual_seed((runner.seed or 0) + STRIDE * (runner.iter * ranks + rank + 1))


def _log_the_mean_loss() -> None:
    """The log is the first process's, the loss every one's."""
    from mmengine._strategy.deepspeed import MMDeepSpeedEngineWrapper
    from mmengine.model import MMDistributedDataParallel

    def with_mean(step: Any) -> Any:
        def train_step(self: Any, *positional: Any, **options: Any) -> Any:
            logged = step(self, *positional, **options)
            return {
                name: mean_over_ranks(value) if name == "loss" else value for name, value in logged.items()
            }

        return train_step

    for kind in (MMDistributedDataParallel, MMDeepSpeedEngineWrapper):
        kind.train_step = with_mean(kind.train_step)


def _do_without_cards() -> None:
    """mmengine gives each of several processes a card of its own, also where there is none."""
    from mmengine.model import MMDistributedDataParallel

    begin = MMDistributedDataParallel.__init__

    def begin_on_the_processor(self: Any, module: Any, **options: Any) -> None:
        begin(self, module, **{**options, "device_ids": None})

    torch.cuda.set_device = lambda _: None
    MMDistributedDataParallel.__init__ = begin_on_the_processor
