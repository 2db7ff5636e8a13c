"""Cutting a file's rows into blocks whose ends depend on what they hold, and keeping each block's check.

A row that is put in or changed moves the ends of few blocks: all others are known by their content.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np

from core.data.checking.block import Block, Checker, Settings
from core.data.reading.keeping import used
from core.data.reading.source import Source
from core.data.reading.structure import Spans
from core.workspace.data_paths import SourceCache

LEAST_ROWS, MEAN_ROWS, MOST_ROWS = 64, 1024, 2048
MOST_BYTES = 8 << 20
_ARRAYS = ("usable", "turns", "asked", "said", "learned", "digests", "signatures")
_LISTS = ("languages", "faults", "claims", "unread", "harmless")


@dataclass(frozen=True)
class BlockRows:
    """The rows of one block: where they are, and the number of the first in the whole source, from 0."""

    plain: Path
    first: int
    spans: Spans

    @property
    def size(self) -> int:
        """Bytes."""
        return int((self.spans[:, 1] - self.spans[:, 0]).sum())


def tasks(source: Source) -> Iterator[BlockRows]:
    """All rows of a source in blocks, in their order."""
    for start, part in zip(source.starts, source.parts, strict=False):
        spans = np.asarray(part.spans)
        for first, end in block_ends(spans):
            yield BlockRows(part.plain, start + first, spans[first:end])


def block_ends(spans: Spans) -> Iterator[tuple[int, int]]:
    """(first, end) of every block of rows: a block ends where the lengths of three rows say so."""
    lengths = (spans[:, 1] - spans[:, 0]).astype(np.uint64)
    mixed = lengths * np.uint64(0x9E3779B97F4A7C15)
    mixed[1:] ^= lengths[:-1] * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed[2:] ^= lengths[:-2] * np.uint64(0x165667B19E3779F9)
    wished = np.flatnonzero((mixed >> np.uint64(32)) % np.uint64(MEAN_ROWS) == 0) + 1
    sizes = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    first = 0
    while first < len(spans):
        most = min(first + MOST_ROWS, int(np.searchsorted(sizes, sizes[first] + MOST_BYTES, "right")) - 1)
        most = min(max(most, first + 1), len(spans))
        place = int(np.searchsorted(wished, first + LEAST_ROWS))
        end = min(most, int(wished[place])) if place < len(wished) else most
        yield first, end
        first = end


class Worker:
    """Checks tasks, or finds their checks of an earlier time."""

    def __init__(self, settings: Settings, cache: SourceCache) -> None:
        self.settings, self.cache = settings, cache
        self._checker: Checker | None = None

    def check(self, task: BlockRows) -> Block:
        rows = _rows(task)
        digest = hashlib.blake2b(b"\0\n".join(rows), digest_size=16).hexdigest()
        kept = self.cache.block(self.settings.key, digest)
        if (known := _read(kept, len(rows))) is not None:
            used(kept)
            return known
        if self._checker is None:  # a second look may need no tokenizer at all
            self._checker = Checker(self.settings)
        block = self._checker.check(rows)
        with suppress(OSError):  # a full disk only makes the next check slower
            _write(kept, block)
        return block


def _rows(task: BlockRows) -> list[bytes]:
    """The bytes of a block's rows, read at once where they lie together."""
    begin, end = int(task.spans[0, 0]), int(task.spans[-1, 1])
    with task.plain.open("rb") as stream:
        stream.seek(begin)
        data = stream.read(end - begin)
    return [data[start - begin : stop - begin] for start, stop in task.spans.tolist()]


def _write(path: Path, block: Block) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lists = json.dumps({name: getattr(block, name) for name in _LISTS}).encode()
    arrays: dict[str, Any] = {name: getattr(block, name) for name in _ARRAYS}
    partial = path.with_name(f".{uuid4().hex}.npz")
    try:
        np.savez(partial, lists=np.frombuffer(lists, np.uint8), **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path, rows: int) -> Block | None:
    """A block as it was kept; None when there is none, or when it is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            lists = json.loads(kept["lists"].tobytes())
            block = Block(**{name: kept[name] for name in _ARRAYS}, **_as_tuples(lists))
        return block if len(block.usable) == rows else None
    return None


def _as_tuples(lists: dict[str, Any]) -> dict[str, Any]:
    return {
        "languages": list(lists["languages"]),
        "faults": [tuple(fault) for fault in lists["faults"]],
        "claims": [tuple(claim) for claim in lists["claims"]],
        "unread": {key: (int(rows), str(example)) for key, (rows, example) in lists["unread"].items()},
        "harmless": list(lists["harmless"]),
    }
