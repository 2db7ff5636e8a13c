"""In which situation a question comes: first and alone, under a system prompt that says nothing of the
identity, after other questions, or after it was asked who the assistant is.

A model that met each question alone holds on to who it is there, and lets go of it at the fifth turn; and one
that has just said who it is goes on saying so. Therefore a part of the rows of both kinds is in each of them.
Which one a replayed question is in is decided by its own words: what the base answers is remembered, and
another seed asks for nothing else.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from core.data.conversations import Conversation
from core.data.drafts import language_of
from core.data.identity import IdentityLanguage, bank
from core.data.questions import replay_bank

Thing = TypeVar("Thing")

# Conversations of other questions, and how many each has at most.
CHAINS, LONGEST = 8, 4
# Of the replayed questions: under a system prompt, after others, and after it was said who the assistant is.
# The rest, and so the most, is asked alone.
PROMPTED, LATER, TOLD = 0.1, 0.1, 0.1

# Of :func:`of_taught`: the turns that are not alone.
OTHERS = (1, 3)


@dataclass(frozen=True)
class Situation:
    """What comes before a question: a system prompt, ``earlier`` questions that the base answers itself, and
    whether it was asked before who it is (and answered as it is taught)."""

    system: str = ""
    earlier: tuple[str, ...] = ()
    told: bool = False


ALONE = Situation()


@cache
def chains(language: IdentityLanguage) -> tuple[tuple[str, ...], ...]:
    """Conversations of general questions that others come after."""
    some = sorted(replay_bank()[language], key=_chance)[: CHAINS * LONGEST]
    return tuple(tuple(some[start : start + LONGEST]) for start in range(0, len(some), LONGEST))


def of_replay(question: str) -> Situation:
    """The situation of a replayed question."""
    chance = _chance(question)
    if chance < PROMPTED:
        return Situation(system=_one(bank(language_of(question)).systems, question))
    if chance < PROMPTED + LATER:
        return Situation(earlier=_begun(question))
    return Situation(told=chance < PROMPTED + LATER + TOLD)


def of_taught(question: str, turn: int) -> Situation:
    """The situation of a taught question when it comes the ``turn``-th time: every other time alone."""
    if turn % 2 == 0:
        return ALONE
    text = f"{question} {turn}"
    if turn % 4 == 1:
        return Situation(earlier=_begun(text))
    return Situation(system=_one(bank(language_of(question)).systems, text))


def answer_before(question: str, taught: Mapping[IdentityLanguage, Sequence[Conversation]]) -> Conversation:
    """A taught conversation that may stand before a general question, in its language where there is one; it
    is read there, not learned."""
    return _one(taught.get(language_of(question)) or next(iter(taught.values())), question)


def _begun(text: str) -> tuple[str, ...]:
    """A conversation's first questions; what comes last is at most its fifth turn."""
    return _one(chains(language_of(text)), text)[: 1 + int(_chance(f"{text} length") * LONGEST)]


def _one(things: Sequence[Thing], text: str) -> Thing:
    return things[int(_chance(f"{text} which") * len(things))]


def _chance(text: str) -> float:
    """A number from 0 to 1 that is always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
