"""Rows made of what is none yet: columns of a JSON object, messages one a line, paragraphs of a text."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from core.data.formats.gift import pairs_of_gift
from core.data.formats.marked import marks_of
from core.data.reading.dialogues import dialogue_of
from core.data.reading.rows import each, loaded
from core.data.reading.structure import Spans
from core.errors import Unreadable
from core.wording import say

# Columns are read as a whole: so many bytes at most.
LARGEST_COLUMNS = 1 << 29
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")


def write_columns(path: Path, plain: Path, begin: int, target: Path) -> bool:
    """Write the rows of an object of columns; False for one that is broken inside. Raises Unreadable."""
    if plain.stat().st_size > LARGEST_COLUMNS:
        raise Unreadable(path=path, reason=say("file.large_columns", limit=LARGEST_COLUMNS >> 20))
    with plain.open("rb") as stream:
        stream.seek(begin)
        found = loaded(stream.read())
    if not isinstance(found, dict):
        return False
    _write(target, _rows_of(found))
    return True


def _rows_of(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if isinstance(found.get("columns"), list) and isinstance(found.get("data"), list):
        for row in found["data"]:
            if isinstance(row, list):
                yield dict(zip(map(str, found["columns"]), row, strict=False))
        return
    columns = {
        key: dict(enumerate(cells)) if isinstance(cells, list) else cells
        for key, cells in found.items()
        if isinstance(cells, list | dict)
    }
    for number in dict.fromkeys(number for cells in columns.values() for number in cells):
        yield {key: cells[number] for key, cells in columns.items() if number in cells}


def write_dialogues(stream: BinaryIO, spans: Spans, target: Path) -> None:
    """Write messages as the dialogues that they make: one, or as many as a key of theirs tells apart. What is
    no message stays a row of its own.

    A file is read twice, and only the places of its messages are kept.
    """
    key, dialogues = None, dict[str, list[int]]()
    for number, raw in enumerate(each(stream, spans)):
        message = loaded(raw)
        if key is None and isinstance(message, dict):
            key = dialogue_of(message)
        alone = not isinstance(message, dict) or (key is not None and key not in message)
        name = f"row {number}" if alone else f"dialogue {message.get(key)}" if key else ""
        dialogues.setdefault(name, []).append(number)
    with target.open("wb") as out:
        for name, numbers in dialogues.items():
            rows = list(each(stream, spans[numbers]))
            if name.startswith("row "):
                out.write(b" ".join(rows[0].splitlines()) + b"\n")
                continue
            said = [{k: value for k, value in loaded(raw).items() if k != key} for raw in rows]
            out.write(orjson.dumps({"messages": said}) + b"\n")


def write_paragraphs(text: str, target: Path) -> None:
    """Write a text as rows of ``text``: a dialogue with marks as a whole, or each part of it that is one; any
    other text by its paragraphs. A quiz becomes its questions with their answers."""
    if quiz := pairs_of_gift(text):
        _write(target, ({"question": question, "answer": answer} for question, answer in quiz))
        return
    parts = [part for part in _BLANK_LINES.split(text.replace("\r\n", "\n")) if part.strip()]
    if marks_of(text) and not all(map(marks_of, parts)):
        parts = [text]
    _write(target, ({"text": part.strip("\n")} for part in parts))


def _write(target: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with target.open("wb") as out:
        out.writelines(orjson.dumps(row, default=str) + b"\n" for row in rows)
