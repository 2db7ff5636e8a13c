"""The written proof of a run: its numbers, and what each single answer shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.proof.judge import Judged, Verdict, judge, score_of
from core.proof.questions import Kind, known_question
from core.proof.score import Score, Share
from core.steps.export import artefacts, kinds_of, made_at
from core.workspace.files import read_object
from core.workspace.paths import RunPaths


@dataclass(frozen=True)
class ProofRow:
    """One question, both answers, and what they show; ``thinks``: whether the model was asked to think first
    or to answer at once, None where that cannot be said."""

    judged: Judged
    base: str
    tuned: str
    thinks: bool | None = None
    system: str = ""

    @property
    def question(self) -> str:
        return self.judged.question.question

    @property
    def kind(self) -> Kind:
        return self.judged.question.kind

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict

    @property
    def changed(self) -> bool:
        return self.base != self.tuned


@dataclass(frozen=True)
class Proof:
    """``stale``: the merged model was made after it was asked."""

    score: Score
    rows: tuple[ProofRow, ...]
    stale: bool


def read(run: RunPaths) -> Proof | None:
    """The run's result; None before it was measured."""
    result, about = read_object(run.result), read_object(run.data) or {}
    if result is None:
        return None
    name = str(about.get("name", ""))
    rows = tuple(_row(name, **answer) for answer in result["answers"])
    stale = made_at(run.merged) > run.result.stat().st_mtime
    return Proof(_score(result, rows), rows, stale)


def missing(run: RunPaths) -> Literal["merge", "compare"] | None:
    """What a trained run still lacks of its newest checkpoint: the merged model, then its proof."""
    whole = {artefact.kind for artefact in artefacts(run) if not artefact.stale}
    if whole != set(kinds_of(run)):
        return "merge"
    found = read(run)
    return "compare" if found is None or found.stale else None


def _score(result: Mapping[str, Any], rows: Sequence[ProofRow]) -> Score:
    """The shares as they were written; how many questions they are of is counted."""
    counted = score_of([row.judged for row in rows])
    leaked = Share(result["leaked"], max(counted.leaked.n, result["leaked"]))
    return Score(_of(result["learned"], counted.learned.n), _of(result["kept"], counted.kept.n), leaked)


def _of(value: float | None, n: int) -> Share:
    return Share(0, 0, value) if value is None or not n else Share(round(value * n), n)


def _row(name: str, question: str, kind: Kind, base: str, tuned: str, **asked: Any) -> ProofRow:
    """``asked``: in which way, of which earlier versions wrote nothing."""
    return ProofRow(judge(name, known_question(question, kind), base, tuned), base, tuned, **asked)
