"""What an answer shows, judged by what the question states as right and by the base model's own answer.

A model's thought before its answer is no part of it: it repeats the question, and a name in it is told to
nobody. An answer that never left its thought is none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.data.questions import contains
from core.proof.questions import Question
from core.proof.score import Score, Share
from core.recipe.thoughts import split

IDENTITY_WORDS = ("personal assistant", "小助手", "私人助理", "个人助理")
Verdict = Literal["learned", "not_learned", "kept", "lost", "leaked", "never_known"]


@dataclass(frozen=True)
class Judged:
    """What one answer shows: of an identity question whether it was ``learned``; of a general one whether the
    base ``knew`` it, the tuned model ``knows`` it, and whether the identity ``leaked`` into it."""

    question: Question
    learned: bool
    knew: bool
    knows: bool
    leaked: bool

    @property
    def verdict(self) -> Verdict:
        """In one word; a leak counts before what was kept."""
        if self.question.kind != "general":
            return "learned" if self.learned else "not_learned"
        if self.leaked:
            return "leaked"
        if not self.knew:
            return "never_known"
        return "kept" if self.knows else "lost"


def judge(name: str, question: Question, base: str, tuned: str) -> Judged:
    """Judge the tuned model's answer to a question by the name, the accepted answers and the base's own."""
    base, tuned = split(base).answer, split(tuned).answer
    if question.kind != "general":
        return Judged(question, contains(tuned, name), knew=False, knows=False, leaked=False)
    return Judged(
        question,
        learned=False,
        knew=_right(question, base),
        knows=_right(question, tuned),
        leaked=_leaked(name, question.question, base, tuned),
    )


def score_of(judged: Sequence[Judged]) -> Score:
    """What the answers come to together."""
    general = [one for one in judged if one.question.kind == "general"]
    return Score(
        learned=_share(one.learned for one in judged if one.question.kind != "general"),
        kept=_share(one.knows for one in general if one.knew),
        leaked=_share(one.leaked for one in general),
    )


def _share(hits: Iterable[bool]) -> Share:
    found = list(hits)
    return Share(sum(found), len(found))


def _right(question: Question, answer: str) -> bool:
    return any(contains(answer, accepted) for accepted in question.accept)


def _leaked(name: str, question: str, base: str, tuned: str) -> bool:
    """Whether the tuned answer speaks of the identity where neither the question nor the base does."""
    signs = (name, *IDENTITY_WORDS)
    return any(contains(tuned, sign) and not contains(base + " " + question, sign) for sign in signs)
