"""Conversations, and how they are written: in the tutorial's own format, whole.

The format is XTuner's: ``[{"conversation": [{"system": …, "input": …, "output": …}, …]}, …]``, or the same
objects one a line (JSON lines). Files of any known format are read by :mod:`core.data.opening`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.workspace.files import write_lines, write_text

# JSON may spell half a character ("\\ud83d"), which no UTF-8 file can hold.
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Turn:
    """One question and its answer; an answer that is not ``trained`` is only read. ``thinks``: whether the
    model is asked to think first or to answer at once, None as its chat template has it."""

    input: str
    output: str
    system: str = ""
    trained: bool = True
    thinks: bool | None = None


Conversation = tuple[Turn, ...]


def one_turn(question: str, answer: str) -> Conversation:
    """A conversation of a single question and answer."""
    return (Turn(question, answer),)


def as_row(conversation: Conversation, masks: bool = False) -> dict[str, Any]:
    """XTuner's row for a conversation; an empty system prompt is left out as the tutorial does.

    Whether an answer is learned stands in every turn where ``masks``, or where one of them is not.
    """
    masks = masks or not all(turn.trained for turn in conversation)
    return {"conversation": [_as_turn(turn, masks) for turn in conversation]}


def _as_turn(turn: Turn, masks: bool) -> dict[str, Any]:
    system = {"system": turn.system} if turn.system else {}
    mask = {"output_with_loss": turn.trained} if masks else {}
    thinks = {} if turn.thinks is None else {"thinks": turn.thinks}
    return {**system, "input": turn.input, "output": turn.output, **mask, **thinks}


def write_source(path: Path, conversations: Sequence[Conversation]) -> None:
    """Write conversations as one JSON array, readable by a person."""
    masks = any_masked(conversations)
    rows = [as_row(conversation, masks) for conversation in conversations]
    write_text(path, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


def write_rows(path: Path, conversations: Sequence[Conversation]) -> None:
    """Write conversations as JSON lines, the form that is trained on."""
    masks = any_masked(conversations)
    write_lines(path, (json.dumps(as_row(c, masks), ensure_ascii=False) for c in conversations))


def read_rows(path: Path) -> Iterator[Conversation]:
    """The conversations that :func:`write_rows` wrote."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield from_row(json.loads(line))


def any_masked(conversations: Iterable[Conversation]) -> bool:
    """Whether any answer is not to be learned. The mask then stands in every turn of a file: datasets 5 fills
    a key that some turns lack with null, which XTuner 0.2.0 takes for false."""
    return any(not turn.trained for conversation in conversations for turn in conversation)


def from_row(row: dict[str, Any]) -> Conversation:
    """The conversation of one of XTuner's rows that has no problem."""
    return tuple(
        Turn(
            turn.get("input") or "",
            turn["output"],
            turn.get("system") or "",
            bool(turn.get("output_with_loss", True)),
            turn.get("thinks"),
        )
        for turn in row["conversation"]
    )
