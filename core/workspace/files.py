"""Files that are never half-written: made beside their place, then renamed into it.

What is read, changed and written back is changed under a lock: of two people, or two processes, at once
neither undoes what the other did.
"""

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from filelock import FileLock, Timeout

from core.errors import DamagedFile
from core.workspace.presence import ensure_folder

# Who holds a lock only reads and writes a small file; seconds.
LOCK_TIMEOUT = 30.0
# How often a file may be replaced by others while it is opened and read.
REPLACED = 20


# What code meets in a file whose values are of other kinds than it expects.
ODD = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)

# How the text begins that stands in a file's place until "git lfs pull" fetches it.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def write_json(path: Path, value: object) -> None:
    """Write one JSON value. Raises OSError with the file's name (a full disk); the old file then stays as it
    was."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    _replace(path, lambda stream: stream.write(text))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file line by line, whole."""
    _replace(path, lambda stream: stream.writelines(f"{line}\n" for line in lines))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is no text, whole."""
    _replace(path, lambda stream: stream.buffer.write(content))


def read_json(path: Path) -> Any | None:
    """The JSON value in a file; None when there is no such file. Raises DamagedFile."""
    try:
        return json.loads(read_bytes(path).decode())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise DamagedFile(path=path) from error


def read_bytes(path: Path) -> bytes:
    """What is in a file. Raises DamagedFile for what is none (a folder, a pipe, a device), OSError.

    Where another machine replaces it meanwhile, a network's disk (NFS) takes it away from whoever has opened
    it: what stands in its place is read.
    """
    for _ in range(REPLACED):
        try:
            return _read_bytes(path)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
        path.stat()  # Linux forgets the name that it still remembers; opening it would not do that
    return _read_bytes(path)


def _read_bytes(path: Path) -> bytes:
    try:
        # Nobody waits for who writes into a pipe; of a file it means nothing.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENXIO, errno.ENODEV}:  # a socket, or a device that is not there
            raise DamagedFile(path=path) from error
        raise
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise DamagedFile(path=path)
        with open(file, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(file)


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None when there is no such file. Raises DamagedFile, also for other JSON."""
    found = read_json(path)
    if found is not None and not isinstance(found, dict):
        raise DamagedFile(path=path)
    return found


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON file that holds one object; None when it is not there or was not written by this program."""
    try:
        found = read_json(path)
    except DamagedFile:
        return None
    return found if isinstance(found, dict) else None


# What tells one state of some files from another, without reading them; hashable.
Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]


def stamp(*files: Path) -> Stamp:
    """The files that are there with modification time (ns), size and inode: another file under the same path
    has another stamp, so that what is remembered of a path is remembered of what stood there."""
    found = []
    for file in files:
        with suppress(OSError):
            about = file.stat()
            found.append((str(file), about.st_mtime_ns, about.st_size, about.st_ino))
    return tuple(sorted(found))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file against everybody else who changes it this way, in whichever process; not reentrant.

    Readers need no lock. Raises OSError: where no lock can be made, or when it is not free after 30 s.
    """
    ensure_folder(path.parent)
    with held(path.with_name(f".{path.name}.lock"), LOCK_TIMEOUT):
        yield


@contextmanager
def held(lock: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a lock, for which this waits ``timeout`` seconds, or as long as it takes.

    Raises OSError with the lock's name: EBUSY when it is not free in time, else why no lock can be made there
    (a disk without locks, a folder that cannot be written). The system's own error of a lock names no file.
    """
    file = FileLock(lock, timeout=timeout)
    try:
        file.acquire()
    except Timeout as error:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(lock)) from error
    except OSError as error:
        error.filename = str(lock)
        raise
    try:
        yield
    finally:
        file.release()


def change_record(path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write what ``edit`` makes of a JSON object as it stands now; of none, of an empty one.

    Raises DamagedFile for a file that is not JSON, which stays as it is; OSError.
    """
    with locked(path):
        found = read_json(path)
        write_json(path, edit(found if isinstance(found, dict) else {}))


def is_endless(path: Path) -> bool:
    """Whether a pipe or a device stands in a file's place, perhaps behind a link (to /dev/zero, which any
    archive can hold): whoever reads it waits, or fills the memory, for ever."""
    with suppress(OSError):
        mode = path.stat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def is_lfs_pointer(file: Path) -> bool:
    """Whether Git LFS left only a pointer in a file's place. Raises OSError."""
    with file.open("rb") as stream:
        return stream.read(len(LFS_POINTER)) == LFS_POINTER


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, which others may be writing; 0 when it is not there."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):  # renamed at this moment
            total += file.stat().st_size if file.is_file() else 0
    return total


def _replace(path: Path, fill: Callable[[TextIO], object]) -> None:
    try:
        ensure_folder(path.parent)
        _write_beside(path, fill)
    except OSError as error:
        error.filename = str(path)  # write() does not know it
        raise


def _write_beside(path: Path, fill: Callable[[TextIO], object]) -> None:
    """Not with tempfile: its files are their owner's alone whatever the process's umask says, which knows of
    workspaces that are shared with a group (core.workspace.private)."""
    partial = path.with_name(f".{path.name[:20]}.{secrets.token_hex(4)}")
    try:
        with partial.open("x", encoding="utf-8") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
