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


def tell_progress() -> None:
    """For the trainings of this process, after ``core.engine.patches.patch_xtuner``: what comes before the
    first step, each step, and what the model is asked or written meanwhile."""
    from mmengine.runner import Runner
    from xtuner.engine.hooks import EvaluateChatHook

    train, save, ask = Runner.train, Runner.save_checkpoint, EvaluateChatHook._generate_samples

    def train_and_tell(self: Any) -> Any:
        progress.phase(Phase.reading)
        self.register_hook(TellProgress())
        return train(self)

    def save_and_tell(self: Any, *positional: Any, **options: Any) -> Any:
        with progress.during(Phase.saving):
            return save(self, *positional, **options)

    def ask_and_tell(self: Any, *positional: Any, **options: Any) -> Any:
        with progress.during(Phase.evaluating):
            return ask(self, *positional, **options)

    Runner.train, Runner.save_checkpoint = train_and_tell, save_and_tell
    EvaluateChatHook._generate_samples = ask_and_tell
