"""A data set that is made step by step: every operation writes a new version beside the others.

A version is a file of rows named by the hash of its content, and is never changed; ``set.json`` lists what
was done in which order, and which version counts. Undoing only says that a version's parent counts again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.data.conversations import Conversation, as_row, from_row
from core.data.sets import SetPaths, made_sets, place_of
from core.errors import DamagedFile, NoSuchSet, NoSuchVersion
from core.wording import did_you_mean
from core.workspace.files import locked, read_json, write_json, write_text
from core.workspace.paths import Workspace, make_folder

DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Version:
    """One operation and what came out: ``rows`` of them, in a file named ``digest``.

    ``number`` counts from 0; ``parent`` is the number of the version it was made from, None for an empty set.
    ``made_at`` is ISO 8601 in UTC.
    """

    number: int
    parent: int | None
    digest: str
    operation: str
    settings: Mapping[str, Any]
    rows: int
    made_at: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Made:
    """A data set: its versions in the order they were made, and the one that counts (None: an empty set)."""

    name: str
    versions: tuple[Version, ...] = ()
    current: Version | None = None


def open_set(workspace: Workspace, name: str) -> SetPaths:
    """The data set called ``name``. Raises NoSuchSet."""
    place = place_of(workspace, name)
    if not place.about.exists():
        raise NoSuchSet(name=name, workspace=workspace.root, near=_near_sets(workspace, name))
    return place


def _near_sets(workspace: Workspace, name: str) -> str:
    known = {read_set(place).name: (place.root.name,) for place in made_sets(workspace)}
    return did_you_mean(name, known)


def make_set(workspace: Workspace, name: str) -> SetPaths:
    """The data set called ``name``, made if it is not there. Raises NotWritable."""
    place = place_of(workspace, name)
    make_folder(place.root, exist_ok=True)
    with locked(place.about):
        if not place.about.exists():
            _write(place, Made(name))
    return place


def read_set(place: SetPaths) -> Made:
    """Raises DamagedFile."""
    found = read_json(place.about) or {"name": place.root.name}
    versions = tuple(Version(**version) for version in found.get("versions", ()))
    current = found.get("current")
    return Made(found["name"], versions, None if current is None else versions[current])


def rows_of(place: SetPaths, version: Version | None = None) -> list[Conversation]:
    """The conversations of a version, by default of the one that counts; none of an empty set.

    Raises DamagedFile for one that was changed by another hand.
    """
    version = version or read_set(place).current
    if version is None:
        return []
    file = place.version(version.digest)
    try:
        # Not splitlines: a conversation may hold U+2028 and its like as they are.
        lines = file.read_text(encoding="utf-8").split("\n")
        return [from_row(json.loads(line)) for line in lines if line]
    except (ValueError, LookupError, TypeError) as error:
        raise DamagedFile(path=file) from error


def rows_file(place: SetPaths) -> Path | None:
    """The file of the version that counts; None of an empty set."""
    current = read_set(place).current
    return place.version(current.digest) if current and current.rows else None


def add_version(
    place: SetPaths, rows: Sequence[Conversation], operation: str, settings: Mapping[str, Any]
) -> Version:
    """Write a new version and let it count. What changes nothing adds none. Raises OSError."""
    with locked(place.about):
        return _add(place, rows, operation, settings)


def change(
    place: SetPaths,
    edit: Callable[[list[Conversation]], Sequence[Conversation]],
    operation: str,
    settings: Mapping[str, Any],
) -> Version | None:
    """Let what ``edit`` makes of the rows that count now count from now on: of two people at once the second
    one's rows are made of the first one's. None for an empty set that stays empty.

    Raises DamagedFile, OSError.
    """
    with locked(place.about):
        rows = rows_of(place)
        changed = list(edit(rows))
        return read_set(place).current if changed == rows else _add(place, changed, operation, settings)


def hold_back(
    place: SetPaths,
    edit: Callable[[list[Conversation]], tuple[Sequence[Conversation], Sequence[Conversation]]],
    settings: Mapping[str, Any],
) -> tuple[Version, Version]:
    """Part the rows in two by ``edit``: those that count from now on, and those kept beside them.

    Returns the version of each. Raises DamagedFile, OSError.
    """
    with locked(place.about):
        kept, held = edit(rows_of(place))
        aside = _set_aside(place, held, "held_back", settings)
        return _add(place, kept, "split", {**settings, "held_back": aside.digest}), aside


def set_aside(
    place: SetPaths, rows: Sequence[Conversation], operation: str, settings: Mapping[str, Any]
) -> Version:
    """Write a new version beside the one that counts, which goes on to count. Raises OSError."""
    with locked(place.about):
        return _set_aside(place, rows, operation, settings)


def _add(
    place: SetPaths, rows: Sequence[Conversation], operation: str, settings: Mapping[str, Any]
) -> Version:
    version = _set_aside(place, rows, operation, settings)
    made = read_set(place)
    _write(place, Made(made.name, made.versions, version))
    return version


def _set_aside(
    place: SetPaths, rows: Sequence[Conversation], operation: str, settings: Mapping[str, Any]
) -> Version:
    text = "".join(json.dumps(as_row(row), ensure_ascii=False) + "\n" for row in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
    made = read_set(place)
    if made.current and made.current.digest == digest:
        return made.current
    write_text(place.version(digest), text)
    parent = made.current.number if made.current else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    version = Version(len(made.versions), parent, digest, operation, dict(settings), len(rows), now)
    _write(place, Made(made.name, (*made.versions, version), made.current))
    return version


def undo(place: SetPaths) -> Made:
    """Let the version before the current one count again. Raises NoSuchVersion when there is none."""
    with locked(place.about):
        made = read_set(place)
        if made.current is None:
            raise NoSuchVersion(version="–", name=made.name)
        parent = made.current.parent
        back = Made(made.name, made.versions, None if parent is None else made.versions[parent])
        _write(place, back)
    return back


def go_to(place: SetPaths, digest: str) -> Made:
    """Let the version whose hash begins with ``digest`` count. Raises NoSuchVersion."""
    with locked(place.about):
        made = read_set(place)
        found = [version for version in made.versions if digest and version.digest.startswith(digest)]
        if not found:
            raise NoSuchVersion(version=digest, name=made.name)
        there = Made(made.name, made.versions, found[-1])
        _write(place, there)
    return there


def _write(place: SetPaths, made: Made) -> None:
    current = made.current.number if made.current else None
    versions = [version.as_json() for version in made.versions]
    write_json(place.about, {"name": made.name, "current": current, "versions": versions})
