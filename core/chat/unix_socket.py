"""Asking a program on this machine through a Unix socket, which no other user and no web page can reach."""

import http.client
import socket
from contextlib import closing, suppress
from pathlib import Path

from core.workspace.paths import SOCKET_FOLDER

TIMEOUT = 1.0


class LocalConnection(http.client.HTTPConnection):
    """HTTP to whoever listens on the Unix socket ``file``."""

    def __init__(self, file: str, timeout: float = TIMEOUT) -> None:
        super().__init__("localhost", timeout=timeout)
        self.file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.file)


def check_listening(file: str) -> None:
    """Raises OSError when nobody listens there."""
    with closing(LocalConnection(file)) as connection:
        connection.connect()


def is_healthy(file: str) -> bool:
    """Whether ``GET /health`` is answered with 200."""
    connection = LocalConnection(file)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def remove_socket(file: str) -> None:
    """Clear away a place made by ``core.workspace.paths.new_socket``; nothing for any other."""
    place = Path(file)
    if place.parent.name.startswith(SOCKET_FOLDER):
        with suppress(OSError):
            place.unlink(missing_ok=True)
            place.parent.rmdir()
