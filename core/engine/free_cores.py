"""A training on a processor follows the cores that are free while it goes on: what other programs did in its
first second would otherwise be missed, or waited for, to its end."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook

from core.engine.threads import computes_with_free_cores
from core.machine import OtherWork, free_threads

# Seconds between two looks, and what each is a mean over.
LOOK_EVERY = 10.0


class FollowFreeCores(Hook):
    """After a step, now and then. What was compiled is compiled for a number of threads, and keeps it."""

    def __init__(self, others: OtherWork | None = None) -> None:
        self._others = others or OtherWork(LOOK_EVERY)
        self._follows = False

    def before_train(self, runner: Any) -> None:
        acceleration = runner.cfg.get("acceleration") or {}  # or the name of another way to train
        compiled = isinstance(acceleration, Mapping) and acceleration.get("compile", "none") != "none"
        self._follows = computes_with_free_cores() and not compiled

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        if not self._follows or self._others.passed < LOOK_EVERY:
            return
        torch.set_num_threads(free_threads(self._others.cores()))
