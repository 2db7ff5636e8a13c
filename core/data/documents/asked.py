"""Questions as people type them: "Q. How long for" above "A. Three weeks", and without a mark."""

import re
from collections.abc import Sequence

from core.data.documents.marks import is_marked, next_filled
from core.data.documents.wordings import HAN

_ASKS, _ANSWERS = (
    re.compile(rf"(\s*(?:\*\*)?(?:{letter}))(?:\s?[.．、]\s*|\s+)(?=\S)") for letter in ("Q|问", "A|答")
)
_MARK = re.compile(r"[?？]\W*$")
_LONGEST_ZH, _LONGEST_WORDS = 25, 14
_QUESTION_EN = re.compile(
    r"(?:(?:do|does|is|are|can|could|may|will|would|should|have) "
    r"(?:i|you|we|they|it|he|she|there|the|my|your|our|kids|children|dogs|this|that|any|anyone)"
    r"|(?:what|how|where|when|who|why|which)(?:'s| is| are| do| does| can| could| should| will| if| about"
    r"| much| many| long| far| old| often| early| late| big| kind| time| day| happens)) [^.!?:;]+",
    re.IGNORECASE,
)
_QUESTION_ZH = re.compile(
    rf"(?=.*[{HAN}])(?:[^。！，：:]*[吗呢]|[^。！：:]*(?:怎么|多少钱|几点|什么时候|哪里|哪儿|能不能|可不可以|有没有|要不要|是不是|多久|几[本个天次点人年])[^。！：:]*)"
)


def asked(lines: list[str]) -> list[str]:
    """Lines of "Q." and "A." with the colons, and questions with the marks, that others have."""
    below = next_filled(lines)
    made = [*lines]
    for place, line in enumerate(lines):
        if _ASKS.match(line) and _ANSWERS.match(below[place]):
            made[place] = _ASKS.sub(r"\1: ", line).rstrip()
            made[place] += "" if _MARK.search(line) else "？" if re.search(f"[{HAN}]", line) else "?"
            answer = next(at for at in range(place + 1, len(lines)) if lines[at].strip())
            made[answer] = _ANSWERS.sub(r"\1: ", lines[answer])
    return _with_marks(made)


def _with_marks(lines: list[str]) -> list[str]:
    """Questions without a mark, where another line of the document has one and an answer below it."""
    of_others = [at for at, line in enumerate(lines) if _MARK.search(line) and _answered(lines, at)]
    if not of_others:
        return lines
    made = [*lines]
    for at, line in enumerate(lines):
        begins = at == 0 or not _is_question(lines[at - 1])
        if begins and _is_question(line) and _answered(lines, at):
            made[at] = line.rstrip() + ("？" if re.search(f"[{HAN}]", line) else "?")
    return made


def _answered(lines: Sequence[str], at: int) -> bool:
    """Whether something else than a question stands directly below a line."""
    below = "".join(lines[at + 1 : at + 2]).strip()
    return bool(below) and not _MARK.search(below) and not is_marked(below)


def _is_question(line: str) -> bool:
    text = line.strip()
    if _MARK.search(text) or is_marked(line):
        return False
    if re.search(f"[{HAN}]", text):
        return len(text) <= _LONGEST_ZH and _QUESTION_ZH.fullmatch(text) is not None
    return len(text.split()) <= _LONGEST_WORDS and _QUESTION_EN.fullmatch(text) is not None
