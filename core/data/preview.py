"""A data set as a person wants to see it: any page of its rows."""

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from core.data.conversations import Conversation, from_row
from core.errors import DamagedFile

BLOCK = 1 << 24
# Enough rows for a histogram; a million would take a minute to encode.
SAMPLED = 2000

Offsets: TypeAlias = npt.NDArray[np.int64]


def row_offsets(path: Path) -> Offsets:
    """Where each line of a JSON lines file begins, in bytes: 8 bytes a row, 0.3 s a million."""
    found, position = [np.zeros(1, np.int64)], 0
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            found.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + position + 1)
            position += len(block)
    starts = np.concatenate(found)
    return starts[starts < position]


def read_page(path: Path, offsets: Offsets) -> list[Conversation]:
    """The conversations that begin at these offsets of a rows file. Raises DamagedFile."""
    try:
        with path.open("rb") as stream:
            return [from_row(json.loads(_line_at(stream, int(offset)))) for offset in offsets]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedFile(path=path) from error


def sampled(offsets: Offsets, count: int = SAMPLED) -> Offsets:
    """At most ``count`` offsets, spread evenly over the file."""
    if len(offsets) <= count:
        return offsets
    return offsets[np.linspace(0, len(offsets) - 1, count).astype(np.int64)]


def _line_at(stream: Any, offset: int) -> bytes:
    stream.seek(offset)
    line: bytes = stream.readline()
    return line
