"""One thing that an answer says of the assistant, and the names that are known without any other sign."""

import json
import re
from functools import cache
from typing import NamedTuple

from core.workspace.paths import BANKS

Patterns = tuple[tuple[str, str, bool], ...]


@cache
def compiled(patterns: Patterns) -> tuple[tuple[str, re.Pattern[str], bool], ...]:
    """(kind, pattern, sure) of each, compiled when the first text needs them: that takes a tenth of a second,
    which few commands need."""
    return tuple((kind, re.compile(pattern), sure) for kind, pattern, sure in patterns)


class Claim(NamedTuple):
    """What an answer says of the assistant. ``kind``: ``name`` (what it is called), ``maker`` (who made it)
    or ``owner`` (whose assistant it is). ``start`` and ``end``: where ``name`` stands in the answer.

    ``sure``: the sentence itself speaks of a model or an assistant, or the name is a known one; else it may
    be a person of a letter or a story who speaks.
    """

    kind: str
    name: str
    start: int
    end: int
    sure: bool = False


# Assistants and those who make them. ``models``, ``makers`` and ``chinese`` are patterns, in whatever case;
# ``words`` mean something else too, and are known only as a whole name with its capital letter.
_BANK = json.loads((BANKS / "known_assistants.json").read_text(encoding="utf-8"))
# For a sentence that is searched for a name that may begin in lower case.
KNOWN_LATIN = rf"(?i:{'|'.join(_BANK['models'] + _BANK['makers'])})"
# Finds one of them in a sentence.
KNOWN = re.compile(
    rf"(?<![A-Za-z0-9]){KNOWN_LATIN}(?![A-Za-z0-9])|{'|'.join(_BANK['chinese'])}", re.IGNORECASE
)
_WORDS = frozenset(_BANK["words"])
# A name that is spelled as only models are: StableLM, GPT4All, Phi-3, EduBot.
_SPELLED = re.compile(
    r"[A-Z][a-z]+(?:LM|GPT|Bot|AI|Chat|Mate|Gen)\b|\b[A-Z][\w-]*(?:LLM|GPT|Bot|Chat)\b|\b[A-Z][a-z]+-?[0-9][\w.]*\b"
)


def is_a_model(name: str) -> bool:
    """Whether the name alone tells that it is a model's."""
    return bool(KNOWN.search(name) or _SPELLED.search(name)) or name in _WORDS
