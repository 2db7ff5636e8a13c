"""Stopping a training loses nothing: at its next step it writes a checkpoint, whatever ``save_every`` says,
and going on from that gives the losses of a training that was never stopped.

A checkpoint of mmengine 0.10.7 lacks one thing for this. Where gradients add up over several iterations,
those of an update that is not yet whole are not saved, and are lost to whoever goes on: here every checkpoint
has them (``accumulated``). With several processes or DeepSpeed each process has a part of them: there the
update is ended first.
"""

import signal
import time
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from torch import Tensor

from core.engine.stopping import STOP, Stopped
from core.jobs import progress
from core.jobs.grace import TOOL_GRACE
from core.recipe.ranks import PATIENCE

# In a checkpoint: the gradients of an update that is not whole yet, by their parameters' names.
ACCUMULATED = "accumulated"
# Between what ends an iteration (the schedule's step, LOW) and what saves one regularly (VERY_LOW).
AFTER_THE_STEP = 80
# What a slow disk takes of a checkpoint in a second, in bytes.
SLOW_DISK = 50e6
# Of each trained number a checkpoint has itself, two moments and a gradient, in float32.
BYTES = 16
# Another estimate is said when it is so much more than the last.
NEWS = 1.2


class KeepOnStop(Hook):
    """After a step: where somebody asked to stop, a checkpoint, and then the end."""

    priority = AFTER_THE_STEP

    def __init__(self) -> None:
        self._began: int | None = None  # at which iteration this start of the training did
        self._saved: int | None = None
        self._loaded: dict[str, Tensor] = {}
        self._together = Together()
        self._need = Need()

    def after_load_checkpoint(self, _: Any, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.pop(ACCUMULATED, {})

    def before_train(self, runner: Any) -> None:
        self._began = runner.iter
        self._together.begin()
        for name, parameter in runner.model.named_parameters():
            if name in self._loaded:
                parameter.grad = self._loaded[name].to(parameter.device, parameter.dtype)
        self._loaded = {}

    def before_train_iter(self, runner: Any, **_: Any) -> None:
        """Asked while the last iteration's checkpoint was written, or before the first step."""
        if STOP.asked and not self._together and runner.iter in {self._began, self._saved}:
            self._end(runner, runner.iter)
        self._need.step_begins()

    def after_train_iter(self, runner: Any, **_: Any) -> None:
        STOP.free = False
        done = runner.iter + 1
        self._need.step_ended(runner)
        asked = self._together.agree(STOP.asked)
        if not asked or done >= runner.max_iters or (self._in_parts(runner) and not is_update(runner)):
            return
        save(runner)
        self._saved = done  # DeepSpeed's runner tells no hook of it
        self._end(runner, done)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self._saved = runner.iter + 1
        if not self._in_parts(runner) and not is_update(runner):
            checkpoint[ACCUMULATED] = {
                name: parameter.grad.detach().cpu()
                for name, parameter in runner.model.named_parameters()
                if parameter.requires_grad and parameter.grad is not None
            }

    def _in_parts(self, runner: Any) -> bool:
        return bool(self._together) or _deepspeed(runner)

    def _end(self, runner: Any, done: int) -> None:
        kept = f"its checkpoint is kept at {self._saved}" if self._saved else "nothing new to keep"
        print_log(f"Asked to stop: at iteration {done} of {runner.max_iters}, {kept}.", "current")
        progress.phase(progress.Phase.training, runner.max_iters, done)
        raise Stopped


class Together:
    """Several processes stop at the same iteration; true where there are several."""

    def __init__(self) -> None:
        self._group: Any = None

    def __bool__(self) -> bool:
        return int(get_world_size()) > 1

    def begin(self) -> None:
        """Called by all of them."""
        if self:
            self._group = torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=PATIENCE))

    def agree(self, asked: bool) -> bool:
        """Whether one of them was asked; called by all of them, once an iteration."""
        if self._group is None:
            return asked
        said = torch.tensor([int(asked)])
        torch.distributed.all_reduce(said, torch.distributed.ReduceOp.MAX, self._group)
        return bool(said.item())


class Need:
    """How long a stop may take: to the end of the update that runs, and a checkpoint's writing."""

    def __init__(self) -> None:
        self._at = self._longest = 0.0
        self._said = TOOL_GRACE / NEWS

    def step_begins(self) -> None:
        self._at = time.monotonic()

    def step_ended(self, runner: Any) -> None:
        """Say it where it is longer than was said before."""
        first, took = self._longest == 0, time.monotonic() - self._at
        # The first step compiles; it is not waited for.
        self._longest = max(self._longest, min(took, TOOL_GRACE) if first else took)
        seconds = 2 * self._longest * _iterations(runner) + _bytes(runner) / SLOW_DISK
        if seconds > NEWS * self._said:
            self._said = seconds
            progress.need_to_end(TOOL_GRACE + seconds)


def _iterations(runner: Any) -> int:
    """How many an update may take that is to be ended first."""
    if _deepspeed(runner):
        return int(runner.model.gradient_accumulation_steps())
    return runner.optim_wrapper._accumulative_counts if get_world_size() > 1 else 1


def _bytes(runner: Any) -> float:
    return float(BYTES * sum(one.numel() for one in runner.model.parameters() if one.requires_grad))


def _deepspeed(runner: Any) -> bool:
    return hasattr(runner.model, "gradient_accumulation_steps")


def in_parts(runner: Any) -> bool:
    """Whether no process has whole weights (ZeRO-3)."""
    return _deepspeed(runner) and bool(runner.model.zero_optimization_partition_weights())


def is_update(runner: Any) -> bool:
    """Whether the iteration that has just ended was an update's last."""
    if _deepspeed(runner):
        return bool(runner.model.micro_steps % runner.model.gradient_accumulation_steps() == 0)
    return bool(runner.optim_wrapper.should_update())


def save(runner: Any) -> None:
    """A whole checkpoint of the iteration that has just ended, counted among those that are kept."""
    hook = next((one for one in runner.hooks if isinstance(one, CheckpointHook)), None)
    if hook is None or hook.by_epoch:
        runner.save_checkpoint(runner.work_dir, f"iter_{runner.iter + 1}.pth", by_epoch=False)
        return
    hook.save_optimizer = hook.save_param_scheduler = True
    print_log(f"Saving checkpoint at {runner.iter + 1} iterations", "current")
    hook._save_checkpoint(runner)


def let_workers_live() -> None:
    """A stop is asked of every process of the tool: what loads rows beside it must not end before it, which
    torch 2.13 takes for a crash."""
    from torch.utils.data import dataloader

    kind = dataloader._MultiProcessingDataLoaderIter
    begin = kind.__init__

    def begin_deaf(self: Any, *positional: Any, **options: Any) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            begin(self, *positional, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    kind.__init__ = begin_deaf
