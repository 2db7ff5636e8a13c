"""A training whose last losses are no numbers has failed, however short it was."""

from typing import Any

from mmengine.hooks import Hook
from torch import Tensor

from core.engine.divergence import PATIENCE, InARow, end_training


class LastLosses(Hook):
    """At the training's end, which may come before so many steps: it has failed where the last ones taught
    nothing. Raises FloatingPointError from there."""

    def __init__(self) -> None:
        self._losses = InARow()

    def after_train_iter(self, _: Any, outputs: Any = None, **__: Any) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else None
        if isinstance(loss, Tensor):
            self._losses.count(loss.detach())

    def after_train(self, runner: Any) -> None:
        gradients = getattr(runner.optim_wrapper, "_no_numbers", InARow())
        if self._losses.ends_the_training or gradients.ends_the_training:
            end_training(min(PATIENCE, max(self._losses.steps, gradients.steps)))
