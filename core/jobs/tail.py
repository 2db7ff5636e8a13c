"""The end of a log, however long it is, and what was added since the last look."""

import os
from collections.abc import Iterator
from pathlib import Path

from core.workspace.files import is_endless

BLOCK = 1 << 16
# A progress bar without line breaks is one line of any length; its end is enough.
LONGEST_TAIL = 1 << 22
READ_BLOCK = 1 << 20


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a file, an unfinished one included; none when there is no file.

    Reads only the end of the file, at most 4 MiB. Of a line with carriage returns the last state is given.
    """
    if is_endless(path):
        return []
    try:
        with path.open("rb") as stream:
            data, whole = _end(stream.fileno(), count)
    except FileNotFoundError:
        return []
    lines = data.decode("utf-8", errors="replace").split("\n")
    if not lines[-1]:
        lines.pop()
    if not whole and len(lines) > 1:
        lines.pop(0)  # it may have lost its beginning
    return [_last_state(line) for line in lines[-count:]] if count > 0 else []


def _end(file: int, count: int) -> tuple[bytes, bool]:
    """The file's end with at least that many whole lines, and whether it is the whole file."""
    position = os.fstat(file).st_size
    blocks: list[bytes] = []
    found = length = 0
    while position > 0 and found <= count and length < LONGEST_TAIL:
        step = min(BLOCK, position)
        position -= step
        blocks.append(os.pread(file, step, position))
        found += blocks[-1].count(b"\n")
        length += step
    return b"".join(reversed(blocks)), position == 0


class LogTail:
    """Complete lines as they are added to a file. Half a line waits for its end.

    ``offset`` is the byte up to which lines were given; of one that is longer than 4 MiB the beginning is
    left out. A file that was replaced or that shrank is read from its start again.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self._file: tuple[int, int] | None = None

    def read(self) -> list[str]:
        """The lines added since the last call; none when there is no file."""
        return [line for lines in self.blocks() for line in lines]

    def blocks(self) -> Iterator[list[str]]:
        """The same a block of about a megabyte at a time, so that a long log never stands in memory whole."""
        if is_endless(self.path):
            return
        try:
            with self.path.open("rb") as stream:
                self._start_over_if_replaced(os.fstat(stream.fileno()))
                stream.seek(self.offset)
                half: list[bytes] = []
                while data := stream.read(READ_BLOCK):
                    lines, line_break, rest = data.rpartition(b"\n")
                    if line_break:
                        lines = b"".join((*half, lines))
                        half = [rest]
                        self.offset += len(lines) + 1
                        yield _decode(lines)
                    else:
                        half = self._shortened([*half, data])
        except FileNotFoundError:
            return

    def _shortened(self, half: list[bytes]) -> list[bytes]:
        """Half a line, of one without end its end alone: it is neither kept nor read again at every look."""
        length = sum(map(len, half))
        if length <= LONGEST_TAIL:
            return half
        end = half[-1][-BLOCK:]
        self.offset += length - len(end)
        return [end]

    def _start_over_if_replaced(self, now: os.stat_result) -> None:
        file = (now.st_dev, now.st_ino)
        if now.st_size < self.offset or (self._file is not None and self._file != file):
            self.offset = 0
        self._file = file


def _decode(lines: bytes) -> list[str]:
    return [_last_state(line) for line in lines.decode("utf-8", errors="replace").split("\n")]


def _last_state(line: str) -> str:
    """What a line looks like on a terminal: a carriage return starts it over."""
    return line.rstrip("\r").rpartition("\r")[2]
