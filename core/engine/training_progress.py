"""A training says how far it is, step by step (:mod:`core.jobs.progress`)."""

from collections.abc import Callable
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


def tell_progress() -> None:
    """For the trainings of this process, after ``core.engine.patches.patch_xtuner``: what comes before the
    first step, each step, and what the model is asked or written meanwhile."""
    from mmengine.runner import FlexibleRunner, Runner
    from xtuner.engine.hooks import EvaluateChatHook

    ask = EvaluateChatHook._generate_samples
    EvaluateChatHook._generate_samples = _in_phase(Phase.evaluating, ask)
    for kind in (Runner, FlexibleRunner):
        kind.save_checkpoint = _in_phase(Phase.saving, kind.save_checkpoint)
        kind.train = _telling(kind.train)


def _in_phase(name: Phase, do: Callable[..., Any]) -> Callable[..., Any]:
    def done(*positional: Any, **options: Any) -> Any:
        with progress.during(name):
            return do(*positional, **options)

    return done


def _telling(train: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def train_and_tell(self: Any) -> Any:
        progress.phase(Phase.reading)
        self.register_hook(TellProgress())
        return train(self)

    return train_and_tell
