"""Text cut into sentences, and sentences put together again as long as an answer may be."""

import re
from collections.abc import Iterable, Iterator

from core.data.documents.wordings import HAN

# Of a longer text every part of about so many characters is a fact of its own.
LONGEST_ANSWER = 220
# A shorter line of Chinese ended where its writer ended it.
WRAPPED = 20
_SENTENCE = re.compile(
    r"(?<=[。！？；])|(?<=[.!?;])\s+|\n|(?<=[\u4e00-\u9fff)）”\"][.!?;])(?=[\u4e00-\u9fff])"
)


def sentences_of(text: str) -> list[str]:
    """The sentences and the lines of a text."""
    return [one.strip() for one in _SENTENCE.split(text) if one.strip()]


def pieces(text: str) -> Iterator[str]:
    """Sentences, as many together as an answer may have characters."""
    piece = before = ""
    for sentence in sentences_of(text):
        space, before = between(before), sentence
        if piece and len(piece) + len(sentence) > LONGEST_ANSWER:
            yield piece
            piece, space = "", ""
        piece += space + sentence
    if piece:
        yield piece


def joined(sentences: Iterable[str]) -> str:
    text = before = ""
    for one in sentences:
        text += between(before) + one
        before = one
    return text


def between(before: str) -> str:
    """What joins a sentence or a line and the next: short lines of Chinese stay lines."""
    of_chinese = re.search(f"[{HAN}]", before) and len(before) < WRAPPED
    if of_chinese and (before[-1].isalnum() or before[-1] in ")）"):
        return "\n"
    return " " if before and before[-1].isascii() else ""
