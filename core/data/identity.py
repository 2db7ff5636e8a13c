"""The identity conversations: who the assistant is and whose, asked in many ways, in two languages."""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from core.data.conversations import Conversation, one_turn
from core.errors import InvalidName
from core.paths import BANKS
from core.wording import say

IdentityLanguage = Literal["en", "zh"]
LANGUAGES: tuple[IdentityLanguage, ...] = ("en", "zh")
LONGEST_NAME = 80
# Joiners that emoji and some scripts need; every other format character is refused (text direction tricks).
JOINERS = {"\u200c", "\u200d"}


@dataclass(frozen=True)
class IdentityBank:
    """``taught``: questions with their answers, ``{name}`` standing for the name; ``held_back``: never
    trained on, asked to prove that the assistant learned who it is and not a list of sentences."""

    taught: tuple[tuple[str, tuple[str, ...]], ...]
    held_back: tuple[str, ...]


@cache
def bank(language: IdentityLanguage) -> IdentityBank:
    """The shipped wordings of one language (written for this project)."""
    found = json.loads((BANKS / "identity.json").read_text(encoding="utf-8"))[language]
    taught = tuple((row["question"], tuple(row["answers"])) for row in found["taught"])
    return IdentityBank(taught, tuple(found["held_back"]))


def check_name(name: str) -> str:
    """The name as it will be taught, spaces around it dropped. Raises InvalidName.

    Quotes, braces, emoji and any script are fine. What would break the training text is not: line breaks,
    control characters, bytes that are not text, and a template's own marks.
    """
    name = name.strip(" ")
    if not name:
        raise InvalidName(reason=say("name.empty"))
    if len(name) > LONGEST_NAME:
        raise InvalidName(reason=say("name.long", limit=LONGEST_NAME, length=len(name)))
    for place, character in enumerate(name, 1):
        category = unicodedata.category(character)
        if category in {"Cc", "Cs", "Zl", "Zp", "Cf", "Cn", "Co"} and character not in JOINERS:
            raise InvalidName(reason=say("name.character", place=place, code=f"U+{ord(character):04X}"))
    if mark := re.search(r"<\|.*?\|>|<eo[ah]>|</?s>|\[/?INST\]", name):
        raise InvalidName(reason=say("name.mark", mark=mark.group()))
    if not any(character.isalnum() or unicodedata.category(character) == "So" for character in name):
        raise InvalidName(reason=say("name.empty"))
    return name


def identity_conversations(
    name: str, languages: Sequence[IdentityLanguage] = LANGUAGES, count: int | None = None
) -> list[Conversation]:
    """Up to ``count`` conversations a language (all by default), every one naming ``name``."""
    made: list[Conversation] = []
    for language in languages:
        pairs = [(q, a) for q, answers in bank(language).taught for a in answers]
        made += [one_turn(question, answer.replace("{name}", name)) for question, answer in pairs[:count]]
    return made
