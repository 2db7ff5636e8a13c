"""``core.engine``'s command line whose training waits at a place until it is asked to stop: a stop then comes
there, however fast the machine is. ``TUNEBOARD_ENGINE=tests.held_engine``, or forked
(:data:`tests.forked_engine.MODULE_VARIABLE`).

    HELD_AT       where: "loading"; "beginning", when all is loaded; "step N", before anything else is done
                  after it; "save N", when the file is written and not yet named; "asking N", the model then.
                  "memory N" waits for nobody: it asks for more memory than a GPU has after that step
    HELD_UNTIL    a file: also until that is there
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.engine import worker, xtuner_tool
from core.engine.__main__ import main as engine
from core.engine.stopping import STOP

NAME = "tests.held_engine"
AT_VARIABLE, UNTIL_VARIABLE = "HELD_AT", "HELD_UNTIL"


def main(arguments: Sequence[str]) -> None:
    tool, *rest = arguments
    if tool == "worker":
        worker.main(rest[0], main, engine=NAME)
        return
    place, _, number = os.environ.get(AT_VARIABLE, "").partition(" ")
    if tool == "train":
        run = xtuner_tool.run_xtuner_tool

        def run_held(module: str, given: list[str]) -> None:
            if place:
                PLACES[place](int(number or 0))
            run(module, given)

        xtuner_tool.run_xtuner_tool = run_held
    engine(arguments)


def wait() -> None:
    """Until it is asked to stop. Where a stop comes at once, this is broken off by it."""
    until = os.environ.get(UNTIL_VARIABLE)
    while not STOP.asked or (until and not Path(until).exists()):
        time.sleep(0.005)


def at_loading(_: int) -> None:
    wait()


def at_beginning(_: int) -> None:
    from mmengine.hooks import Hook

    class Held(Hook):
        priority = "LOWEST"

        def before_train(self, _: Any) -> None:
            wait()

    _with_hook(Held)


def at_step(number: int) -> None:
    from mmengine.hooks import Hook

    class Held(Hook):
        priority = "VERY_HIGH"  # after what says how far it is

        def after_train_iter(self, runner: Any, **_: Any) -> None:
            if runner.iter + 1 == number:
                wait()

    _with_hook(Held)


def at_memory(number: int) -> None:
    import torch
    from mmengine.hooks import Hook

    class Takes(Hook):
        def after_train_iter(self, runner: Any, **_: Any) -> None:
            if runner.iter + 1 == number:
                torch.empty(1 << 50, dtype=torch.uint8, device="cuda")

    _with_hook(Takes)


def at_save(number: int) -> None:
    import torch

    save, saved = torch.save, []

    def save_and_wait(*positional: Any, **options: Any) -> None:
        save(*positional, **options)
        saved.append(1)
        if len(saved) == number:
            wait()

    torch.save = save_and_wait


def at_asking(number: int) -> None:
    from xtuner.engine.hooks import EvaluateChatHook

    ask = EvaluateChatHook._eval_language

    def ask_and_wait(self: Any, runner: Any, *rest: Any) -> None:
        ask(self, runner, *rest)
        if runner.iter + 1 == number:
            wait()

    EvaluateChatHook._eval_language = ask_and_wait


def _with_hook(kind: Callable[[], Any]) -> None:
    from mmengine.runner import FlexibleRunner, Runner

    def held(train: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def train_held(self: Any) -> Any:
            self.register_hook(kind())
            return train(self)

        return train_held

    for runner in (Runner, FlexibleRunner):
        runner.train = held(runner.train)


PLACES = {
    "loading": at_loading,
    "beginning": at_beginning,
    "step": at_step,
    "save": at_save,
    "asking": at_asking,
    "memory": at_memory,
}

if __name__ == "__main__":
    main(sys.argv[1:])
