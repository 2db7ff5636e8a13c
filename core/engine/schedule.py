"""The learning rate of several processes is the one that one process has after the same rows.

mmengine 0.10.7 moves its schedules once an iteration, also where gradients only add up. W processes read W
micro-batches an iteration, and one process with the same update takes W iterations for them: so the schedule
is that of one process, and is moved W times.
"""

from copy import deepcopy
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from core.recipe.length import warm_up


class ScheduleByRows(Hook):
    """After a step; mmengine's own hook moves the schedule the first time."""

    priority = "HIGH"

    def after_train_iter(self, runner: Any, **_: Any) -> None:
        for __ in range(get_world_size() - 1):
            _move(runner.param_schedulers)


def run_schedule(runner: Any) -> None:
    """Put the schedule where it is at the runner's iteration, whatever a checkpoint says of it: before an
    iteration it stands at the last of its micro-batches, by which an update is made."""
    ranks = get_world_size()
    for group in runner.optim_wrapper.optimizer.param_groups:
        group["lr"] = group.pop("initial_lr", group["lr"])
    schedules = _of_one_process(runner, ranks)
    for _ in range(runner.iter * ranks + ranks - 1):
        _move(schedules)
    runner.param_schedulers = schedules
    if hasattr(runner, "strategy"):
        runner.strategy.param_schedulers = schedules


def _move(schedules: Any) -> None:
    for schedule in schedules or ():
        schedule.step()


def _of_one_process(runner: Any, ranks: int) -> list[Any]:
    """The config's schedules, whose iterations are of all processes, in those of one."""
    from mmengine.registry import PARAM_SCHEDULERS

    given = runner.cfg.param_scheduler
    wanted = [deepcopy(one) for one in (given if isinstance(given, list | tuple) else [given]) if one]
    whole = runner.cfg.train_cfg.get("max_iters")
    first = wanted[0].get("end") if len(wanted) > 1 else None
    rises = warm_up(runner.cfg.get("warmup_ratio", 0.0), whole * ranks) if whole else 0

    def in_one(at: int) -> int:
        return rises if rises and at == first else at * ranks

    for one in wanted:
        if not one.get("by_epoch", True):
            one.update({name: in_one(one[name]) for name in ("begin", "end") if one.get(name)})
    length = len(runner.train_dataloader) * ranks
    made = {"optimizer": runner.optim_wrapper, "epoch_length": length}
    return [PARAM_SCHEDULERS.build(one, default_args=made) for one in wanted]
