"""The SHA-256 of large files, each read once for each state of it and then remembered in the workspace.

A state is a file's size, inode, and times of its last change: of its content, and of anything about it, which
nobody can set back. Reading takes a second for each gigabyte or two, as the disk is.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.workspace.checksums import hashed
from core.workspace.files import locked, read_record, write_json
from core.workspace.paths import Workspace


def known_hashes(workspace: Workspace, files: Iterable[Path]) -> dict[Path, str]:
    """The hashes of those of the ``files`` that are there. Raises OSError for one that cannot be read."""
    known = read_record(workspace.hashes) or {}
    found, new = {}, {}
    for file in files:
        if (state := _state(file)) is None:
            continue
        before = known.get(str(file))
        if isinstance(before, list) and before[:-1] == state and before[-1:]:
            found[file] = str(before[-1])
            continue
        found[file] = hashed(file)
        new[str(file)] = [*state, found[file]]
    if new:
        with suppress(OSError), locked(workspace.hashes):  # where nothing can be written it is read again
            write_json(workspace.hashes, _still_there({**(read_record(workspace.hashes) or {}), **new}))
    return found


def _state(file: Path) -> list[int] | None:
    with suppress(FileNotFoundError):
        about = file.stat()
        return [about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns]
    return None


def _still_there(known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if Path(name).exists()}
