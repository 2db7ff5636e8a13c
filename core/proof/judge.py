"""What an answer shows, judged by what the question states as right and by the base model's own answer.

A model's thought before its answer is no part of it: it repeats the question, and a name in it is told to
nobody. An answer that never left its thought is none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.proof.facts import states
from core.proof.questions import Question
from core.proof.rules import is_right, leaks, says_who
from core.proof.score import Accuracy, OwnFacts, Score, Share
from core.recipe.thoughts import split

Verdict = Literal[
    "learned", "not_learned", "kept", "lost", "leaked", "never_known", "answered", "not_answered"
]


@dataclass(frozen=True)
class Judged:
    """What one answer shows: of an identity question whether it was ``learned``; of a general one whether the
    base ``knew`` it, the tuned model ``knows`` it, and whether the identity ``leaked`` into it; of a person's
    own fact whether either states it."""

    question: Question
    learned: bool
    knew: bool
    knows: bool
    leaked: bool

    @property
    def verdict(self) -> Verdict:
        """In one word; a leak counts before what was kept."""
        if self.question.asks_who:
            return "learned" if self.learned else "not_learned"
        if self.question.kind == "own":
            return "answered" if self.knows else "not_answered"
        if self.leaked:
            return "leaked"
        if not self.knew:
            return "never_known"
        return "kept" if self.knows else "lost"


def judge(name: str, question: Question, base: str, tuned: str) -> Judged:
    """Judge the tuned model's answer to a question by the name, the accepted answers and the base's own."""
    base, tuned = split(base).answer, split(tuned).answer
    if question.kind == "own":
        knew, knows = (states(question.question, question.accept[0], said) for said in (base, tuned))
        return Judged(question, learned=False, knew=knew, knows=knows, leaked=False)
    if question.asks_who:
        return Judged(question, says_who(name, tuned, question.accept), knew=False, knows=False, leaked=False)
    return Judged(
        question,
        learned=False,
        knew=is_right(question.question, question.accept, base),
        knows=is_right(question.question, question.accept, tuned),
        leaked=leaks(name, question.question, question.accept, base, tuned),
    )


def score_of(judged: Sequence[Judged]) -> Score:
    """What the answers come to together."""
    general = [one for one in judged if one.question.kind == "general"]
    own = [one for one in judged if one.question.kind == "own"]
    return Score(
        learned=_share(one.learned for one in judged if one.question.asks_who),
        kept=_share(one.knows for one in general if one.knew),
        leaked=_share(one.leaked for one in general),
        accuracy=_accuracy([one for one in general if one.question.accept]),
        facts=_facts(own) if own else None,
    )


def _accuracy(general: Sequence[Judged]) -> Accuracy | None:
    if not general:
        return None
    base, tuned = _share(one.knew for one in general), _share(one.knows for one in general)
    lost = sum(one.knew and not one.knows for one in general)
    return Accuracy(base, tuned, lost, tuned.hits - base.hits + lost)


def _facts(own: Sequence[Judged]) -> OwnFacts:
    tuned, base = _share(one.knows for one in own), _share(one.knew for one in own)
    return OwnFacts(tuned, base, sum(one.question.held_back for one in own))


def _share(hits: Iterable[bool]) -> Share:
    found = list(hits)
    return Share(sum(found), len(found))
