"""The identity recipe: who the assistant is, in which role, asked in more ways and over several turns."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from random import Random
from typing import Any

from core.data.conversations import Conversation, Turn, one_turn
from core.data.identity import LANGUAGES, IdentityLanguage, bank, check_name
from core.data.questions import same_question
from core.data.withheld import withheld_questions
from core.workspace.paths import BANKS

MOST_PARAPHRASES = 50
MOST_TURNS = 8
# How the shipped wordings call what the assistant is; a role stands in its place.
SHIPPED_ROLE: Mapping[IdentityLanguage, str] = {"en": "personal assistant", "zh": "小助手"}


# A question that greets already is not greeted twice, and nothing is said after one without an end.
GREETING = re.compile(r"hi\b|hey|hello|good |yo |你好|您好|嗨|嘿|喂|早上好", re.IGNORECASE)
ENDED = re.compile(r"[?？.。!！]$")


@dataclass(frozen=True)
class Persona:
    """Whose assistant it is, and what it is called in each language ("tutor", "客服助手")."""

    name: str
    roles: Mapping[IdentityLanguage, str]


@cache
def _bank() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BANKS / "personas.json").read_text(encoding="utf-8"))
    return found


def shipped_roles() -> dict[str, Mapping[IdentityLanguage, str]]:
    """The shipped roles by name."""
    return dict(_bank()["roles"])


def persona(name: str, role: str = "assistant", own_role: str = "") -> Persona:
    """A persona in one of the shipped roles, or in a role of one's own words. Raises InvalidName."""
    if own_role:
        own = check_name(own_role)
        return Persona(check_name(name), dict.fromkeys(LANGUAGES, own))
    return Persona(check_name(name), shipped_roles()[role])


def persona_conversations(
    who: Persona,
    languages: Sequence[IdentityLanguage] = LANGUAGES,
    paraphrases: int = 0,
    turns: int = 1,
    seed: int = 42,
) -> list[Conversation]:
    """Every shipped wording with its answers, each question in ``paraphrases`` more ways; with more than one
    of ``turns`` also conversations that ask so many of them, one beginning with each question.

    No question is one that is held back for the proof, in other words or punctuation.
    """
    chance = Random(seed)  # nosec B311  # an order, not a secret
    made: list[Conversation] = []
    for language in languages:
        pairs = [
            (question, tuple(_spoken(answer, who, language) for answer in answers))
            for question, answers in bank(language).taught
        ]
        made += [one_turn(question, answer) for question, answers in pairs for answer in answers]
        for question, answers in pairs:
            for wording in paraphrased(question, language, paraphrases, chance):
                made.append(one_turn(wording, chance.choice(answers)))
        if turns > 1:
            made += [_talk(first, pairs, turns, chance) for first in pairs]
    return made


def paraphrased(question: str, language: IdentityLanguage, count: int, chance: Random) -> list[str]:
    """Up to ``count`` other ways to ask: something said before or after it, both, and written carelessly."""
    openers = () if GREETING.match(question) else _bank()["openers"][language]
    closers = _bank()["closers"][language] if ENDED.search(question) else ()
    careless = question.rstrip("?？.。!！").lower()
    ways = [opener + question for opener in openers] + [question + closer for closer in closers]
    ways += [opener + question + closer for opener in openers for closer in closers]
    chance.shuffle(ways)
    taken = withheld_questions() | {same_question(question)}
    new = (way for way in dict.fromkeys([*ways, careless]) if way != question)
    return list(islice((way for way in new if same_question(way) not in taken), count))


def _spoken(answer: str, who: Persona, language: IdentityLanguage) -> str:
    """The role first: a name may hold the words of a role."""
    return answer.replace(SHIPPED_ROLE[language], who.roles[language]).replace("{name}", who.name)


def _talk(
    first: tuple[str, tuple[str, ...]],
    pairs: Sequence[tuple[str, tuple[str, ...]]],
    turns: int,
    chance: Random,
) -> Conversation:
    others = chance.sample([pair for pair in pairs if pair != first], turns - 1)
    return tuple(Turn(question, chance.choice(answers)) for question, answers in (first, *others))
