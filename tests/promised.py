"""What a command printed with ``--json``, held against its schema in ``docs/json``."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from core.cli.arguments import grouped
from core.cli.parser import COMMANDS
from core.workspace.paths import PROJECT

HELD: set[str] = set()  # the commands whose output this process has seen


def command_of(arguments: Sequence[str]) -> str:
    """The command that a command line asks for, whatever stands before it."""
    return next(word for word in grouped(list(arguments), COMMANDS) if word in COMMANDS)


def hold(arguments: Sequence[str], found: Any) -> Any:
    """``found`` without its version. Fails when it is not as promised, or has a key that is not named."""
    command = command_of(arguments)
    wrong = [f"{error.json_path}: {error.message}" for error in _schema(command).iter_errors(found)]
    assert not wrong, f"{command} --json: {wrong[:5]}"
    HELD.add(command)
    if isinstance(found, list):
        return found
    return {key: value for key, value in found.items() if key != "schema"}


@cache
def _schema(command: str) -> Draft202012Validator:
    file = PROJECT / "docs" / "json" / f"{command.replace(' ', '-')}.schema.json"
    return Draft202012Validator(_closed(json.loads(file.read_text(encoding="utf-8"))))


def _closed(schema: Any) -> Any:
    """The same where no object has a key that is not named."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if "properties" in schema else closed
