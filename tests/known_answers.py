"""A base model's answers as if it had been asked: what comes before training then needs no model at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from core.data.encoder import TokenRow
from core.data.own_encoder import encoder_of
from core.data.teacher import TeacherRow, by_key
from core.models.folder import read_model
from core.pipeline.tune import proof_questions
from core.proof.asking import Answer, Ask
from core.proof.questions import Question, in_every_way
from core.recipe.own_template import template_of
from core.steps import answer, data, first_recipe
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.first_recipe import Spoken
from core.steps.taught import to_teach
from core.workspace.paths import Workspace


def know_answers(
    workspace: Workspace, model: Path, file: Path | None = None, name: str = "X", seed: int = 42
) -> None:
    """Put answers to every question that a run on ``model`` may ask into the workspace's memory.

    Which of the general questions a run replays depends on its ``seed``; which part of the rest its final
    test asks, on all that it is taught: here it is the whole.
    """
    said = to_teach(name, file)
    spoken = Spoken(template_reason="known anyway")
    recipe = first_recipe.recipe_for(read_model(model), said, True, seed, None, spoken)
    replayed = data.replay_asks(said, recipe)
    taught = [Question(first.input, "taught") for first, *_ in said.conversations]
    asked = [
        *in_every_way(taught, data.thinking_in(recipe), data.in_halves(recipe)),
        *proof_questions(said, recipe, full=True),
    ]
    asks = [*replayed, *data.earlier_asks(recipe), *(one.base_ask for one in asked)]

    def invent(_: Path, __: Path, ___: Any, asks: Sequence[Ask], *____: Any) -> dict[Ask, Answer]:
        return {
            ask: Answer(f"This is about {ask.question}", True, ("So.",) * len(ask.earlier)) for ask in asks
        }

    with mock.patch.object(answer, "ask", invent):
        memory = AnswerCache(workspace, model, PromptFormat.of(recipe))
        answers = memory.ask(workspace.root, asks, recipe.device, lambda *_: None)
    encoder = encoder_of(model / "tokenizer.json", template_of(recipe.template, model))
    rows = (answer.token_row(encoder, one, answers[one], recipe.system) for one in replayed)
    memory.keep({}, by_key(sure(row) for row in rows if row))


def sure(row: TokenRow) -> TeacherRow:
    """A base that would say just this answer."""
    said = np.array(row.ids)[1:][row.trained[1:]]
    logs = np.tile(np.array([[0, -np.inf]], np.float16), (len(said), 1))
    return TeacherRow(np.array(row.ids), np.array(row.trained), said[:, None], logs)
