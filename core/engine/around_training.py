"""What is put around XTuner's training and around the questions it asks meanwhile: here alone, in this order.

Around a training, from the outside in:

1. it says that rows are being read (:mod:`core.engine.training_progress`);
2. its hooks are registered: of the same priority, the first comes first. ``TellProgress`` says that a step is
   done before anything is done after it; ``GoOnAcrossRanks`` counts anew where there are more or fewer
   processes than before; ``StopWhenLearned`` asks; ``FollowFreeCores`` looks at what other programs leave and
   ``GiveBackMemory`` leaves them what is free;
   ``KeepRandomState`` knows what a checkpoint is to hold, ``DrawApart`` lets each of several processes draw
   its own and ``ScheduleByRows`` keeps their rate to the rows that were read, ``LastLosses`` sees at the end
   whether anything was learned; ``KeepOnStop`` comes after what ends an iteration, the schedule's step, and
   before what saves one;
3. from here on a stop is heeded (:mod:`core.engine.stopping`), and until the first step loses nothing.

Around the questions: a stop breaks them off, unless each of several processes has a part of every weight
(ZeRO-3); their phase ends however they end; what they draw leaves the training's random numbers as they were.
A checkpoint is written within its phase, and is broken off by nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from core.engine.across_ranks import GoOnAcrossRanks
from core.engine.free_cores import FollowFreeCores
from core.engine.kept_on_stop import KeepOnStop, in_parts, let_workers_live
from core.engine.last_losses import LastLosses
from core.engine.learning import StopWhenLearned
from core.engine.random_state import KeepRandomState, apart
from core.engine.returned_memory import GiveBackMemory
from core.engine.schedule import ScheduleByRows
from core.engine.several import DrawApart
from core.engine.stopping import STOP
from core.engine.training_progress import TellProgress
from core.jobs import progress
from core.jobs.progress import Phase

MakeHook = Callable[[], Hook]
HOOKS: Sequence[MakeHook] = (
    FollowFreeCores,
    GiveBackMemory,
    KeepRandomState,
    DrawApart,
    ScheduleByRows,
    LastLosses,
    KeepOnStop,
)


def put_around(questions: Path | None) -> None:
    """For the trainings of this process, once XTuner is patched. ``questions``: those of a training that ends
    when it has learned (:data:`core.engine.learning.FILE`)."""
    from mmengine.runner import FlexibleRunner, Runner
    from xtuner.engine.hooks import EvaluateChatHook

    asking: Sequence[MakeHook] = (partial(StopWhenLearned, questions),) if questions else ()
    # DeepSpeed's runner has its model in parts: it is not asked who it is.
    for kind, between in ((Runner, asking), (FlexibleRunner, ())):
        kind.train = _around(kind.train, (TellProgress, GoOnAcrossRanks, *between, *HOOKS))
        kind.save_checkpoint = _in_phase(Phase.saving, kind.save_checkpoint)
    ask = _in_phase(Phase.evaluating, apart()(EvaluateChatHook._generate_samples))
    EvaluateChatHook._generate_samples = _unless_stopped(ask)
    let_workers_live()


def _around(train: Callable[[Any], Any], hooks: Sequence[MakeHook]) -> Callable[[Any], Any]:
    def train_within(self: Any) -> Any:
        progress.phase(Phase.reading)
        for make in hooks:
            self.register_hook(make())
        with STOP.heeded():
            STOP.free = True  # nothing is learned yet
            return train(self)

    return train_within


def _unless_stopped(ask: Callable[..., Any]) -> Callable[..., None]:
    def ask_unless_stopped(hook: Any, runner: Any, *positional: Any, **options: Any) -> None:
        if get_world_size() > 1 and in_parts(runner):
            ask(hook, runner, *positional, **options)  # each process waits for the others' parts of a weight
        else:
            STOP.unless_asked(lambda: ask(hook, runner, *positional, **options))

    return ask_unless_stopped


def _in_phase(name: Phase, do: Callable[..., Any]) -> Callable[..., Any]:
    def done(*positional: Any, **options: Any) -> Any:
        with progress.during(name):
            return do(*positional, **options)

    return done
