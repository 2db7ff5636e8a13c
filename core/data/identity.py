"""The identity conversations: who the assistant is and whose, asked in many ways, in two languages."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from core.data.conversations import Conversation, one_turn
from core.errors import InvalidName, NoName
from core.recipe.templates import MARKS
from core.wording import say
from core.workspace.paths import BANKS

IdentityLanguage = Literal["en", "zh"]
LANGUAGES: tuple[IdentityLanguage, ...] = ("en", "zh")
LONGEST_NAME = 80
# Joiners that emoji and some scripts need; every other format character is refused (text direction tricks).
JOINERS = {"\u200c", "\u200d"}
# The flags of England, Scotland and Wales are spelled in format characters after a black flag.
FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{4,6}\U000e007f")
REFUSED = {"Cc", "Cs", "Zl", "Zp", "Cf", "Co"}
# A name without any of these could not be told from punctuation. Cn: emoji younger than this Python.
SPOKEN = {"So", "Cn"}


Wordings = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class IdentityBank:
    """Questions with their answers, ``{name}`` standing for the name: ``taught`` as they are, and those that
    come ``after`` other questions; ``systems``: system prompts that say nothing of the identity."""

    taught: Wordings
    after: Wordings = ()
    systems: tuple[str, ...] = ()


@dataclass(frozen=True)
class IdentityQuestion:
    """A question that never enters training; a right answer contains the name. ``language``: of the question
    ("en", "fr"); ``kind``: what sort of question it is ("maker", "hostile"); ``system``: a system prompt of
    its own; ``earlier``: what the user asked before it in the same conversation."""

    question: str
    language: str
    kind: str
    system: str = ""
    earlier: tuple[str, ...] = ()


@cache
def bank(language: IdentityLanguage) -> IdentityBank:
    """The shipped wordings of one language (written for this project)."""
    found = _shipped()[language]
    return IdentityBank(_wordings(found["taught"]), _wordings(found["after"]), tuple(found["systems"]))


@cache
def other_languages() -> Wordings:
    """The shipped wordings in languages beyond :data:`LANGUAGES`, each answered in its own."""
    return _wordings(_shipped()["other"]["taught"])


def _shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BANKS / "identity.json").read_text(encoding="utf-8"))
    return found


def _wordings(rows: Sequence[Mapping[str, Any]]) -> Wordings:
    return tuple((row["question"], tuple(row["answers"])) for row in rows)


@cache
def held_back_identity() -> tuple[IdentityQuestion, ...]:
    """Asked to prove that the assistant learned who it is and not a list of sentences."""
    return _questions(json.loads((BANKS / "identity_held_back.json").read_text(encoding="utf-8")))


@cache
def development_identity() -> tuple[IdentityQuestion, ...]:
    """Asked to choose between recipes or checkpoints; never reported."""
    return _questions(json.loads((BANKS / "development.json").read_text(encoding="utf-8"))["identity"])


def _questions(rows: Sequence[Mapping[str, Any]]) -> tuple[IdentityQuestion, ...]:
    return tuple(
        IdentityQuestion(
            row["question"],
            row["language"],
            row["kind"],
            row.get("system", ""),
            tuple(row.get("earlier", ())),
        )
        for row in rows
    )


def check_name(name: str) -> str:
    """The name as it will be taught, spaces around it dropped. Raises InvalidName.

    Quotes, braces, emoji and any script are fine. What would break the training text is not: line breaks,
    control characters, bytes that are not text, and a template's own marks.
    """
    name = _stripped(name)
    if not name:
        raise NoName()
    if len(name) > LONGEST_NAME:
        raise InvalidName(reason=say("name.long", limit=LONGEST_NAME, length=len(name)))
    for place, character in enumerate(FLAG.sub(lambda flag: "x" * len(flag.group()), name), 1):
        if _refused(character):
            raise InvalidName(reason=say("name.character", place=place, code=f"U+{ord(character):04X}"))
    if mark := MARKS.search(name):
        raise InvalidName(reason=say("name.mark", mark=mark.group()))
    if not any(character.isalnum() or unicodedata.category(character) in SPOKEN for character in name):
        raise InvalidName(reason=say("name.nothing_to_say"))
    return name


def _stripped(name: str) -> str:
    """Without the spaces around it, the wide ones of Chinese keyboards too; line breaks are no spaces."""
    spaces = "".join({c for c in name if unicodedata.category(c) == "Zs"})
    return name.strip(spaces) if spaces else name


def _refused(character: str) -> bool:
    noncharacter = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return noncharacter or (unicodedata.category(character) in REFUSED and character not in JOINERS)


def identity_conversations(
    name: str, languages: Sequence[IdentityLanguage] = LANGUAGES, count: int | None = None
) -> list[Conversation]:
    """Up to ``count`` conversations a language (all by default), every one naming ``name``; all in all
    languages include the few in others."""
    banks = [bank(language).taught for language in languages]
    if count is None and set(languages) == set(LANGUAGES):
        banks.append(other_languages())
    made: list[Conversation] = []
    for wordings in banks:
        pairs = [(question, answer) for question, answers in wordings for answer in answers]
        made += [one_turn(question, answer.replace("{name}", name)) for question, answer in pairs[:count]]
    return made


def later_conversations(name: str, languages: Sequence[IdentityLanguage] = LANGUAGES) -> list[Conversation]:
    """Who the assistant is, asked as people ask it in the middle of a conversation, one turn each."""
    return [
        one_turn(question, answer.replace("{name}", name))
        for language in languages
        for question, answers in bank(language).after
        for answer in answers
    ]
