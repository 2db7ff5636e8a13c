"""Prove: the same questions asked of a base and of a model tuned from it, judged, and what came of it as
``--json`` prints it.

It knows no run: whoever asks says which two models, how they are spoken to, and in which job folders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.proof.asking import Answer, Ask, GivenAnswer
from core.proof.fluency import repetition
from core.proof.judge import judge, score_of
from core.proof.questions import Question
from core.proof.result import Exchange, ProofRow, as_json
from core.proof.score import Repetition, drift_of
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

    @property
    def likelihood(self) -> Path:
        """Where the base is asked how likely it finds its own answers: once for each model."""
        return self.base.with_name("likelihood")


def prove(
    workspace: Workspace,
    jobs: ProofJobs,
    models: BaseAndTuned,
    name: str,
    asked: Sequence[Question],
    update: Update,
    full: bool = False,
) -> dict[str, Any]:
    """Ask both models and judge the tuned one's answers by ``name`` and by the base's; and measure how
    likely both find what the base says to the general questions. What one of them has said before, to the
    same question and spoken to in the same way, is not asked again.
    ``full``: whether that is all the questions.

    Returns the score, its parts and the answers. Raises StepFailed, StepStopped.
    """
    base = AnswerCache(workspace, models.base, models.prompt_format)
    of_base = _once([one.base_ask for one in asked])
    before = base.ask(jobs.base, of_base, models.device, update)
    tuned = AnswerCache(workspace, models.tuned, _spoken_to_tuned(models, base.shipped_of(of_base)))
    general = [one for one in asked if one.kind == "general"]
    given = [GivenAnswer(one.base_ask, before[one.base_ask]) for one in general]
    _, own = base.ask_and_score(jobs.likelihood, [], given, models.device, update)
    asks = _once([one.ask for one in asked])
    after, likely = tuned.ask_and_score(jobs.tuned, asks, given, models.device, update)
    rows = [_row(name, one, before[one.base_ask], after[one.ask]) for one in asked]
    score = replace(
        score_of([row.judged for row in rows]),
        drift=drift_of([own[one] for one in given], [likely[one] for one in given]),
        repetition=_repetition(before, after, general),
    )
    return as_json(score, rows, full)


def _spoken_to_tuned(models: BaseAndTuned, shipped: Mapping[str, Any] | None) -> PromptFormat:
    """In the base's precision, also where its answers were ``shipped`` and are of another: asked in bfloat16
    beside float32 a small model loses what it knows by a hair. A processor would take twice as long."""
    if shipped is None or models.device != "cuda":
        return models.prompt_format
    return replace(models.prompt_format, precision=str(shipped["precision"]))


def _once(asks: Sequence[Ask]) -> list[Ask]:
    return list(dict.fromkeys(asks))


def _row(name: str, question: Question, base: Answer, tuned: Answer) -> ProofRow:
    turns = zip(question.earlier, base.earlier, tuned.earlier, strict=True)
    judged = judge(name, question, base.text, tuned.text)
    return ProofRow(judged, base.text, tuned.text, tuple(Exchange(*turn) for turn in turns))


def _repetition(
    before: dict[Ask, Answer], after: dict[Ask, Answer], general: Sequence[Question]
) -> Repetition | None:
    if not general:
        return None
    found = (repetition(answers[one.ask].said for one in general) for answers in (before, after))
    return Repetition(*(round(share, 4) for share in found))
