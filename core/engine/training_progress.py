"""A training says how far it is, step by step (:mod:`core.jobs.progress`)."""

from typing import Any

from mmengine.hooks import Hook

from core.jobs import progress
from core.jobs.progress import Phase


class TellProgress(Hook):
    """Before every other hook: what these do takes its time."""

    priority = "HIGHEST"

    def before_train(self, runner: Any) -> None:
        progress.phase(Phase.training, runner.max_iters, runner.iter)

    def after_train_iter(self, runner: Any, **_: Any) -> None:
        done = runner.iter + 1
        progress.reach(done, runner.max_iters, done / runner.max_iters)
