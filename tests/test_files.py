"""Files: whole or not there, whatever happens while they are written."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from core.errors import DamagedFile
from core.workspace import files
from core.workspace.files import change_record, read_json, write_json, write_lines, write_text
from core.workspace.paths import PROJECT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "工作 区" / "a b" / "文件.json"


@pytest.mark.parametrize("value", [None, 0, "👩‍🔧 \u2028 \\ \"'", [1, {"a": []}], {"路径": "x"}])
def test_json_there_and_back(file: Path, value: object) -> None:
    write_json(file, value)
    assert read_json(file) == value
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_json_does_not_know_is_written_as_text(file: Path) -> None:
    write_json(file, {"path": Path("/a b")})
    assert read_json(file) == {"path": "/a b"}


def test_a_file_that_is_not_there(file: Path) -> None:
    assert read_json(file) is None


def test_a_file_that_another_machine_replaces_meanwhile_is_read_as_it_is_then(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS takes it away from whoever has opened it; not for ever."""
    write_json(file, 1)
    stale, read = [OSError(errno.ESTALE, os.strerror(errno.ESTALE)) for _ in range(5)], files._read_bytes

    def read_late(path: Path) -> bytes:
        if stale:
            raise stale.pop()
        return read(path)

    monkeypatch.setattr(files, "_read_bytes", read_late)
    monkeypatch.setattr(files, "REPLACED", 2)
    with pytest.raises(OSError, match="Stale"):
        read_json(file)
    assert read_json(file) == 1 and not stale


@pytest.mark.parametrize("content", ["", "{", "[1] x", "\udcff"])
def test_a_damaged_file_is_named(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DamagedFile) as caught:
        read_json(file)
    assert str(file) in str(caught.value)


def test_lines_are_lines(file: Path) -> None:
    write_lines(file, (f"行 {n}" for n in range(3)))
    assert file.read_text(encoding="utf-8") == "行 0\n行 1\n行 2\n"
    write_lines(file, [])
    assert file.read_bytes() == b""


def test_a_long_name(tmp_path: Path) -> None:
    file = tmp_path / ("张" * 80 + ".json")
    write_json(file, 1)
    assert read_json(file) == 1


def failing() -> Iterator[str]:
    yield "first"
    raise RuntimeError("in the middle")


@pytest.mark.parametrize("before", ["old", None])
def test_a_failure_leaves_the_old_file_and_nothing_else(file: Path, before: str | None) -> None:
    if before:
        write_text(file, before)
    for error, fill in ((RuntimeError, failing()), (UnicodeEncodeError, iter(["\ud800"]))):
        with pytest.raises(error):
            write_lines(file, fill)
    assert [p.name for p in file.parent.iterdir()] == ([file.name] if before else [])
    assert not before or file.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("limit", [0, 4096])
def test_a_full_disk_names_the_file(file: Path, limit: int) -> None:
    """A limit on file size, in a process of its own, ends a write as a full disk does."""
    write_text(file, "old")
    program = """
import resource, sys
from pathlib import Path
from core.workspace.files import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_text(Path(sys.argv[1]), "x" * 1_000_000)
except OSError as error:
    print(error.filename)
"""
    line = [sys.executable, "-c", program, str(file), str(limit)]
    done = subprocess.run(line, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{file}\n", done.stderr
    assert file.read_text(encoding="utf-8") == "old" and len(list(file.parent.iterdir())) == 1


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    for file in (tmp_path / "plain" / "x.json", tmp_path):
        with pytest.raises(OSError, match=str(file)):
            write_json(file, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_who_reads_meanwhile_sees_one_or_the_other(file: Path) -> None:
    """Readers beside a writer never see half a file, nor none."""
    values = [{"n": n, "x": str(n) * 50_000} for n in range(2)]
    write_json(file, values[0])
    done = threading.Event()
    seen: list[object] = []

    def read() -> None:
        while not done.is_set():
            seen.append(json.loads(file.read_text(encoding="utf-8")))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        write_json(file, values[turn % 2])
    done.set()
    reader.join()
    assert seen and all(value in values for value in seen)


def test_new_files_have_the_modes_that_this_process_gives(file: Path) -> None:
    """mkstemp would make them the owner's alone, in a workspace that is shared with a group as well."""
    before = os.umask(0o022)
    try:
        write_text(file, "x")
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_lock_that_cannot_be_made_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of the network without locks: the system's error names no file."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError) as found:
        change_record(file, dict)
    assert found.value.errno == errno.ENOLCK and found.value.filename == str(
        file.with_name(f".{file.name}.lock")
    )


def test_a_lock_that_is_not_free_in_time_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.1)
    lock = file.with_name(f".{file.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock), pytest.raises(OSError) as found:
        change_record(file, dict)
    assert found.value.errno == errno.EBUSY and found.value.filename == str(lock)
    change_record(file, lambda _: {"free": True})
    assert read_json(file) == {"free": True}
