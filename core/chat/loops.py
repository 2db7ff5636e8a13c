"""An answer that has fallen into a loop: the same few words again and again, until its longest length.

A small model does that where it does not know how to go on. Lists, tables, rules of dashes, code, laughter
and numbers repeat something too; what is told a loop here goes far beyond them.
"""

import re

# Of so many characters is what is repeated, at most.
LONGEST_UNIT = 160
# So much of the end of a text is looked at.
LOOKED_AT = 4000
# Copies of it that no honest text has: of words, of whole lines, and within a table or code.
COPIES, LINES, ROWS = 6, 10, 20
# Of whole sentences, which are so wide, fewer: an answer of a limited length has no room for more.
SENTENCE, SENTENCE_COPIES, VERSE_COPIES = 60, 3, 4
# And characters that they have together, one of a script without spaces counted twice; one letter ("哈哈")
# and what has no letter at all ("----", "0.0000", "| 0 | 0 |") is honest for longer.
LONG, LONG_LAUGH, LONG_RULE = 72, 120, 400
_FENCE = re.compile(r"^ {0,3}```", re.MULTILINE)
# Where the first copy can end.
_PAUSE = re.compile(r"[^\w\s]\s*|\s+")


def without_loop(text: str) -> str | None:
    """The text up to the end of the first copy of what its end repeats; None where it is in no loop."""
    tail = text[-LOOKED_AT:]
    for size in range(1, min(LONGEST_UNIT, len(tail) // SENTENCE_COPIES) + 1):
        same = _repeated(tail, size)
        if same and _is_loop(tail[-size:], same + size, text):
            return _first_copy(text, len(text) - same - size, size)
    return None


def _repeated(text: str, size: int) -> int:
    """How many characters at its end are the same as those ``size`` before them."""
    place = len(text) - 1
    while place >= size and text[place] == text[place - size]:
        place -= 1
    return len(text) - 1 - place


def _is_loop(unit: str, length: int, text: str) -> bool:
    """Whether ``length`` characters of ``unit`` after ``unit`` at the end of a text are too many."""
    if length < LONG // 2 or unit in (unit + unit)[1:-1]:  # too short, or a shorter unit twice
        return False
    width = length * sum(1 + (ord(one) > 0x2E7F) for one in unit) / len(unit)
    if not any(map(str.isalpha, unit)):
        return width >= LONG_RULE
    if len(unit) == 1:
        return width >= LONG_LAUGH
    table_or_code = "|" in unit or len(_FENCE.findall(text)) % 2 == 1
    lines, long = "\n" in unit, width * len(unit) >= SENTENCE * length
    few = (VERSE_COPIES if lines else SENTENCE_COPIES) if long else LINES if lines else COPIES
    return length >= (ROWS if table_or_code else few) * len(unit) and width >= LONG


def _first_copy(text: str, begin: int, size: int) -> str:
    """What was before it with one copy, up to a pause: where a copy begins is not where a word does."""
    end = begin + size
    pause = _PAUSE.search(text, end - 1, end + size)
    return text[: pause.end() if pause else end].rstrip()
