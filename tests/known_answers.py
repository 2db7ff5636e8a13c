"""A base model's answers as if it had been asked: what comes before training then needs no model at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from core.models.folder import read_model
from core.pipeline.tune import prompt_format_of, proof_questions
from core.proof.asking import Answer, Ask
from core.steps import answer, data
from core.steps.answer import AnswerCache
from core.steps.data import Spoken
from core.workspace.paths import Workspace


def know_answers(
    workspace: Workspace, model: Path, file: Path | None = None, name: str = "X", seed: int = 42
) -> None:
    """Put answers to every question that a run on ``model`` asks into the workspace's memory.

    Which of the general questions a run asks depends on its ``seed``.
    """
    said = data.taught(name, file)
    spoken = Spoken(template_reason="known anyway")
    recipe = data.recipe_for(read_model(model), said, True, seed, None, spoken)
    asks = [
        *data.replay_asks(said, recipe),
        *data.earlier_asks(recipe),
        *(q.base_ask for q in proof_questions(said, recipe)),
    ]

    def invent(_: Path, __: Path, ___: Any, asks: Sequence[Ask], *____: Any) -> dict[Ask, Answer]:
        return {
            ask: Answer(f"This is about {ask.question}", True, ("So.",) * len(ask.earlier)) for ask in asks
        }

    with mock.patch.object(answer, "ask", invent):
        memory = AnswerCache(workspace, model, prompt_format_of(recipe))
        memory.ask(workspace.root, asks, recipe.device, lambda *_: None)
