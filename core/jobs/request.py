"""What a job is asked for: a dataclass, written into its folder's ``request.json`` and read back whole.

A dataclass that is a request says ``@with_config(extra="forbid")``: a key that it does not know is an error,
not a wish that is silently dropped.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError, with_config

from core.errors import DamagedFile, NoSuchJob
from core.jobs.job import JobPaths

# ``python -m core --job FOLDER`` does what the folder's request.json asks for; it is no option for people.
JOB = "--job"
Request = TypeVar("Request")


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
    found: dict[str, Any] = TypeAdapter(type(request)).dump_python(request, mode="json")
    return found


def of_record(kind: type[Request], found: object) -> Request:
    """The request of :func:`as_record`. Raises ValueError for what is missing, unknown or of another type."""
    made: Request = TypeAdapter(kind).validate_json(json.dumps(found), strict=True)
    return made


def read_request(kind: type[Request], folder: Path) -> Request:
    """What the job in ``folder`` was asked for. Raises NoSuchJob where nothing was written, DamagedFile."""
    path = JobPaths(folder).request
    try:
        made: Request = TypeAdapter(kind).validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError as error:
        raise NoSuchJob(folder=folder) from error
    except ValidationError as error:
        raise DamagedFile(path=path) from error
    return made
