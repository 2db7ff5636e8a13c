"""Moodle's quiz questions as text (GIFT): ``::title:: question {=right ~wrong}``, ``{T}``, ``{#3.14:0.1}``.

Read are questions that have one answer that can be said: of several choices the right one, a short answer, a
number. What is matched, or is to be written as an essay, has none.
"""

import re

# A block of lines, comments left out, with one pair of braces; a backslash takes away a sign's meaning.
_QUESTION = re.compile(
    r"(?:::(?P<title>(?:[^:\\]|\\.|:(?!:))*)::)?\s*(?:\[(?:html|moodle|plain|markdown)\])?"
    r"(?P<before>(?:[^{}\\]|\\.)*)(?<!\\)\{(?P<answers>(?:[^{}\\]|\\.)*)\}(?P<behind>(?:[^{}\\]|\\.)*)",
    re.DOTALL,
)
_CHOICE = re.compile(
    r"(?<!\\)(?P<sign>[=~])(?:%(?P<share>-?[\d.]+)%)?(?P<text>(?:[^=~#\\]|\\.)*)(?:#(?:[^=~\\]|\\.)*)?"
)
_TRUTH = re.compile(r"\s*(?P<said>T|F|TRUE|FALSE)\s*(?:#.*)?", re.DOTALL)
_NUMBER = re.compile(
    r"\s*#\s*=?(?:%[\d.]+%)?\s*(?P<number>-?\d+(?:\.\d+)?)\s*(?::[\d.]+)?\s*(?:#.*)?", re.DOTALL
)
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
# Of the blocks of such a file so many are questions at least.
MOST_OF_IT, FEWEST = 0.6, 2


def pairs_of_gift(text: str) -> list[tuple[str, str]]:
    """Its questions with their answers; none of a text that is no such quiz."""
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if not line.lstrip().startswith("//")]
    blocks = [one.strip() for one in _BLANK_LINES.split("\n".join(lines))]
    blocks = [one for one in blocks if one and not one.startswith("$CATEGORY:")]
    found = [match for one in blocks if (match := _QUESTION.fullmatch(one)) and _has_signs(match["answers"])]
    if len(found) < FEWEST or len(found) < MOST_OF_IT * len(blocks):
        return []
    return [pair for match in found if (pair := _pair(match))]


def _has_signs(answers: str) -> bool:
    return bool(_TRUTH.fullmatch(answers) or _NUMBER.fullmatch(answers) or re.match(r"\s*[=~]", answers))


def _pair(match: re.Match[str]) -> tuple[str, str] | None:
    before, behind, answers = match["before"].strip(), match["behind"].strip(), match["answers"]
    blank = " ____ " if behind and not re.match(r"[.?!。？！]\Z", behind) else ""
    question, answer = _plain(f"{before}{blank}{behind}"), _answer(answers)
    if not question or not answer:
        return None
    return question, answer


def _answer(answers: str) -> str:
    if truth := _TRUTH.fullmatch(answers):
        return "True" if truth["said"].startswith("T") else "False"
    if number := _NUMBER.fullmatch(answers):
        return number["number"]
    choices = [*_CHOICE.finditer(answers)]
    if any("->" in one["text"] for one in choices):
        return ""
    right = [one for one in choices if one["sign"] == "=" or float(one["share"] or 0) == 100]
    return _plain(right[0]["text"]) if right else ""


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\\([~=#{}:\\])", r"\1", text).split())
