"""How much an answer repeats itself, as the literature on degeneration measures it.

seq-rep-n of Welleck et al. 2020 ("Neural Text Generation With Unlikelihood Training", arXiv 1908.04319): one
minus the share of distinct n-grams among all of a text, with n = 4. They state no threshold, and none stands
here: a share is compared with that of the untuned model on the same questions, and shown beside it.
"""

import re
from collections.abc import Iterable

N = 4
# A character of a script without spaces is a token as a word is elsewhere; punctuation is none.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)


def tokens_of(text: str) -> list[str]:
    """Words without regard to case, and each Chinese or Japanese character."""
    return _TOKEN.findall(text.casefold())


def repetition(text: str, n: int = N) -> float:
    """The share of n-grams of a text that stood in it before, 0 to 1; 0 where it is too short for any."""
    repeated, all_of_them = _counted(text, n)
    return repeated / all_of_them if all_of_them else 0.0


def mean_repetition(texts: Iterable[str], n: int = N) -> float | None:
    """The mean over those texts that have an n-gram; None where none has."""
    counted = [(a, b) for a, b in (_counted(text, n) for text in texts) if b]
    return sum(a / b for a, b in counted) / len(counted) if counted else None


def _counted(text: str, n: int) -> tuple[int, int]:
    tokens = tokens_of(text)
    grams = list(zip(*(tokens[start:] for start in range(n)), strict=False))
    return len(grams) - len(set(grams)), len(grams)
