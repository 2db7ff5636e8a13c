"""A conversation as the tokens that are trained, counted without loading torch.

With one of XTuner's named templates these are exactly those of XTuner 0.2.0's ``template_map_fn`` and
``encode_fn``: the answer with the template's suffix (or the end token) is trained, everything else is only
read. With a model's own chat template they are :mod:`core.data.own_encoder`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from core.data.conversations import Conversation, Turn
from core.data.tokens import read_tokenizer, token_id
from core.recipe.chat_template import tokenizer_settings
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template

Counts: TypeAlias = npt.NDArray[np.int64]
Segment: TypeAlias = tuple[int, bool]


@dataclass(frozen=True)
class Piece:
    """Some tokens with the text they stand for. ``kept`` is false past max_length.

    A character of several tokens is one piece: half a character cannot be shown.
    """

    text: str
    ids: tuple[int, ...]
    trained: bool
    kept: bool = True


# XTuner's label of a token that is only read.
NOT_TRAINED = -100


@dataclass(frozen=True)
class TokenRow:
    """The tokens of one row of the training, and for each whether it is trained."""

    ids: list[int]
    trained: list[bool]

    @property
    def labels(self) -> list[int]:
        """What XTuner learns: the token itself, or -100 where it is only read."""
        return [one if trained else NOT_TRAINED for one, trained in zip(self.ids, self.trained, strict=True)]


class Encoder(ABC):
    """A model's tokenizer and the training's template, together."""

    tokenizer: Tokenizer

    def pieces(self, conversation: Conversation, max_length: int) -> list[Piece]:
        """The whole conversation as pieces, in the order they are read; those past max_length are cut."""
        return list(_cut(self._pieces(conversation), max_length))

    def lengths(self, conversations: Sequence[Conversation]) -> Counts:
        """Tokens of each conversation before it is cut."""
        totals = [sum(size for size, _ in row) for row in self.segments(conversations)]
        return np.array(totals, np.int64)

    def parts(self, conversation: Conversation) -> list[Conversation]:
        """The conversation as rows: more than one where its later turns are not read as its earlier ones were
        trained."""
        return [conversation]

    @abstractmethod
    def rows(self, conversation: Conversation) -> list[TokenRow]:
        """The rows that this conversation is trained as, before they are cut. Raises RowRefused."""

    @abstractmethod
    def segments(self, conversations: Sequence[Conversation]) -> Iterator[list[Segment]]:
        """Each conversation as stretches of tokens in their order: (how many, whether they are trained)."""

    @abstractmethod
    def prompt_ids(self, conversation: Conversation) -> list[int]:
        """What training has before the last turn's answer: what a server must send to get that answer."""

    @abstractmethod
    def prompt_text(self, conversation: Conversation) -> str:
        """The text of :meth:`prompt_ids`, special tokens as they are written."""

    @abstractmethod
    def _pieces(self, conversation: Conversation) -> Iterator[Piece]: ...


@dataclass(frozen=True)
class NamedEncoder(Encoder):
    """With one of XTuner's templates, as XTuner encodes.

    ``first`` and ``last`` are the ids put before a conversation and after an answer; None for none.
    """

    tokenizer: Tokenizer
    template: Template
    first: int | None
    last: int | None

    @classmethod
    def of(cls, tokenizer_file: Path, template: Template) -> "NamedEncoder":
        """Of a model's ``tokenizer.json``; its special tokens are named in the file beside it.

        Raises NotAModel.
        """
        tokenizer = read_tokenizer(tokenizer_file)
        about = tokenizer_settings(tokenizer_file.parent)
        starts = about.get("tokenizer_class") not in WITHOUT_FIRST_TOKEN
        first = token_id(tokenizer, about.get("bos_token")) if starts else None
        return cls(tokenizer, template, first, token_id(tokenizer, about.get("eos_token")))

    def rows(self, conversation: Conversation) -> list[TokenRow]:
        row = TokenRow([], [])
        for read, trained in self._stretches(conversation):
            ids = [read] if isinstance(read, int) else self._encoding(read).ids
            row.ids.extend(ids)
            row.trained.extend([trained] * len(ids))
        return [row]

    def segments(self, conversations: Sequence[Conversation]) -> Iterator[list[Segment]]:
        texts = [text for c in conversations for turn in c for text, _ in self._texts(turn)]
        encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        sizes = iter([len(encoding) for encoding in encoded])
        for conversation in conversations:
            yield list(self._segments(conversation, sizes))

    def _segments(self, conversation: Conversation, sizes: Iterator[int]) -> Iterator[Segment]:
        for number, turn in enumerate(conversation):
            if self.first is not None and (number == 0 or self._ends):
                yield 1, False
            yield next(sizes), False
            yield next(sizes) + (1 if self._ends and self.last is not None else 0), turn.trained
            yield next(sizes), False

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        pieces = list(self._pieces(conversation))
        while pieces and not pieces[-1].trained:
            pieces.pop()
        while pieces and pieces[-1].trained:
            pieces.pop()
        return [token for piece in pieces for token in piece.ids]

    def prompt_text(self, conversation: Conversation) -> str:
        *earlier, last = conversation
        before = "".join(
            self._written(self.first if n == 0 or self._ends else None) + self._turn_text(turn)
            for n, turn in enumerate(earlier)
        )
        begin = self.first if not earlier or self._ends else None
        return before + self._written(begin) + self.template.prompt(last.input, last.system)

    def _turn_text(self, turn: Turn) -> str:
        asked, answered, between = (text for text, _ in self._texts(turn))
        return asked + answered + self._written(self.last if self._ends else None) + between

    def _written(self, token: int | None) -> str:
        return "" if token is None else str(self.tokenizer.id_to_token(token))

    @property
    def _ends(self) -> bool:
        """Whether the tokenizer's own last token is added: a template's suffix stands in its place."""
        return not self.template.suffix

    def _texts(self, turn: Turn) -> list[tuple[str, bool]]:
        """One turn's texts, each encoded by itself, and whether it is trained."""
        asked = self.template.prompt(turn.input, turn.system)
        answered = turn.output + self.template.suffix
        return [(asked, False), (answered, turn.trained), (self.template.sep, False)]

    def _stretches(self, conversation: Conversation) -> Iterator[tuple[str | int, bool]]:
        """What is read, in its order, and whether it is trained: texts, and special tokens between them."""
        for number, turn in enumerate(conversation):
            asked, answered, between = self._texts(turn)
            if self.first is not None and (number == 0 or self._ends):
                yield self.first, False
            yield asked
            yield answered
            if self.last is not None and self._ends:
                yield self.last, turn.trained
            yield between

    def _pieces(self, conversation: Conversation) -> Iterator[Piece]:
        for read, trained in self._stretches(conversation):
            if isinstance(read, int):
                yield Piece(self._written(read), (read,), trained)
            else:
                for start, end, ids in _characters(self._encoding(read)):
                    yield Piece(read[start:end], ids, trained)

    def _encoding(self, text: str) -> Encoding:
        return self.tokenizer.encode(text, add_special_tokens=False)


def _characters(encoding: Encoding) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Tokens joined until each piece ends with a whole character: (start, end, ids)."""
    start = end = 0
    ids: list[int] = []
    for token, (begin, stop) in zip(encoding.ids, encoding.offsets, strict=True):
        if ids and begin >= end:
            yield start, end, tuple(ids)
            start, ids = end, []
        ids.append(token)
        end = max(end, stop)
    if ids:
        yield start, end, tuple(ids)


def _cut(pieces: Iterator[Piece], max_length: int) -> Iterator[Piece]:
    """Mark what lies past max_length; a character that is cut in its middle counts as cut."""
    length = 0
    for piece in pieces:
        length += len(piece.ids)
        yield piece if length <= max_length else Piece(piece.text, piece.ids, piece.trained, kept=False)
