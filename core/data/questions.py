"""The general questions: those the base model answers for replay, those held back for the proof, and those
that recipes and checkpoints are chosen by."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.workspace.paths import BANKS

# A letter or digit of a script that puts spaces between words: not Thai, Lao, Burmese, Khmer, Chinese or
# Japanese, nor Korean, which joins its particles to a name.
SPACED = (
    r"[^\W_\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ua4cf\ua960-\ua97f"
    r"\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Compiled once: it takes milliseconds, and thousands of words are looked for.
_SPACED = re.compile(SPACED)


@dataclass(frozen=True)
class HeldBack:
    """A general question that never enters training; right is an answer that contains one of ``accept``.

    ``language``: "en" or "zh"; ``category``: what it is about ("arithmetic"); ``near_miss``: its words are
    near those that ask who the assistant is ("Who wrote ...?", "What is the name of ...?"); ``earlier``: what
    the user asked before it in the same conversation.
    """

    question: str
    language: str
    accept: tuple[str, ...]
    category: str = ""
    near_miss: bool = False
    earlier: tuple[str, ...] = ()


@cache
def replay_bank() -> dict[str, tuple[str, ...]]:
    """General questions for replay by language (written for this project)."""
    found = json.loads((BANKS / "general.json").read_text(encoding="utf-8"))
    return {language: tuple(questions) for language, questions in found.items()}


def replay_questions() -> tuple[str, ...]:
    """All of them."""
    return tuple(question for questions in replay_bank().values() for question in questions)


@cache
def held_back_questions() -> tuple[HeldBack, ...]:
    """What a proof reports (written for this project)."""
    return _questions(json.loads((BANKS / "held_back.json").read_text(encoding="utf-8")))


@cache
def development_questions() -> tuple[HeldBack, ...]:
    """Asked to choose between recipes or checkpoints; never reported (written for this project)."""
    return _questions(json.loads((BANKS / "development.json").read_text(encoding="utf-8"))["general"])


def _questions(rows: Sequence[Mapping[str, Any]]) -> tuple[HeldBack, ...]:
    return tuple(
        HeldBack(
            row["question"],
            row["language"],
            tuple(row["accept"]),
            row["category"],
            row["near_miss"],
            tuple(row.get("earlier", ())),
        )
        for row in rows
    )


def contains(answer: str, wanted: str) -> bool:
    """Whether ``wanted`` occurs in ``answer`` as a word: case, width and spacing do not matter.

    A word boundary is asked for only beside a letter or digit of a spaced script; Chinese has none.
    """
    text, word = _folded(answer), _folded(wanted)
    begin = text.find(word) if word else -1
    while begin >= 0 and not stands_alone(text, begin, begin + len(word)):
        begin = text.find(word, begin + 1)
    return begin >= 0


def stands_alone(text: str, begin: int, end: int) -> bool:
    """Whether ``text[begin:end]`` is a word there: no letter or digit of a spaced script goes on where one
    begins or ends it."""
    goes_on_before = begin > 0 and _SPACED.match(text, begin) and _SPACED.match(text, begin - 1)
    goes_on_behind = end < len(text) and _SPACED.match(text, end - 1) and _SPACED.match(text, end)
    return not (goes_on_before or goes_on_behind)


def same_question(question: str) -> str:
    """A question reduced to its letters and digits, to find the same one written differently."""
    return "".join(filter(str.isalnum, _folded(question)))


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(plain.replace("’", "'").replace("“", '"').replace("”", '"').split())
