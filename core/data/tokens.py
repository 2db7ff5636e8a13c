"""How many tokens a data set has, and how many of its answers' tokens fit."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tokenizers import Tokenizer

from core.data.conversations import Conversation
from core.recipe.templates import Template


@dataclass(frozen=True)
class TokenCount:
    """Tokens of the rendered conversations; ``kept`` and ``truncated`` after cutting at max_length."""

    rows: int
    tokens: int
    answer_tokens: int
    kept: int
    truncated_rows: int
    longest: int

    def as_json(self) -> dict[str, int]:
        return asdict(self)


def count_tokens(
    conversations: Sequence[Conversation], tokenizer: Path, template: Template, max_length: int
) -> TokenCount:
    """Count with the model's own ``tokenizer.json`` and the training's template (without loading torch)."""
    reader = Tokenizer.from_file(str(tokenizer))
    answers, totals = [], []
    for conversation in conversations:
        asked = [template.prompt(turn.input, turn.system) for turn in conversation]
        said = [turn.output + template.suffix for turn in conversation]
        answer = sum(_lengths(reader, said))
        answers.append(answer)
        totals.append(answer + sum(_lengths(reader, asked)))
    return TokenCount(
        rows=len(totals),
        tokens=sum(totals),
        answer_tokens=sum(answers),
        kept=sum(min(total, max_length) for total in totals),
        truncated_rows=sum(total > max_length for total in totals),
        longest=max(totals, default=0),
    )


def _lengths(reader: Tokenizer, texts: list[str]) -> list[int]:
    encoded = reader.encode_batch(texts, add_special_tokens=False)
    return [len(encoding.ids) for encoding in encoded]
