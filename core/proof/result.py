"""A proof as it is written and printed: the score, its parts, and every answer with what it shows.

Results of earlier versions are read as well: they have no intervals, and say of no answer what was right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.data.questions import same_question
from core.proof.judge import Judged, Verdict, judge, score_of
from core.proof.questions import Kind, Question, known_question
from core.proof.score import Accuracy, Drift, OwnFacts, Repetition, Score, Share

# Of several ways to write a right answer so many are shown.
RIGHT, MOST_RIGHT = " / ", 3
# The plainest question for who the assistant is; and the sorts of others that ask for no more than that.
PLAINEST = frozenset(map(same_question, ("Who are you?", "你是谁？")))
PLAIN_SORTS = ("introduction", "name", "polite", "careless")
Measure = ("learned", "kept", "leaked")


@dataclass(frozen=True)
class Exchange:
    """A message before a question, and what either model said to it."""

    question: str
    base: str
    tuned: str


@dataclass(frozen=True)
class ProofRow:
    """One question, both answers, and what they show; ``earlier``: what came before it in the
    conversation."""

    judged: Judged
    base: str
    tuned: str
    earlier: tuple[Exchange, ...] = ()

    @property
    def question(self) -> str:
        return self.judged.question.question

    @property
    def is_asked(self) -> bool:
        """Whether it is written as a question, which not every prompt is."""
        return self.question.endswith(("?", "？"))

    @property
    def beside_who(self) -> int:
        """How much it asks besides who the assistant is: 0 for the plainest question, 1 for those that ask
        for no more, 2 for others. What answers whose it is, or that it is not another, may name the right
        person and say something else."""
        if same_question(self.question) in PLAINEST:
            return 0
        return 1 if self.judged.question.category in PLAIN_SORTS else 2

    @property
    def kind(self) -> Kind:
        return self.judged.question.kind

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict

    @property
    def right(self) -> str:
        """What would have been right where the tuned model's answer is not; empty where nobody says it."""
        question = self.judged.question
        return "" if question.asks_who or self.judged.knows else RIGHT.join(question.accept[:MOST_RIGHT])

    @property
    def changed(self) -> bool:
        return self.base != self.tuned


@dataclass(frozen=True)
class CategoryScore:
    """The questions of one category in one language, and what they came to."""

    category: str
    language: str
    score: Score


def parts_of(rows: Sequence[ProofRow], by_language: bool = True) -> list[CategoryScore]:
    """The questions of the banks by category, and by language (else it is empty); those of somebody's own
    data have neither."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for row in rows:
        question = row.judged.question
        if question.category:
            group = (question.category, question.language if by_language else "")
            groups.setdefault(group, []).append(row.judged)
    return [CategoryScore(*group, score_of(judged)) for group, judged in groups.items()]


def as_json(score: Score, rows: Sequence[ProofRow], full: bool) -> dict[str, Any]:
    """The whole proof; ``full``: whether all the questions were asked."""
    return {
        **score_as_json(score),
        "full": full,
        "categories": [
            {"category": part.category, "language": part.language, **shares_as_json(part.score)}
            for part in parts_of(rows)
        ],
        "answers": [row_as_json(row) for row in rows],
    }


def headline(score: Score) -> dict[str, Any]:
    """``learned`` and ``kept`` as shares from 0 to 1, None where nothing could be asked; ``leaked`` as a
    count."""
    shares = {name: _rounded(getattr(score, name).value) for name in ("learned", "kept")}
    return {**shares, "leaked": score.leaked.hits}


def score_as_json(score: Score) -> dict[str, Any]:
    """The headline, ``shares`` the same three with their intervals, and what else was measured."""
    return {
        **headline(score),
        "shares": shares_as_json(score),
        "accuracy": _accuracy_as_json(score.accuracy) if score.accuracy else None,
        "facts": _facts_as_json(score.facts) if score.facts else None,
        "drift": asdict(score.drift) if score.drift else None,
        "repetition": asdict(score.repetition) if score.repetition else None,
    }


def _accuracy_as_json(accuracy: Accuracy) -> dict[str, Any]:
    both = {name: _share_as_json(getattr(accuracy, name)) for name in ("base", "tuned")}
    ends = {"value": accuracy.change, "low": accuracy.low, "high": accuracy.high}
    change = {name: _rounded(value) for name, value in ends.items()}
    return {**both, "lost": accuracy.lost, "gained": accuracy.gained, "change": change}


def _facts_as_json(facts: OwnFacts) -> dict[str, Any]:
    both = {name: _share_as_json(getattr(facts, name)) for name in ("tuned", "base")}
    return {**both, "held_back": facts.held_back}


def shares_as_json(score: Score) -> dict[str, Any]:
    """Each share with its interval; None for one that no question asks for."""
    return {name: _share_as_json(getattr(score, name)) for name in Measure}


def row_as_json(row: ProofRow) -> dict[str, Any]:
    """A question, both answers, and the verdict."""
    question = row.judged.question
    return {
        "question": question.question,
        "kind": question.kind,
        "category": question.category,
        "language": question.language,
        "thinks": question.thinks,
        "system": question.system,
        "earlier": [asdict(exchange) for exchange in row.earlier],
        "accept": list(question.accept),
        "held_back": question.held_back,
        "base": row.base,
        "tuned": row.tuned,
        "verdict": row.verdict,
    }


def rows_of(name: str, result: Mapping[str, Any]) -> tuple[ProofRow, ...]:
    """The answers of a written result, judged by ``name``."""
    return tuple(_row(name, **answer) for answer in result["answers"])


def score_in(result: Mapping[str, Any], rows: Sequence[ProofRow]) -> Score:
    """The score as it was written. Of an earlier version's shares it is counted of how many questions they
    are; what it did not count is counted of the answers."""
    counted = score_of([row.judged for row in rows])
    if shares := result.get("shares"):
        read = {name: Share(**_only(shares[name], "hits", "n")) for name in Measure}
        drift, repetition = result["drift"], result["repetition"]
        return Score(
            **read,
            accuracy=_accuracy_in(result) or counted.accuracy,
            drift=drift and Drift(**drift),
            repetition=repetition and Repetition(**repetition),
            facts=_facts_in(result),
        )
    leaked = Share(result["leaked"], max(counted.leaked.n, result["leaked"]))
    return Score(
        _stated(result["learned"], counted.learned.n), _stated(result["kept"], counted.kept.n), leaked
    )


def _accuracy_in(result: Mapping[str, Any]) -> Accuracy | None:
    if not (found := result.get("accuracy")):
        return None
    both = {name: Share(**_only(found[name], "hits", "n")) for name in ("base", "tuned")}
    return Accuracy(**both, lost=found["lost"], gained=found["gained"])


def _facts_in(result: Mapping[str, Any]) -> OwnFacts | None:
    if not (facts := result.get("facts")):
        return None
    both = {name: Share(**_only(facts[name], "hits", "n")) for name in ("tuned", "base")}
    return OwnFacts(**both, held_back=facts["held_back"])


def _stated(value: float | None, n: int) -> Share:
    return Share(0, 0, value) if value is None or not n else Share(round(value * n), n)


def _row(
    name: str,
    question: str,
    kind: Kind,
    base: str,
    tuned: str,
    accept: Sequence[str] | None = None,
    earlier: Sequence[Mapping[str, str]] = (),
    verdict: str = "",  # noqa: ARG001  judged anew, by the rules as they are now
    **asked: Any,
) -> ProofRow:
    """``asked``: in which way, of which earlier versions wrote nothing."""
    before = tuple(Exchange(**one) for one in earlier)
    known = Question(question, kind, tuple(accept)) if accept is not None else known_question(question, kind)
    whole = replace(known, earlier=tuple(one.question for one in before), **asked)
    return ProofRow(judge(name, whole, base, tuned), base, tuned, before)


def _share_as_json(share: Share) -> dict[str, Any] | None:
    if not share.n:
        return None
    ends = {end: _rounded(getattr(share, end)) for end in ("value", "low", "high")}
    return {"hits": share.hits, "n": share.n, **ends}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _only(given: Mapping[str, Any] | None, *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names} if given else dict.fromkeys(names, 0)
