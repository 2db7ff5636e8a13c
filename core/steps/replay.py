"""Replay for a data set that is made step by step: a base model's own answers to general questions."""

from collections.abc import Sequence
from pathlib import Path

from core.data.conversations import Conversation
from core.data.opening import Reading, read_conversations
from core.data.replay import questions_to_ask, replay_conversations
from core.data.sets import SetPaths
from core.errors import EmptyData, NoSuchFile, Unreadable, reason_of
from core.machine import this_machine
from core.models.folder import Model
from core.proof.asking import THOUGHT_TOKENS, Ask
from core.recipe.check import settle
from core.recipe.own_template import template_of
from core.recipe.recipe import Recipe
from core.recipe.thinking import thinking_of
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.watch import Update
from core.wording import say
from core.workspace.paths import Workspace


def wanted(taught: int, share: float) -> int:
    """How many rows make up ``share`` of the whole beside ``taught`` others."""
    return round(taught * share / (1 - share))


def answers(
    workspace: Workspace,
    place: SetPaths,
    model: Model,
    questions: Sequence[str],
    tokens: int,
    system: str,
    update: Update,
) -> list[Conversation]:
    """What the model says to each question by itself, greedily, up to ``tokens`` and without a thought before
    it; asked once for each model and way of speaking (its fingerprint names the file).

    Raises StepFailed, StepStopped.
    """
    settled = settle(Recipe(model=str(model.folder), data="rows.jsonl", system=system), this_machine(), model)
    memory = AnswerCache(workspace, model.folder, PromptFormat.of(settled))
    thinking = thinking_of(template_of(settled.template, model.folder))
    at_once = thinking.modes[0]
    thought = THOUGHT_TOKENS if thinking.may_think(at_once) else 0
    asks = [Ask(question, tokens + thought, thinks=at_once) for question in questions]
    said = memory.ask(place.asking, asks, settled.device, update)
    return replay_conversations({ask.question: answer.said for ask, answer in said.items()})


def questions(taught: Sequence[Conversation], count: int, seed: int, own: Sequence[str] = ()) -> list[str]:
    """Up to ``count`` questions, one's own or the shipped ones, that are neither taught nor held back."""
    return questions_to_ask(taught, count, seed, own)


def read_questions(path: Path) -> list[str]:
    """One's own questions: one a line of a text file, or the first ones of a file of conversations.

    Raises NoSuchFile, Unreadable, EmptyData, and what reading conversations does.
    """
    if path.suffix.lower() in {".json", ".jsonl"}:
        return [conversation[0].input for conversation in read_conversations(path, Reading(ignore=("*",)))]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except UnicodeDecodeError as error:
        raise Unreadable(path=path, reason=say("document.encoding")) from error
    except OSError as error:
        raise Unreadable(path=path, reason=reason_of(error)) from error
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise EmptyData(path=path)
    return found
