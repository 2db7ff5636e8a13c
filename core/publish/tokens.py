"""Hub tokens: asked once, kept in the system's keyring, or without one in a file only its owner reads.

A token is never an argument of a program, a line of a log or a part of a recipe: whoever needs it reads it
here, in the process that speaks with the hub.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.errors import TokenNotKept, reason_of
from core.publish.request import HUBS, To
from core.workspace.files import locked, read_record
from core.workspace.publish_paths import token_file

SERVICE = "tuneboard"


def keep(hub: To, token: str) -> str:
    """Keep a token; returns where, ``keyring`` or the file's path. Raises TokenNotKept, OSError."""
    if (ring := _keyring()) is not None:
        with suppress(Exception):  # a locked or broken keyring: each has errors of its own
            ring.set_password(SERVICE, hub, token)
            _drop(hub)
            return "keyring"
    with _changing():
        _write({**_read(), hub: token})
    return str(token_file())


def read(hub: To) -> str | None:
    """The token kept for a hub."""
    if (ring := _keyring()) is not None:
        with suppress(Exception):
            if found := ring.get_password(SERVICE, hub):
                return str(found)
    return _read().get(hub)


def forget(hub: To) -> None:
    """Drop the token of a hub. Raises OSError."""
    if (ring := _keyring()) is not None:
        with suppress(Exception):
            ring.delete_password(SERVICE, hub)
    _drop(hub)


def kept() -> list[str]:
    """Every secret that is kept, to look for them in what is about to leave."""
    return [secret for hub in HUBS for secret in kept_secrets(hub)]


def kept_secrets(hub: To) -> list[str]:
    """The token of a hub, or each of its two keys."""
    return (read(hub) or "").split()


def _keyring() -> Any | None:
    """The system's keyring; None on a machine that has none (most servers)."""
    import keyring  # 0.1 s
    from keyring.backends import fail, null

    found = keyring.get_keyring()
    return None if isinstance(found, fail.Keyring | null.Keyring) else found


def _drop(hub: To) -> None:
    if token_file().exists():
        with _changing():
            _write({name: kept for name, kept in _read().items() if name != hub})


@contextmanager
def _changing() -> Iterator[None]:
    """Hold the file, in a folder that only its owner enters: two hubs' tokens may be kept at once.

    Raises TokenNotKept where there can be no such folder.
    """
    folder = token_file().parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise TokenNotKept(folder=folder, reason=reason_of(error)) from error
    with locked(token_file()):
        yield


def _read() -> dict[str, str]:
    return {str(hub): str(token) for hub, token in (read_record(token_file()) or {}).items()}


def _write(tokens: dict[str, str]) -> None:
    """Never readable by others, not for a moment: the file is made with its mode."""
    file = token_file()
    if not tokens:
        file.unlink(missing_ok=True)
        return
    partial = Path(f"{file}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(tokens, stream)
    partial.replace(file)
