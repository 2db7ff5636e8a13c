"""The end of a log and what was added to it."""

import os
from pathlib import Path

import pytest

from core.jobs.tail import BLOCK, LONGEST_TAIL, LogTail, last_lines
from tests.conftest import RecordFault


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "工作 区" / "a b"
    folder.mkdir(parents=True)
    return folder / "output.log"


def add(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize(
    ("data", "count", "lines"),
    [
        (b"", 3, []),
        (b"\n", 3, [""]),
        (b"a\nb\nc\n", 2, ["b", "c"]),
        (b"a\nb\nc\n", 3, ["a", "b", "c"]),
        (b"a\nb\nhalf", 2, ["b", "half"]),
        (b"a\n\nc\n", 2, ["", "c"]),
        (b"a\n", 0, []),
        (b"10%\r50%\r100%\nend\r\n", 2, ["100%", "end"]),
        (b"10%\r50%\r", 1, ["50%"]),
        ("调音台\n".encode() + b"\xff\xfe\n", 2, ["调音台", "\ufffd\ufffd"]),
    ],
)
def test_last_lines(log: Path, data: bytes, count: int, lines: list[str]) -> None:
    add(log, data)
    assert last_lines(log, count) == lines


def test_last_lines_of_no_file(log: Path) -> None:
    assert last_lines(log, 5) == []


def test_last_lines_across_blocks(log: Path) -> None:
    lines = ["调" * (number % 700) for number in range(1000)]
    add(log, "\n".join(lines).encode() + b"\n")
    assert log.stat().st_size > 3 * BLOCK
    for count in (1, 400, 999, 1000, 2000):
        assert last_lines(log, count) == lines[-count:]


def test_last_lines_of_a_huge_log_cost_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 GB, of which the disk holds only the end."""
    taken: list[int] = []
    read = os.pread
    monkeypatch.setattr(os, "pread", lambda file, count, at: taken.append(count) or read(file, count, at))
    with log.open("wb") as file:
        file.truncate(5 << 30)
    add(log, b"\nlast\nwords\n")
    assert last_lines(log, 2) == ["last", "words"] and taken == [BLOCK]
    assert len(last_lines(log, 5)[0]) <= LONGEST_TAIL + BLOCK  # a line without an end is cut


def test_a_tail_gives_complete_lines_once(log: Path) -> None:
    tail = LogTail(log)
    assert tail.read() == []
    add(log, b"one\ntw")
    assert tail.read() == ["one"]
    add(log, b"o\n\xe8\xb0")  # half a character
    assert tail.read() == ["two"]
    add(log, "调"[0:0].encode() + b"\x83\n10%\r100%\r\n\xff\n")
    assert tail.read() == ["调", "100%", "\ufffd"]
    assert tail.read() == [] and tail.offset == log.stat().st_size
    assert LogTail(log, tail.offset).read() == []
    assert LogTail(log, 4).read() == ["two", "调", "100%", "\ufffd"]


def test_a_tail_starts_over_when_the_file_shrinks_or_is_replaced(log: Path) -> None:
    tail = LogTail(log)
    add(log, b"one\ntwo\n")
    assert tail.read() == ["one", "two"]
    log.write_bytes(b"new\n")
    assert tail.read() == ["new"]
    log.rename(log.with_suffix(".1"))
    assert tail.read() == []
    add(log, b"a longer one than before\n")
    assert tail.read() == ["a longer one than before"]


def test_a_long_log_comes_in_blocks(log: Path) -> None:
    lines = [f"line {number} " + "x" * 100 for number in range(30_000)]
    add(log, "\n".join(lines).encode() + b"\nhalf")
    tail = LogTail(log)
    blocks = list(tail.blocks())
    assert len(blocks) > 2 and [line for block in blocks for line in block] == lines
    add(log, b" more\n")
    assert tail.read() == ["half more"]


def test_a_line_longer_than_a_block(log: Path) -> None:
    add(log, b"x" * (3 << 20) + b"\nshort\n")
    assert [len(line) for line in LogTail(log).read()] == [3 << 20, 5]


def test_a_line_without_end_is_read_once(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again at every look, and not kept: a log of gigabytes may have no line break at all."""
    with log.open("wb") as out:
        out.truncate(8 * LONGEST_TAIL)
    tail = LogTail(log)
    assert tail.read() == [] and tail.offset > 7 * LONGEST_TAIL
    read: list[int] = []
    shortened = LogTail._shortened

    def counted(self: LogTail, half: list[bytes]) -> list[bytes]:
        read.append(sum(map(len, half)))
        return shortened(self, half)

    monkeypatch.setattr(LogTail, "_shortened", counted)
    assert tail.read() == [] and max(read) <= LONGEST_TAIL, "the end of it alone"
    with log.open("ab") as out:
        out.write(b"\rend\nnext\n")
    assert tail.read() == ["end", "next"]


def test_a_log_of_five_gigabytes(log: Path, record_fault: RecordFault) -> None:
    with log.open("wb") as out:
        out.write(b"first\n")
        out.truncate(5 << 30)
        out.seek(0, 2)
        out.write(b"\nlast\n")
    assert last_lines(log, 1) == ["last"]
    tail = LogTail(log, offset=(5 << 30) - 1000)
    assert tail.read()[-1] == "last"
    record_fault("a log of 5 GB", "", "", "its end is read, and what was read is not read again")
