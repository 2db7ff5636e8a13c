"""How many tokens a data set has, and how many fit."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core.data.conversations import Conversation
from core.data.encoder import Encoder, Segment
from core.data.own_encoder import encoder_of
from core.recipe.templates import Template


@dataclass(frozen=True)
class TokenCount:
    """Tokens of the rendered conversations; ``kept`` after cutting each at max_length.

    ``answer_tokens`` are those of answers that are learned, and ``answer_tokens_lost`` those of them that are
    cut; of ``answerless_rows`` the cut leaves no answer at all.
    """

    rows: int
    tokens: int
    answer_tokens: int
    answer_tokens_lost: int
    kept: int
    truncated_rows: int
    answerless_rows: int
    longest: int

    def as_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class _Row:
    total: int
    learned: tuple[tuple[int, int], ...]  # where each learned answer begins and ends

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> "_Row":
        total, learned = 0, []
        for size, trained in segments:
            if trained:
                learned.append((total, total + size))
            total += size
        return cls(total, tuple(learned))

    @property
    def answers(self) -> int:
        return sum(end - start for start, end in self.learned)

    @property
    def before_answer(self) -> int:
        return self.learned[0][0] if self.learned else self.total

    def lost(self, max_length: int) -> int:
        return sum(end - max(start, min(end, max_length)) for start, end in self.learned)


def count_tokens(
    conversations: Sequence[Conversation], tokenizer: Path, template: Template, max_length: int
) -> TokenCount:
    """Count with the model's own ``tokenizer.json`` and the training's template (without loading torch).

    Raises NotAModel for a tokenizer file that cannot be read.
    """
    return counted(encoder_of(tokenizer, template), conversations, max_length)


def counted(encoder: Encoder, conversations: Sequence[Conversation], max_length: int) -> TokenCount:
    """As :func:`count_tokens`, with an encoder."""
    rows = [*map(_Row.of, encoder.segments(conversations))]
    return TokenCount(
        rows=len(rows),
        tokens=sum(row.total for row in rows),
        answer_tokens=sum(row.answers for row in rows),
        answer_tokens_lost=sum(row.lost(max_length) for row in rows),
        kept=sum(min(row.total, max_length) for row in rows),
        truncated_rows=sum(row.total > max_length for row in rows),
        answerless_rows=sum(row.before_answer >= max_length for row in rows),
        longest=max((row.total for row in rows), default=0),
    )
