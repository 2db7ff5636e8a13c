"""Asks a model in training who it is, and lets the training end once it has learned that.

For a config with ``stop_when_learned``. The questions lie beside it (``learning.json``: ``{"name", "model",
"template", "system", "questions"}``, those as ``core.engine.answer`` has them), are in no training data, and
are asked as a server asks them. The share answered with the name is logged as ``learned``.

A learning rate that falls by a cosine is still high in the middle, and weights at a high rate are noisy. So
the training does not stop where it has learned: from there the rate falls to nothing in a straight line, for
a fifth of the iterations so far (warm-up, stable, decay: Hu et al. 2024, "MiniCPM", arXiv 2404.06395).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from core.data.asking import Prompter
from core.engine.answer import answer_all, first_token
from core.engine.several import from_first_rank
from core.engine.stopping import STOP
from core.engine.tokenizer_file import load_tokenizer
from core.jobs import progress
from core.jobs.progress import Phase
from core.proof.rules import says_who
from core.recipe.own_template import template_of
from core.recipe.thoughts import split

FILE = "learning.json"
# So often in a whole training; learned is what was all answered so many times in a row.
LOOKS, IN_A_ROW = 16, 2
# Of the iterations so far.
DECAY = 0.2
# In the training's own memory, which its checkpoints hold.
SO_FAR, BEGAN, ENDS, RATES = "learned_in_a_row", "learned_at", "learned_ends", "learned_rates"
DUE = "learned_due"
# No share: what the others are told by a first process that was asked to stop.
BROKEN_OFF = -1.0


class StopWhenLearned(Hook):
    """Before mmengine's own hooks, so that they log the rate and the share of this very iteration."""

    priority = "HIGHEST"

    def __init__(self, questions: Path) -> None:
        asked = json.loads(questions.read_text(encoding="utf-8"))
        self.name, self.system, self.questions = asked["name"], asked["system"], asked["questions"]
        folder = Path(asked["model"])
        self.tokenizer = load_tokenizer(str(folder), padding_side="left")
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        template = template_of(asked["template"], folder)
        self.prompter = Prompter(folder, template, first_token(self.tokenizer))

    def before_train(self, runner: Any) -> None:
        if (ends := _known(runner, ENDS)) is not None:
            runner.train_loop._max_iters = min(ends, runner.max_iters)  # a training that goes on
        elif _known(runner, DUE):
            self._look(runner, runner.iter)

    def before_train_iter(self, runner: Any, **_: Any) -> None:
        """In the decay the rate is what it was when that began, times what is left of it."""
        began, ends = _known(runner, BEGAN), _known(runner, ENDS)
        if began is None or ends is None:
            return
        left = max(0.0, (ends - runner.iter) / (ends - began))
        for group, rate in zip(_groups(runner), runner.message_hub.get_info(RATES), strict=True):
            group["lr"] = rate * left

    def after_train_iter(self, runner: Any, **_: Any) -> None:
        done = runner.iter + 1
        if done % max(1, runner.max_iters // LOOKS) or _known(runner, ENDS) is not None:
            return
        found: list[float] = []
        # Broken off by a stop, it is done by whoever goes on.
        if is_main_process():
            STOP.unless_asked(lambda: found.append(self.learned(runner.model)))
        learned = from_first_rank(found[0] if found else BROKEN_OFF)
        runner.message_hub.update_info(DUE, int(learned == BROKEN_OFF))
        if learned != BROKEN_OFF:
            self._heed(runner, done, learned)

    def _look(self, runner: Any, done: int) -> None:
        """Ask, of several processes the first, for all are to end at the same step."""
        self._heed(runner, done, from_first_rank(self.learned(runner.model) if is_main_process() else 0.0))

    def _heed(self, runner: Any, done: int, learned: float) -> None:
        """Log the share, and where it has learned begin the end."""
        runner.message_hub.update_scalar("train/learned", learned)
        in_a_row = (_known(runner, SO_FAR) or 0) + 1 if learned == 1.0 else 0
        runner.message_hub.update_info(SO_FAR, in_a_row)
        ends = done + max(1, round(done * DECAY))
        if in_a_row >= IN_A_ROW and ends < runner.max_iters:
            rates = [float(group["lr"]) for group in _groups(runner)]
            for key, value in ((BEGAN, done), (ENDS, ends), (RATES, rates)):
                runner.message_hub.update_info(key, value)
            runner.train_loop._max_iters = ends
            print_log(f"Learned at iteration {done}: the learning rate falls to 0 until {ends}.", "current")

    def learned(self, model: Any) -> float:
        """The share of the questions that the model answers with the name now."""
        llm = getattr(model, "module", model).llm
        with progress.during(Phase.evaluating), _as_served(llm), redirect_stdout(StringIO()):
            said = answer_all(llm, self.tokenizer, self.prompter, self.questions, self.system)
        return sum(says_who(self.name, split(one["answer"]).answer) for one in said) / len(said)


def _groups(runner: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = runner.optim_wrapper.optimizer.param_groups
    return found


def _known(runner: Any, key: str) -> int | None:
    found = runner.message_hub.runtime_info.get(key)
    return None if found is None else int(found)


@contextmanager
def _as_served(llm: Any) -> Iterator[None]:
    """Without dropout, with a cache and without computing anything twice; then as it was."""
    training, cached, again = llm.training, llm.config.use_cache, llm.is_gradient_checkpointing
    llm.eval()
    llm.config.use_cache = True
    if again:
        llm.gradient_checkpointing_disable()
    try:
        yield
    finally:
        if again:
            llm.gradient_checkpointing_enable()
        llm.config.use_cache = cached
        llm.train(training)


def questions_beside(config_file: Path) -> Path | None:
    """The questions of a config that asks for them; None, and a word in the log, where they are not there."""
    questions = config_file.with_name(FILE)
    if questions.exists():
        return questions
    print_log(f"{FILE} is not beside the config: nothing is asked while it trains.", "current")
    return None
