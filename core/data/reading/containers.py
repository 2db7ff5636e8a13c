"""What a JSON file is as a whole: rows, one dialogue, columns, or several lists of rows by their names.

Only where each piece begins and ends is read here. Columns and messages that stand one a line are no rows
yet: ``Layout.kind`` says so, and :mod:`core.data.reading.turning` writes the rows that they make.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

import numpy as np

from core.data.formats.columns import columns_of
from core.data.formats.names import family, plain
from core.data.reading.dialogues import dialogue_of, holds_rows, is_one_dialogue, is_row_list, speaker
from core.data.reading.rows import (
    HEAD,
    LARGE,
    LARGEST_ROW,
    SPACE,
    WRAPPER,
    Layout,
    Values,
    each,
    is_lines,
    layout,
    loaded,
)
from core.data.reading.structure import end_of_value

# A dialogue has no more messages; a file of more is looked at row by row.
MOST_MESSAGES = 5000
LOOKED, LOOKED_MESSAGES = 4, 20
# Of what stands beside the rows so many bytes are read.
LONGEST_BESIDE = 2000
_WORD = re.compile(rb"[-+.\w]+")
_END_OF_TEXT = re.compile(rb'(?:[^"\\]|\\.)*+"', re.DOTALL)
_TABLE = {"columns", "data"}

MemberKind = Literal["list", "object", "text", "word"]


@dataclass
class Member:
    """A key of a file's outermost object and its value's place; ``rows``: of a list of objects or lists."""

    key: str
    kind: MemberKind
    start: int
    end: int = 0
    rows: Layout | None = None
    looked: list[Any] = field(default_factory=list)


def tables(stream: BinaryIO, size: int, begin: int = 0) -> list[Layout]:
    """The tables of a UTF-8 JSON text of ``size`` bytes, from byte ``begin`` on: nearly always one."""
    stream.seek(begin)
    head = stream.read(HEAD)
    whole = len(head) + begin >= size
    if head.lstrip(SPACE)[:1] == b"{" and _may_be_one_object(head, whole):
        members = _Object(stream, size, begin + len(head) - len(head.lstrip(SPACE))).members()
        if members is not None:
            row = np.array([[_opening(stream, begin), _closing(stream, size)]], np.int64)
            found = _of_object(members, begin, size)
            for layouts in found or ():
                layouts.beside = _beside(stream, members)
            return found or [Layout("lines" if is_lines(head, whole) else "values", row)]
    return [_as_dialogue(stream, size, begin, layout(stream, size, begin))]


def _beside(stream: BinaryIO, members: Sequence[Member]) -> dict[str, Any]:
    """What an object holds beside its lists of rows."""
    found: dict[str, Any] = {}
    for member in members:
        if member.rows is None:
            stream.seek(member.start)
            raw = stream.read(min(member.end - member.start, LONGEST_BESIDE))
            value = loaded(raw)
            known = value is not None or raw.strip() == b"null"
            found[member.key] = value if known else raw.decode("utf-8", "replace")
    return found


def _may_be_one_object(head: bytes, whole: bool) -> bool:
    first, _, rest = head.lstrip(SPACE).partition(b"\n")
    return WRAPPER.match(head) is not None or not is_lines(head, whole) or (not rest.strip() and bool(first))


# --- an object ---


class _Object:
    """The outermost object of a text, read key by key; what is odd about it is left to others."""

    def __init__(self, stream: BinaryIO, size: int, start: int) -> None:
        self.stream, self.size, self.position = stream, size, start

    def members(self) -> list[Member] | None:
        """Its keys in their order; None where the text is anything but one whole object."""
        found: list[Member] = []
        self.position += 1
        while (mark := self._next()) not in (b"", b"}"):
            if mark == b",":
                self.position += 1
                continue
            member = self._member() if mark == b'"' else None
            if member is None:
                return None
            found.append(member)
        if mark != b"}":
            return None
        self.position += 1
        return found if self._next() == b"" else None

    def _member(self) -> Member | None:
        start = self.position
        if not self._skip_text() or self._next() != b":":
            return None
        raw = self._read(start, self.position).strip()
        self.position += 1
        mark, key = self._next(), loaded(raw)
        if not isinstance(key, str):
            return None
        at = self.position
        if mark == b"[":
            return self._list(key, at)
        kind: MemberKind = "object" if mark == b"{" else "text" if mark == b'"' else "word"
        fine = self._skip(kind)
        return Member(key, kind, at, self.position) if fine else None

    def _list(self, key: str, at: int) -> Member | None:
        self.position += 1
        if self._next() not in (b"{", b"["):
            self.position = at
            return Member(key, "list", at, self.position) if self._skip("object") else None
        values = Values(self.stream, self.size, self.position)
        rows = values.layout()
        if not values.closed:
            return None
        self.position = values.position
        looked = [loaded(self._read(start, end)) for start, end in rows.spans[:LOOKED].tolist()]
        return Member(key, "list", at, self.position, rows, looked)

    def _skip(self, kind: MemberKind) -> bool:
        if kind == "text":
            return self._skip_text()
        if kind == "word":
            word = _WORD.match(self._read(self.position, self.position + 400))
            self.position += len(word[0]) if word else 0
            return word is not None
        length = end_of_value(self._blocks(self.position))
        self.position += length or 0
        return length is not None

    def _skip_text(self) -> bool:
        window = 1 << 10
        while window <= 2 * LARGEST_ROW:
            if found := _END_OF_TEXT.match(self._read(self.position + 1, self.position + window)):
                self.position += 1 + found.end()
                return True
            window *= 8
        return False

    def _next(self) -> bytes:
        """The next byte that is no space, at which ``position`` then stands."""
        while block := self._read(self.position, self.position + 256):
            left = block.lstrip(SPACE)
            self.position += len(block) - len(left)
            if left:
                return left[:1]
        return b""

    def _read(self, start: int, end: int) -> bytes:
        self.stream.seek(start)
        return self.stream.read(min(end, self.size) - start)

    def _blocks(self, start: int) -> Iterator[bytes]:
        position = start
        while block := self._read(position, position + LARGE):
            yield block
            position += len(block)


# Keys that only a row has: beside a list of answers, of choices or of passages they are its question.
_OF_A_ROW = frozenset(
    name for called in ("question", "instruction", "input", "answer", "chosen") for name in family(called)
)


def _of_object(members: Sequence[Member], begin: int, size: int) -> list[Layout] | None:
    """The tables of one object; None where it is a row itself."""
    lists = [member for member in members if member.rows is not None]
    holding = [member for member in lists if holds_rows(member.key, member.looked)]
    said = any(member.kind != "list" and plain(member.key) in _OF_A_ROW for member in members)
    if _are_columns(members):
        return [Layout("columns", np.array([[begin, size]], np.int64))]
    if not holding or len(holding) < len(lists) or said:
        return None
    for member in holding:
        member.rows.name = member.key  # type: ignore[union-attr]
    return [member.rows for member in holding if member.rows is not None]


def _are_columns(members: Sequence[Member]) -> bool:
    """Whether an object holds lists of cells by their columns' names, or a table as pandas splits it."""
    keys = {member.key for member in members}
    kinds = {member.kind for member in members}
    if keys >= _TABLE and keys <= _TABLE | {"index"}:
        return True
    cells = [member for member in members if member.kind == "list" and member.rows is None]
    names = tuple(member.key for member in members)
    if kinds == {"object"}:  # pandas: {"question": {"0": …}}
        return len(members) > 1 and columns_of(names) is not None
    if any(member.kind in ("text", "object") for member in members):
        return False
    texts = {plain(name) for name in names} & set(family("texts"))
    several = len(cells) > 1 or any(holds_rows(m.key, m.looked) for m in members if m.rows is not None)
    return bool(cells) and (
        (several and columns_of(names) is not None) or bool(texts) or _has_dialogues(members)
    )


def _has_dialogues(members: Sequence[Member]) -> bool:
    """Whether one column is of whole dialogues: each of its cells is a list of messages."""
    return any(m.looked and all(map(is_row_list, m.looked)) for m in members if m.rows is not None)


# --- rows that are messages ---


def _as_dialogue(stream: BinaryIO, size: int, begin: int, found: Layout) -> Layout:
    """Rows that are messages, as the dialogue that they make together; else the rows as they are."""
    count = len(found.spans)
    if count < 2 or found.damage or found.stray:
        return found
    first = [loaded(raw) for raw in each(stream, found.spans[:LOOKED_MESSAGES])]
    said = [message for message in first if speaker(message)]
    if 2 * len(said) <= len(first):
        return found
    if dialogue_of(said[0]):
        return Layout("messages", found.spans)
    length = int(found.spans[-1, 1] - found.spans[0, 0])
    if count > MOST_MESSAGES or length > LARGEST_ROW:
        return found
    if not is_one_dialogue([loaded(raw) for raw in each(stream, found.spans)]):
        return found
    if found.kind == "lines":
        return Layout("messages", found.spans)
    return Layout("values", np.array([[_opening(stream, begin), _closing(stream, size)]], np.int64))


def _opening(stream: BinaryIO, begin: int) -> int:
    stream.seek(begin)
    head = stream.read(HEAD)
    return begin + len(head) - len(head.lstrip(SPACE))


def _closing(stream: BinaryIO, size: int) -> int:
    start = max(0, size - HEAD)
    stream.seek(start)
    return start + len(stream.read(size - start).rstrip(SPACE))
