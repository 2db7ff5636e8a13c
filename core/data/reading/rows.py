"""Where each row of a JSON file is: JSON lines, an array, or one object after the other; whole or broken.

A broken row costs itself and no other: after it, reading goes on where the next row plausibly begins.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Literal

import numpy as np

from core.data.reading.dialogues import is_row_list
from core.data.reading.structure import ANYWHERE, IN_ARRAY, Spans, end_of_value, whole_objects

Kind = Literal["lines", "values", "columns", "messages"]
SMALL, LARGE, HEAD = 1 << 13, 1 << 21, 1 << 16
# No model reads a million tokens, and a row that long costs seconds and much memory; bytes.
LARGEST_ROW = 4 << 20
LOOKED_LINES = 50
MOST_STRAY = 100
NO_VALUE = "Expecting value"
SPACE = b" \t\r\n"
# How a row begins: with the first key of one of the formats, or with one that the rows before it began with.
KNOWN_KEYS = ("conversation", "conversations", "messages", "instruction", "prompt", "question", "id")
_LEFT_OUT = SPACE + b","
_VALUES = {bytes([character]) for character in b'{["-0123456789'}
_FIRST_KEY = re.compile(rb'\{\s*"((?:[^"\\]|\\.){1,80})"\s*:')
_TWO_VALUES = re.compile(rb"\}\{")
_ARRAY = re.compile(rb"\s*\[")
WRAPPER = re.compile(rb'\s*\{\s*"(?:data|rows|items|examples|samples|train|dataset)"\s*:\s*\[')


@dataclass(frozen=True)
class Damage:
    """Why a row cannot be read; ``at`` is the byte of the file at which reading it failed."""

    code: str
    at: int
    detail: str = ""


@dataclass
class Layout:
    """``spans``: (start, end) of each row in bytes; ``damage`` by row, counted from 0.

    ``stray``: text that is no row, each with the number of rows before it. ``name``: the key under which they
    stand, of an object that holds several lists; ``beside``: what else that object holds, by key.
    """

    kind: Kind
    spans: Spans
    damage: dict[int, Damage] = field(default_factory=dict)
    stray: list[tuple[int, Damage]] = field(default_factory=list)
    name: str = ""
    beside: dict[str, Any] = field(default_factory=dict)


def layout(stream: BinaryIO, size: int, begin: int = 0) -> Layout:
    """Where the rows of a UTF-8 JSON text of ``size`` bytes are, from byte ``begin`` on (after a mark)."""
    stream.seek(begin)
    head = stream.read(HEAD)
    if is_lines(head, whole=len(head) + begin >= size):
        return Layout("lines", _lines(stream, begin))
    opened = WRAPPER.match(head)
    wrapped = opened is not None
    opened = opened or _ARRAY.match(head)
    position = begin + (opened.end() if opened else 0)
    return Values(stream, size, position, in_array=opened is not None, wrapped=wrapped).layout()


def is_lines(head: bytes, whole: bool) -> bool:
    """Whether most of the first lines are each an object of their own."""
    lines = head.split(b"\n")
    lines = [line.strip() for line in (lines if whole or len(lines) == 1 else lines[:-1])]
    lines = [line for line in lines if line][:LOOKED_LINES]
    if not lines or lines[0].startswith(b"["):
        return len(lines) > 1 and all(map(_is_row_list, lines))
    if len(lines) == 1 and not whole:  # one line longer than what was looked at
        return not WRAPPER.match(head) and len(whole_objects(head)) < 2
    single = sum(line.startswith(b"{") and line.endswith(b"}") for line in lines)
    return 2 * single >= len(lines) and not WRAPPER.match(lines[0])


def _is_row_list(line: bytes) -> bool:
    """Whether a line is a list, and that a dialogue."""
    if not (line.startswith(b"[") and line.endswith(b"]")):
        return False
    try:
        return is_row_list(json.loads(line))
    except (ValueError, RecursionError):
        return False


def _lines(stream: BinaryIO, begin: int) -> Spans:
    """Every line that holds something, without its line break."""
    stream.seek(begin)
    found, position, doubtful = [np.array([begin - 1], np.int64)], begin, set[int]()
    while block := stream.read(LARGE):
        doubtful.update(match.start() + position for match in _TWO_VALUES.finditer(block))
        found.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + position)
        position += len(block)
    breaks = np.concatenate(found)
    if breaks[-1] != position - 1:
        breaks = np.append(breaks, position)
    spans = np.stack([breaks[:-1] + 1, breaks[1:]], axis=1)
    spans = spans[spans[:, 1] > spans[:, 0]]
    short = np.flatnonzero(spans[:, 1] - spans[:, 0] < 64)  # a blank line is short
    empty = [n for n in short.tolist() if not _read(stream, spans[n, 0], spans[n, 1]).strip(SPACE)]
    return _parted(stream, np.delete(spans, empty, axis=0), doubtful)


def _parted(stream: BinaryIO, spans: Spans, doubtful: set[int]) -> Spans:
    """Lines that hold several objects, whose line break was lost, as several rows. ``doubtful``: bytes where
    one object may end and the next begin."""
    lines = sorted({int(np.searchsorted(spans[:, 0], place, "right")) - 1 for place in doubtful})
    parted, last = [], 0
    for line in lines:
        start, end = spans[line].tolist()
        text = _read(stream, start, end)
        found = whole_objects(text)
        if len(found) > 1 and not text[found[-1, 1] :].strip(SPACE):
            parted += [spans[last:line], found + start]
            last = line + 1
    return np.concatenate([*parted, spans[last:]])


def each(stream: BinaryIO, spans: Spans) -> Iterator[bytes]:
    """The bytes of rows."""
    for start, end in spans.tolist():
        yield _read(stream, start, end)


def loaded(raw: bytes) -> Any:
    """A row's value to tell what the file is by; None for a broken one."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _read(stream: BinaryIO, start: int, end: int) -> bytes:
    stream.seek(int(start))
    return stream.read(int(end - start))


class Values:
    """Values one after the other, in an array or not: whole blocks fast, odd places with care.

    ``position``: the first value's, behind the bracket where they stand ``in_array``; of one that is
    ``wrapped`` in an object, what follows its end is not read, and is found at ``position`` in the end.
    """

    def __init__(
        self, stream: BinaryIO, size: int, position: int, in_array: bool = True, wrapped: bool = True
    ) -> None:
        self.stream, self.size = stream, size
        self.position = position
        self.in_array, self.closed = in_array, False
        self.lists = in_array and _read(stream, position, position + SMALL).lstrip(SPACE)[:1] == b"["
        self.keys = {*(key.encode() for key in KNOWN_KEYS)}
        self.parts: list[Spans] = []
        self.count = 0
        self.damage: dict[int, Damage] = {}
        self.stray: list[tuple[int, Damage]] = []
        self.wrapped = wrapped
        self.first = True

    @property
    def strict(self) -> bool:
        """Whether commas are counted; where very many are wrong it is no longer said of each."""
        return self.in_array and not self.closed and len(self.stray) < MOST_STRAY

    def layout(self) -> Layout:
        step = SMALL
        while self.position < self.size:
            between = IN_ARRAY if self.strict else ANYWHERE
            block = _read(self.stream, self.position, self.position + step)
            spans = whole_objects(block, between, self.first, self.lists and not self.closed)
            if len(spans):
                self._take(spans + self.position)
                step = min(2 * step, LARGE)
            elif not self._careful():
                break
            else:
                step = SMALL
        if self.in_array and not self.closed and self.count - 1 not in self.damage:
            self.stray.append((self.count, Damage("cut_off", self.size)))
        spans = np.concatenate(self.parts) if self.parts else np.zeros((0, 2), np.int64)
        return Layout("values", spans, self.damage, self.stray)

    def _take(self, spans: Spans) -> None:
        if self.count < LOOKED_LINES:
            self._learn(spans)
        self.parts.append(spans)
        self.count += len(spans)
        self.position = int(spans[-1, 1])
        self.first = False

    def _learn(self, spans: Spans) -> None:
        for start, end in spans[:LOOKED_LINES].tolist():
            if key := _FIRST_KEY.match(_read(self.stream, start, min(end, start + 200))):
                self.keys.add(key[1])

    def _add(self, start: int, end: int, damage: Damage | None = None) -> None:
        if damage:
            self.damage[self.count] = damage
        self.parts.append(np.array([[start, end]], np.int64))
        self.count += 1
        self.position = end
        self.first = False

    def _careful(self) -> bool:
        """Read one value, or step over one broken place; False at the end."""
        start = self._skip_between()
        if start is None:
            return False
        window, whole = SMALL, False
        while not whole:
            raw = _read(self.stream, start, start + window)
            whole = start + len(raw) >= self.size or window >= LARGEST_ROW
            text, wrong = _text_of(raw)
            end, failed, detail = _one_value(text)
            if failed is None:
                self._add(start, start + len(text[:end].encode("utf-8", "surrogatepass")))
                return True
            at = len(text[:failed].encode("utf-8", "surrogatepass"))
            if wrong is not None and at >= wrong and wrong < len(raw) - 4:
                return self._broken(start, Damage("not_utf8", start + wrong))
            if failed < len(text) - 16 and not _is_open(detail):
                return self._broken(start, Damage("broken_json", start + at, detail))
            window *= 4
        return self._long_or_open(start, Damage("broken_json", start + at, detail))

    def _long_or_open(self, start: int, damage: Damage) -> bool:
        """A value that did not end within the longest row: a very long one, or one that never ends."""
        if self.size - start > LARGEST_ROW and self._next_row(start + 1, start + LARGEST_ROW) is None:
            length = end_of_value(self._blocks(start))
            if length is not None:
                self._add(start, start + length, Damage("too_large", start))
                return True
        return self._broken(start, damage)

    def _blocks(self, start: int) -> Iterator[bytes]:
        self.stream.seek(start)
        while block := self.stream.read(LARGE):
            yield block

    def _broken(self, start: int, damage: Damage) -> bool:
        end = self._next_row(start + 1, self.size)
        while end is not None and end < damage.at and not self._reads(end):
            end = self._next_row(end + 1, self.size)
        if damage.at > start or damage.detail != NO_VALUE:
            self._add(start, end or self.size, damage)
        else:
            self.stray.append((self.count, replace(damage, code="stray_text")))
            self.position = end or self.size
        self.first = True  # whatever stood before the next row belonged to the broken place
        return end is not None

    def _reads(self, start: int) -> bool:
        """Whether a value that can be read begins here: else it was a piece of the broken row."""
        text, _ = _text_of(_read(self.stream, start, start + SMALL))
        return _one_value(text)[1] is None

    def _next_row(self, start: int, limit: int) -> int | None:
        """Where a row begins after ``start``: a brace with the first key of a row behind it."""
        known = b"|".join(map(re.escape, sorted(self.keys)))
        row = re.compile(rb'\{\s*"(?:' + known + rb')"\s*:')
        position, window = start, SMALL
        while position < limit:
            block = _read(self.stream, position, min(limit, position + window) + 256)
            if found := row.search(block):
                return position + found.start()
            position, window = position + window, min(4 * window, LARGE)
        return None

    def _skip_between(self) -> int | None:
        """Step over spaces, commas and the array's end; None when nothing more comes."""
        while block := _read(self.stream, self.position, self.position + SMALL):
            if self.closed and self.wrapped:
                return None  # what stands behind the rows is not about them
            left = block.lstrip(_LEFT_OUT)
            skipped = block[: len(block) - len(left)]
            self._count_commas(skipped, left[:1])
            self.position += len(skipped)
            if left[:1] == b"]" and self.in_array and not self.closed:
                self.closed = True
                self.position += 1
            elif left[:1] == b"[" and self.closed:  # one array after the other
                self.closed, self.first = False, True
                self.position += 1
            elif left:
                return self.position
        return None

    def _count_commas(self, skipped: bytes, following: bytes) -> None:
        """One comma stands between two rows of an array, none before the first and none after the last."""
        ends = following in {b"]", b""}
        if not self.strict or (following not in _VALUES and not ends):
            return  # what stands there is said by itself
        found, wanted = skipped.count(b","), 0 if self.first or ends else 1
        if found != wanted:
            detail = NO_VALUE if found > wanted else "Expecting ',' delimiter"
            good = re.match(rb"\s*" if self.first else rb"\s*,?\s*", skipped)
            at = self.position + (good.end() if good else 0)
            self.stray.append((self.count, Damage("stray_text", at, detail)))


def _is_open(detail: str) -> bool:
    return detail == "Unterminated string starting at"


def _text_of(raw: bytes) -> tuple[str, int | None]:
    """The text, and the byte at which it stops being UTF-8 (a character cut by the window counts)."""
    try:
        return raw.decode(), None
    except UnicodeDecodeError as error:
        return raw[: error.start].decode(), error.start


_DECODER = json.JSONDecoder(parse_int=str)  # no limit to a number's digits


def _one_value(text: str) -> tuple[int, int | None, str]:
    """The value that begins a text: (its end, None, ""), else (0, where it fails, Python's complaint)."""
    try:
        return _DECODER.raw_decode(text)[1], None, ""
    except json.JSONDecodeError as error:
        return 0, error.pos, error.msg
    except RecursionError:
        return 0, 0, "too deep"
