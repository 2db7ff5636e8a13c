"""What a job is asked for: a dataclass, written into its folder's ``request.json`` and read back whole.

A dataclass that is a request says ``@with_config(extra="forbid")``: a key that it does not know is an error,
not a wish that is silently dropped.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, with_config

from core.errors import DamagedFile, NoSuchFile, NoSuchJob
from core.jobs.job import JobPaths
from core.workspace.files import is_endless

# ``python -m core --job FOLDER`` does what the folder's request.json asks for; it is no option for people.
JOB = "--job"
Request = TypeVar("Request")
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


@with_config(extra="forbid")
@dataclass(frozen=True)
class Call:
    """The request of a job that runs a command as the command line would: ``asked`` is its own dataclass as
    JSON's types, ``run`` the run it is about, empty where it is about none."""

    command: str
    workspace: Path
    asked: dict[str, Any]
    run: str = ""


def as_record(request: object) -> dict[str, Any]:
    """A request as JSON's own types, paths as text."""
    found: dict[str, Any] = _adapter(type(request)).dump_python(request, mode="json")
    return found


def of_record(kind: type[Request], found: object) -> Request:
    """The request of :func:`as_record`. Raises ValueError for what is missing, unknown or of another type."""
    return _of_json(kind, json.dumps(found).encode())


def read_request(kind: type[Request], folder: Path) -> Request:
    """What the job in ``folder`` was asked for. Raises NoSuchJob where nothing was written, DamagedFile."""
    try:
        return read_record_of(kind, JobPaths(folder).request)
    except NoSuchFile as error:
        raise NoSuchJob(folder=folder) from error


def read_record_of(kind: type[Request], path: Path) -> Request:
    """The dataclass that a JSON file holds. Raises NoSuchFile, DamagedFile."""
    if is_endless(path):
        raise DamagedFile(path=path)
    try:
        return _of_json(kind, path.read_bytes())
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except ValueError as error:
        raise DamagedFile(path=path) from error


def _of_json(kind: type[Request], content: bytes) -> Request:
    """Raises ValueError, also for NUL: no path, no argument and no name of a file can hold it."""
    if re.search(rb"(?<!\\)(?:\\\\)*\\u0000", content):
        raise ValueError("NUL in a text")
    made: Request = _adapter(kind).validate_json(content, strict=True)
    return made


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Made once for each kind: that takes longer than reading a request, which every look at a page does."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
