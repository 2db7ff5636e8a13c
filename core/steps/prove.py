"""Prove: the same questions asked of a base and of a model tuned from it, judged, and what came of it as
``--json`` prints it.

It knows no run: whoever asks says which two models, how they are spoken to, and in which job folders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.proof.asking import Answer, Ask
from core.proof.judge import judge, score_of
from core.proof.questions import Question
from core.proof.score import Score
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.watch import Update
from core.workspace.paths import Workspace


@dataclass(frozen=True)
class BaseAndTuned:
    """A base and a model tuned from it (folders of weights), how both are spoken to, and on what they run."""

    base: Path
    tuned: Path
    prompt_format: PromptFormat
    device: str


@dataclass(frozen=True)
class ProofJobs:
    """The job folders in which both are asked."""

    base: Path
    tuned: Path


def prove(
    workspace: Workspace,
    jobs: ProofJobs,
    pair: BaseAndTuned,
    name: str,
    asked: Sequence[Question],
    update: Update,
) -> dict[str, Any]:
    """Ask both models and judge the tuned one's answers by ``name`` and by the base's. What one of them has
    said before, to the same question and spoken to in the same way, is not asked again.

    Returns the score and the answers. Raises StepFailed, StepStopped.
    """
    before = _answers(workspace, jobs.base, pair, pair.base, [one.base_ask for one in asked], update)
    after = _answers(workspace, jobs.tuned, pair, pair.tuned, [one.ask for one in asked], update)
    judged = [judge(name, one, before[one.base_ask].text, after[one.ask].text) for one in asked]
    score = score_of(judged)
    return {**score_as_json(score), "answers": [_row(one, before, after) for one in asked]}


def score_as_json(score: Score) -> dict[str, Any]:
    """``learned`` and ``kept`` as shares from 0 to 1, None where nothing could be asked; ``leaked`` as a
    count."""
    return {
        "learned": _rounded(score.learned.value),
        "kept": _rounded(score.kept.value),
        "leaked": score.leaked.hits,
    }


def _answers(
    workspace: Workspace, job: Path, pair: BaseAndTuned, model: Path, asks: Sequence[Ask], update: Update
) -> dict[Ask, Answer]:
    memory = AnswerCache(workspace, model, pair.prompt_format)
    return memory.ask(job, list(dict.fromkeys(asks)), pair.device, update)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _row(question: Question, before: dict[Ask, Answer], after: dict[Ask, Answer]) -> dict[str, Any]:
    return {
        "question": question.question,
        "kind": question.kind,
        "thinks": question.thinks,
        "system": question.system,
        "base": before[question.base_ask].text,
        "tuned": after[question.ask].text,
    }
