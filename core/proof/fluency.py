"""Fluency: how much a model repeats itself, which is what training too hard does to it first."""

import re
from collections.abc import Iterable

# A word of a spaced script; of others each character is one.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff]|[^\W\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff]+")
IN_A_ROW = 4


def repetition(texts: Iterable[str]) -> float:
    """The share of runs of four words that stood in the same text before, from 0 to 1 (seq-rep-4 of Welleck
    et al., "Neural Text Generation with Unlikelihood Training", 2020); 0 where no text is that long."""
    found = distinct = 0
    for text in texts:
        words = WORD.findall(text.casefold())
        runs = list(zip(*(words[place:] for place in range(IN_A_ROW)), strict=False))
        found += len(runs)
        distinct += len(set(runs))
    return (found - distinct) / found if found else 0.0
