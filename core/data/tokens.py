"""How many tokens a data set has, and how many fit: counted as XTuner 0.2.0 encodes (``encode_fn``)."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from core.data.conversations import Conversation
from core.errors import NotAModel
from core.models.folder import refuse_pointer
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template
from core.wording import say
from core.workspace.files import read_json


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
    answers: int
    before_answer: int
    learned: tuple[tuple[int, int], ...]  # where each learned answer begins and ends

    def lost(self, max_length: int) -> int:
        return sum(end - max(start, min(end, max_length)) for start, end in self.learned)


def count_tokens(
    conversations: Sequence[Conversation], tokenizer: Path, template: Template, max_length: int
) -> TokenCount:
    """Count with the model's own ``tokenizer.json`` and the training's template (without loading torch).

    Raises NotAModel for a tokenizer file that cannot be read.
    """
    rows = [*map(_counter(tokenizer, template), conversations)]
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


def row_length(tokenizer: Path, template: Template) -> Callable[[Conversation], int]:
    """A function that counts one conversation's tokens. Raises NotAModel."""
    count = _counter(tokenizer, template)
    return lambda conversation: count(conversation).total


def _counter(tokenizer: Path, template: Template) -> Callable[[Conversation], _Row]:
    """What counts one conversation; the tokenizer is read once for all."""
    reader = read_tokenizer(tokenizer)
    begin, sep = first_tokens(tokenizer), len(reader.encode(template.sep, add_special_tokens=False))
    return partial(_count, reader=reader, template=template, begin=begin, sep=sep)


def _count(conversation: Conversation, reader: Tokenizer, template: Template, begin: int, sep: int) -> _Row:
    """A template without a suffix ends an answer with the tokenizer's end token, and begins anew after it."""
    asked = _lengths(reader, [template.prompt(turn.input, turn.system) for turn in conversation])
    said = _lengths(reader, [turn.output + template.suffix for turn in conversation])
    end = 0 if template.suffix else 1
    total = 0
    learned = []
    for number, turn in enumerate(conversation):
        total += asked[number] + (begin if number == 0 or end else 0)
        if turn.trained:
            learned.append((total, total + said[number] + end))
        total += said[number] + end + sep
    answers = sum(stop - start for start, stop in learned)
    return _Row(total, answers, learned[0][0] if learned else total, tuple(learned))


def read_tokenizer(tokenizer: Path) -> Tokenizer:
    """A model's ``tokenizer.json``. Raises NotAModel."""
    refuse_pointer(tokenizer)
    try:
        return Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # tokenizers 0.22 raises nothing narrower
        reason = say("model.unreadable", file=tokenizer.name, detail=str(error)[:120])
        raise NotAModel(folder=tokenizer.parent, reason=reason) from error


def first_tokens(tokenizer: Path) -> int:
    """How many tokens XTuner puts before a conversation: one, or none."""
    config = read_json(tokenizer.with_name("tokenizer_config.json")) or {}
    plain = config.get("tokenizer_class") in WITHOUT_FIRST_TOKEN or not config.get("bos_token")
    return 0 if plain else 1


def _lengths(reader: Tokenizer, texts: list[str]) -> list[int]:
    encoded = reader.encode_batch(texts, add_special_tokens=False)
    return [len(encoding.ids) for encoding in encoded]
