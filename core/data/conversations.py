"""Conversations in the tutorial's own format, read with every problem named, written whole.

The format is XTuner's: ``[{"conversation": [{"system": …, "input": …, "output": …}, …]}, …]``, or the same
objects one a line (JSON lines).
"""

import json
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import EmptyData, NoSuchFile, NotConversations, NotJson, Unreadable, reason_of
from core.files import write_lines, write_text
from core.wording import say

SHOWN_PROBLEMS = 5
# JSON may spell half a character ("\\ud83d"), which no UTF-8 file can hold.
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")

# What Python 3.11's json says, and our words for it.
JSON_COMPLAINTS = {
    "Expecting value": "json.value",
    "Expecting ',' delimiter": "json.comma",
    "Expecting ':' delimiter": "json.colon",
    "Expecting property name enclosed in double quotes": "json.name",
    "Extra data": "json.extra",
    "Unterminated string starting at": "json.open",
    "Invalid control character at": "json.control",
    "Invalid \\escape": "json.escape",
    "Invalid \\uXXXX escape": "json.escape",
}


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
    """Read a data file. Raises NoSuchFile, Unreadable, NotJson, NotConversations (all bad rows counted),
    EmptyData."""
    rows = _read_rows(path)
    if not rows:
        raise EmptyData(path=path)
    problems = [problem for number, row in enumerate(rows, 1) for problem in _problems(number, row)]
    if problems:
        raise NotConversations(path=path, count=len(problems), problems=_shown(problems))
    return [from_row(row) for row in rows]


def _shown(problems: list[str]) -> str:
    more = len(problems) - SHOWN_PROBLEMS
    shown = problems[:SHOWN_PROBLEMS] + ([say("row.more", count=more)] if more > 0 else [])
    return say("row.separator").join(shown)


def _read_rows(path: Path) -> list[Any]:
    text = _read_text(path)
    if not text.strip():
        raise EmptyData(path=path)
    try:
        return _parse(text)
    except json.JSONDecodeError as error:
        detail = say(JSON_COMPLAINTS[error.msg]) if error.msg in JSON_COMPLAINTS else error.msg
        raise NotJson(path=path, line=error.lineno, column=error.colno, detail=detail) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise Unreadable(path=path, reason=str(error).partition(";")[0]) from error
    except RecursionError as error:
        raise Unreadable(path=path, reason=say("file.too_deep")) from error


def _read_text(path: Path) -> str:
    """The file's text. A device such as /dev/zero never ends: only files and pipes are read."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind) or stat.S_ISSOCK(kind):
            raise Unreadable(path=path, reason=say("file.not_a_file"))
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(path=path, reason=say("file.not_utf8", line=line)) from error
    except OSError as error:
        raise Unreadable(path=path, reason=reason_of(error)) from error


def _parse(text: str) -> list[Any]:
    """A JSON array, one object, or JSON lines: objects with more text after the first."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data" or not text.lstrip().startswith("{"):
            raise
        # Not splitlines: a conversation may hold U+2028 and its like as they are.
        return [_parse_line(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
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
        yield say("row.no_conversation", row=number)
        return
    for turn in turns:
        if isinstance(turn, dict):
            yield from _turn_problems(number, turn)
        else:
            yield say("row.not_an_object", row=number)


def _turn_problems(number: int, turn: dict[str, Any]) -> Iterator[str]:
    """XTuner reads a missing or null "input" or "system" as empty; so does this."""
    for name in ("system", "input", "output"):
        value = "" if turn.get(name) is None else turn[name]
        if not isinstance(value, str):
            yield say("row.not_text", row=number, field=name)
        elif name == "output" and not value.strip():
            yield say("row.no_output", row=number)
        elif LONE_SURROGATE.search(value):
            yield say("row.broken_character", row=number, field=name)


def from_row(row: dict[str, Any]) -> Conversation:
    """The conversation of one of XTuner's rows that has no problem."""
    return tuple(
        Turn(turn.get("input") or "", turn["output"], turn.get("system") or "")
        for turn in row["conversation"]
    )
