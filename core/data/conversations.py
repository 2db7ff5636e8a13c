"""Conversations, and how they are written: in the tutorial's own format, whole.

The format is XTuner's: ``[{"conversation": [{"system": …, "input": …, "output": …}, …]}, …]``, or the same
objects one a line (JSON lines). Files of any known format are read by :mod:`core.data.opening`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.workspace.files import write_lines, write_text

# JSON may spell half a character ("\\ud83d"), which no UTF-8 file can hold.
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    input: str
    output: str
    system: str = ""


Conversation = tuple[Turn, ...]


def one_turn(question: str, answer: str) -> Conversation:
    """A conversation of a single question and answer."""
    return (Turn(question, answer),)


def as_row(conversation: Conversation) -> dict[str, Any]:
    """XTuner's row for a conversation; an empty system prompt is left out as the tutorial does."""
    return {"conversation": [_as_turn(turn) for turn in conversation]}


def _as_turn(turn: Turn) -> dict[str, str]:
    system = {"system": turn.system} if turn.system else {}
    return {**system, "input": turn.input, "output": turn.output}


def write_source(path: Path, conversations: Iterable[Conversation]) -> None:
    """Write conversations as one JSON array, readable by a person."""
    rows = [as_row(conversation) for conversation in conversations]
    write_text(path, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


def write_rows(path: Path, conversations: Iterable[Conversation]) -> None:
    """Write conversations as JSON lines, the form that is trained on."""
    write_lines(path, (json.dumps(as_row(c), ensure_ascii=False) for c in conversations))


def from_row(row: dict[str, Any]) -> Conversation:
    """The conversation of one of XTuner's rows that has no problem."""
    return tuple(
        Turn(turn.get("input") or "", turn["output"], turn.get("system") or "")
        for turn in row["conversation"]
    )
