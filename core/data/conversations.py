"""Conversations in the tutorial's own format, read with every problem named, written whole.

The format is XTuner's: ``[{"conversation": [{"system": …, "input": …, "output": …}, …]}, …]``, or the same
objects one a line (JSON lines).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import EmptyData, NoSuchFile, NotConversations, NotJson
from core.files import write_lines, write_text

SHOWN_PROBLEMS = 5


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


def read_conversations(path: Path) -> list[Conversation]:
    """Read a data file. Raises NoSuchFile, NotJson, NotConversations (all bad rows named), EmptyData."""
    rows = _read_rows(path)
    if not rows:
        raise EmptyData(path=path)
    problems = [problem for number, row in enumerate(rows, 1) for problem in _problems(number, row)]
    if problems:
        shown = "; ".join(problems[:SHOWN_PROBLEMS])
        raise NotConversations(path=path, count=len(problems), problems=shown)
    return [from_row(row) for row in rows]


def _read_rows(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except UnicodeDecodeError as error:
        raise NotJson(path=path, line="?", column="?", detail="it is not UTF-8 text") from error
    except OSError as error:
        raise NotJson(path=path, line="?", column="?", detail=error.strerror) from error
    if not text.strip():
        raise EmptyData(path=path)
    try:
        return _parse(text)
    except json.JSONDecodeError as error:
        raise NotJson(path=path, line=error.lineno, column=error.colno, detail=error.msg) from error
    except RecursionError as error:
        raise NotJson(path=path, line=1, column=1, detail="it is nested too deeply") from error


def _parse(text: str) -> list[Any]:
    """A JSON array, or JSON lines when the first line is an object by itself."""
    if text.lstrip().startswith("{") and "\n" in text.strip():
        return [_parse_line(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    value = json.loads(text)
    return value if isinstance(value, list) else [value]


def _parse_line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        padding = "\n" * (number - 1) + " " * (error.colno - 1)
        raise json.JSONDecodeError(error.msg, padding, len(padding)) from error


def _problems(number: int, row: Any) -> Iterator[str]:
    turns = row.get("conversation") if isinstance(row, dict) else None
    if not isinstance(turns, list) or not turns:
        yield f'row {number} has no list "conversation"'
        return
    for turn in turns:
        if not isinstance(turn, dict):
            yield f"row {number}: a turn is not an object"
            continue
        if not isinstance(turn.get("input", ""), str):
            yield f'row {number}: "input" is not text'
        if not isinstance(turn.get("system") or "", str):
            yield f'row {number}: "system" is not text'
        if not isinstance(turn.get("output"), str) or not turn["output"].strip():
            yield f'row {number}: "output" is missing or empty'


def from_row(row: dict[str, Any]) -> Conversation:
    """The conversation of one of XTuner's rows that has no problem."""
    return tuple(
        Turn(turn.get("input", ""), turn["output"], turn.get("system") or "") for turn in row["conversation"]
    )
