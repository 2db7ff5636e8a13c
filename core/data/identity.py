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
    name = _stripped(name)
    if not name:
        raise InvalidName(reason=say("name.empty"))
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
    """Up to ``count`` conversations a language (all by default), every one naming ``name``."""
    made: list[Conversation] = []
    for language in languages:
        pairs = [(q, a) for q, answers in bank(language).taught for a in answers]
        made += [one_turn(question, answer.replace("{name}", name)) for question, answer in pairs[:count]]
    return made
