"""What a child with limits is asked to do in tests."""

import os
from pathlib import Path

from core.errors import Unreadable


def add(one: int, two: int) -> int:
    return one + two


def loop() -> None:
    while True:
        pass


def fill() -> int:
    return len(bytearray(1 << 30))


def refuse() -> None:
    raise Unreadable(path="x", reason="y")


def write(path: str) -> None:
    Path(path).write_bytes(bytes(2000))


def environment() -> str:
    return str(dict(os.environ))
