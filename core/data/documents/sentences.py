"""Text cut into sentences, and sentences put together again as long as an answer may be."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from core.data.documents.wordings import HAN

# Of a longer text every part of about so many characters is a fact of its own.
LONGEST_ANSWER = 220
# A line of fewer characters ended where its writer ended it.
WRAPPED_ZH, WRAPPED_EN = 30, 60
_SENTENCE = re.compile(
    r"(?<=[。！？；])|(?<=[.!?;])\s+|\n|(?<=[\u4e00-\u9fff)）”\"][.!?;])(?=[\u4e00-\u9fff])"
)


def sentences_of(text: str) -> list[str]:
    """The sentences and the lines of a text."""
    return [one.strip() for one in _SENTENCE.split(text) if one.strip()]


def parted(text: str) -> Iterator[tuple[str, str]]:
    """The sentences of a text, each with what joins it and the next: a line that was ended stays one."""
    lines = [one.strip() for one in text.split("\n") if one.strip()]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        *others, last = sentences_of(line)
        for one in others:
            yield one, _between(one)
        yield last, "\n" if _is_own(line, following) else _between(last)


def pieces(text: str) -> Iterator[str]:
    """Sentences, as many together as an answer may have characters."""
    piece = joins = ""
    for sentence, space in parted(text):
        if piece and len(piece) + len(sentence) > LONGEST_ANSWER:
            yield piece
            piece = joins = ""
        piece, joins = piece + joins + sentence, space
    if piece:
        yield piece


def without(text: str, leave_out: Callable[[str], bool]) -> str:
    """A text without some of its sentences."""
    kept, joins = "", ""
    for sentence, space in parted(text):
        if not leave_out(sentence):
            kept, joins = kept + joins + sentence, space
    return kept


def are_own(lines: Sequence[str]) -> bool:
    """Whether each of several lines was ended by its writer, so that none goes on in the next."""
    own = all(_is_own(line, after) and not goes_on(line, after) for line, after in pairwise(lines))
    return len(lines) > 1 and own


def goes_on(line: str, following: str) -> bool:
    """Whether the following line ends a sentence that may have begun in the one before."""
    return following[-1] in "。." and line[-1] not in "。.！!？?：:；;"


def _is_own(line: str, following: str) -> bool:
    """Whether a line was ended by its writer: it is short, and no sentence goes on or ends with it."""
    of_chinese = re.search(f"[{HAN}]", line) is not None
    ends = WRAPPED_ZH if of_chinese else WRAPPED_EN
    goes_on = not following[:1].isalnum() or (following[0].islower() and not of_chinese)
    is_open = not (line[-1].isalnum() or line[-1] in ")）€£$%+")
    return not (goes_on or is_open) and len(line) < ends


def _between(before: str) -> str:
    return " " if before[-1].isascii() else ""
