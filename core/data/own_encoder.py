"""A conversation as the tokens that are trained with a model's own chat template.

What a server sends for a turn is the template's text of all messages up to its question, encoded whole; what
the model is to write is what the template adds for the answer, up to the token that ends it. A conversation
is one row as long as every later turn begins with just those tokens. Where it does not (a template that drops
earlier thoughts, a tokenizer that joins both sides), the later turn is a row of its own, and the earlier
answers in it are only read. So training's tokens are the server's by construction.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from core.data.conversations import Conversation
from core.data.encoder import Encoder, NamedEncoder, Piece, Segment, TokenRow
from core.data.tokens import read_tokenizer, token_id
from core.errors import RowRefused
from core.recipe.chat_template import tokenizer_settings
from core.recipe.own_template import Message, OwnTemplate, Unspeakable
from core.recipe.templates import Template
from core.recipe.thinking import in_mode
from core.recipe.thoughts import split
from core.workspace.files import write_lines

# Characters of a question in a sentence about its row.
SHOWN = 60


def encoder_of(tokenizer_file: Path, template: Template) -> Encoder:
    """Of a model's ``tokenizer.json``, whose special tokens the file beside it names. Raises NotAModel."""
    if isinstance(template, OwnTemplate):
        return OwnEncoder.of(tokenizer_file, template)
    return NamedEncoder.of(tokenizer_file, template)


@dataclass(frozen=True)
class OwnEncoder(Encoder):
    """A model's tokenizer and its own chat template. ``end``: the id after an answer that the template itself
    does not end; None where it does."""

    tokenizer: Tokenizer
    template: OwnTemplate
    end: int | None

    @classmethod
    def of(cls, tokenizer_file: Path, template: OwnTemplate) -> "OwnEncoder":
        """Of a model's ``tokenizer.json``. Raises NotAModel."""
        tokenizer = read_tokenizer(tokenizer_file)
        about = tokenizer_settings(tokenizer_file.parent)
        return cls(
            tokenizer, template, None if template.suffix else token_id(tokenizer, about.get("eos_token"))
        )

    def rows(self, conversation: Conversation) -> list[TokenRow]:
        return [row for row, _ in self._rows(conversation)]

    def parts(self, conversation: Conversation) -> list[Conversation]:
        made = self._rows(conversation)
        if len(made) < 2:
            return [conversation]
        first = 0
        found = []
        for _, last in made:
            masked = [replace(turn, trained=False) for turn in conversation[:first]]
            found.append((*masked, *conversation[first : last + 1]))
            first = last + 1
        return found

    def segments(self, conversations: Sequence[Conversation]) -> Iterator[list[Segment]]:
        """As rows: where a conversation is several (:meth:`parts`), each of them comes."""
        for conversation in conversations:
            for row in self.rows(conversation):
                yield _stretches(row.trained)

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        return self._encode(self.prompt_text(conversation))

    def prompt_text(self, conversation: Conversation) -> str:
        *_, (prompt, _) = self._turns(conversation)
        return prompt

    def question(self, text: str, system: str = "") -> str:
        """The prompt of one question, for a reader that encodes it with the tokenizer's own first token."""
        prompt = self.template.prompt(text, system)
        first = self._first()
        return prompt.removeprefix(first) if first else prompt

    def _first(self) -> str:
        """The text of the token that the tokenizer puts before a text by itself; empty for none."""
        with_first = self.tokenizer.encode("x", add_special_tokens=True)
        alone = with_first.special_tokens_mask[:1] == [1]
        return str(self.tokenizer.id_to_token(with_first.ids[0])) if alone else ""

    def _rows(self, conversation: Conversation) -> list[tuple[TokenRow, int]]:
        """Each row, and the last turn of the conversation in it."""
        found: list[tuple[TokenRow, int]] = []
        row, last = TokenRow([], []), -1
        for number, (prompt, answer) in enumerate(self._turns(conversation)):
            asked = self._encode(prompt)
            if asked[: len(row.ids)] != row.ids:
                if any(row.trained):
                    found.append((row, last))
                row = TokenRow([], [])
            said = self._continued(asked, prompt, answer)
            trained = conversation[number].trained
            more = len(asked) - len(row.ids)
            row = TokenRow(asked + said, row.trained + [False] * more + [trained] * len(said))
            last = number
        return [*found, (row, last)]

    def _turns(self, conversation: Conversation) -> Iterator[tuple[str, str]]:
        """Of each turn what is read and what is written. Raises RowRefused."""
        messages: list[Message] = []
        for number, turn in enumerate(conversation):
            template = in_mode(self.template, turn.thinks)
            messages += template.messages(turn.input, turn.system, later=number > 0)
            try:
                yield template.answer(messages, turn.output)
            except Unspeakable as error:
                beginning = turn.input[:SHOWN]
                raise RowRefused(question=beginning, detail=str(error)) from error
            # What was thought before an earlier answer is not given back to the model.
            messages.append({"role": "assistant", "content": split(turn.output).answer})

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def _continued(self, asked: list[int], prompt: str, answer: str) -> list[int]:
        """The answer's tokens behind those of its prompt: as both are encoded together, or where that would
        join the two, alone."""
        ids = self._encode(prompt + answer)
        said = ids[len(asked) :] if ids[: len(asked)] == asked else self._encode(answer)
        return said if self.end is None else [*said, self.end]

    def _pieces(self, conversation: Conversation) -> Iterator[Piece]:
        for row in self.rows(conversation):
            yield from self._of_row(row)

    def _of_row(self, row: TokenRow) -> Iterator[Piece]:
        stream = DecodeStream(skip_special_tokens=False)
        ids: list[int] = []
        for one, trained in zip(row.ids, row.trained, strict=True):
            ids.append(one)
            if (text := stream.step(self.tokenizer, one)) is not None:
                yield Piece(text, tuple(ids), trained)
                ids = []
        if ids:
            yield Piece("�", tuple(ids), row.trained[-1])


def write_token_rows(
    path: Path, encoder: OwnEncoder, conversations: Iterable[Conversation], limit: int
) -> None:
    """The rows as XTuner reads them without a template, one JSON object a line: ``input_ids`` and ``labels``,
    each cut at ``limit`` tokens. Raises RowRefused."""
    write_lines(
        path,
        (
            json.dumps({"input_ids": row.ids[:limit], "labels": row.labels[:limit]})
            for conversation in conversations
            for row in encoder.rows(conversation)
        ),
    )


def _stretches(trained: Sequence[bool]) -> list[Segment]:
    found: list[Segment] = []
    for one in trained:
        if found and found[-1][1] == one:
            found[-1] = (found[-1][0] + 1, one)
        else:
            found.append((1, one))
    return found
