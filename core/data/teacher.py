"""What a base model would say at each place of the answers that are replayed, in a file beside the rows.

Of every replayed row the tokens, and for each token of its answer the base's likeliest next tokens with their
log-probabilities and that of all others together. Training then keeps to the base without computing it again
(:mod:`core.engine.teacher`), and knows its replayed rows by their tokens. Where the limit cut an answer off,
the template ends it in the row and the base goes on: that place counts too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.data.encoder import TokenRow
from core.workspace.files import write_bytes

# With so many, 0.08 of the probability is left for the rest on the starter's answers (docs/decisions.md).
LIKELIEST = 20
# Changes when an earlier file would be read for something else than it is.
FORMAT = "1"
Numbers: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class TeacherRow:
    """One replayed row: ``ids`` (tokens) and which of them are ``trained``. For each of the n trained ones
    but a first token, which nothing comes before: ``likeliest`` (n, k) next tokens, and ``logs`` (n, k + 1),
    their log-probabilities with that of all others last, float16: what it rounds off a probability is under
    0.0002."""

    ids: Numbers
    trained: Numbers
    likeliest: Numbers
    logs: Numbers

    @property
    def key(self) -> bytes:
        return key_of(self.ids, self.trained)

    def cut(self, limit: int) -> "TeacherRow":
        """As a training has it whose rows end after ``limit`` tokens."""
        if len(self.ids) <= limit:
            return self
        places = said_at(self.trained[:limit])
        return TeacherRow(self.ids[:limit], self.trained[:limit], self.likeliest[:places], self.logs[:places])

    def said_in(self, row: TokenRow) -> "TeacherRow | None":
        """The same of the same answer in another row, after other messages; None where it is another."""
        ids, trained = np.array(row.ids, np.int32), np.array(row.trained, np.bool_)
        if not np.array_equal(self.ids[self.trained], ids[trained]) or said_at(trained) != len(self.logs):
            return None
        return TeacherRow(ids, trained, self.likeliest, self.logs)


def key_of(ids: Sequence[int] | Numbers, trained: Sequence[bool] | Numbers) -> bytes:
    """What tells one row from another: its tokens, and which of them are trained."""
    return np.asarray(ids, np.int32).tobytes() + np.packbits(np.asarray(trained, np.bool_)).tobytes()


def said_at(trained: Sequence[bool] | Numbers) -> int:
    """At how many places of a row a trained token is said."""
    return int(np.count_nonzero(np.asarray(trained, np.bool_)[1:]))


Teacher: TypeAlias = dict[bytes, TeacherRow]


def by_key(rows: Iterable[TeacherRow]) -> Teacher:
    """Rows by what tells them apart."""
    return {row.key: row for row in rows}


def part_of(teacher: Teacher, rows: Iterable[TokenRow]) -> Teacher:
    """Of ``rows`` those that the teacher knows."""
    keys = (key_of(row.ids, row.trained) for row in rows)
    return {key: teacher[key] for key in dict.fromkeys(keys) if key in teacher}


def write_teacher(path: Path, teacher: Teacher) -> None:
    """Write the rows into one safetensors file, whole or not at all. Raises OSError."""
    write_bytes(path, as_bytes(teacher))


def as_bytes(teacher: Teacher) -> bytes:
    """The rows as one safetensors file."""
    rows = [*teacher.values()]
    width = max((row.likeliest.shape[1] for row in rows), default=1)
    largest = max(
        (int(found.max(initial=0)) for row in rows for found in (row.ids, row.likeliest)), default=0
    )
    number = np.uint16 if largest < 2**16 else np.uint32
    tensors = {
        "lengths": np.array([len(row.ids) for row in rows], np.uint32),
        "ids": _joined([row.ids for row in rows], number),
        "trained": _joined([row.trained for row in rows], np.uint8),
        "likeliest": _joined([row.likeliest for row in rows], number).reshape(-1, width),
        "logs": _joined([row.logs for row in rows], np.float16).reshape(-1, width + 1),
    }
    content: bytes = save(tensors, {"format": FORMAT})
    return content


def _joined(parts: Sequence[Numbers], kind: Any) -> Numbers:
    return np.concatenate([np.empty(0, kind), *(part.astype(kind).ravel() for part in parts)])


def read_teacher(path: Path) -> Teacher:
    """The rows that :func:`write_teacher` wrote; none of a file that is not there, is damaged or of another
    kind: what it held can be made again."""
    try:
        return from_bytes(path.read_bytes())
    except OSError:
        return {}


def from_bytes(content: bytes) -> Teacher:
    """The rows of :func:`as_bytes`; none of anything else."""
    try:
        found = load(content)
        lengths = found["lengths"].astype(np.int64)
        ids, trained = found["ids"].astype(np.int32), found["trained"].astype(np.bool_)
        likeliest, logs = found["likeliest"].astype(np.int32), found["logs"]
        ends = np.cumsum(lengths)
        told = np.cumsum(
            [0, *(said_at(trained[end - size : end]) for end, size in zip(ends, lengths, strict=True))]
        )
        whole = len(ids) == len(trained) == lengths.sum() and len(likeliest) == len(logs) == told[-1]
        if not whole or logs.shape[1] != likeliest.shape[1] + 1:
            return {}
    except (SafetensorError, KeyError, ValueError, IndexError):
        return {}
    return by_key(
        TeacherRow(ids[end - size : end], trained[end - size : end], likeliest[first:last], logs[first:last])
        for end, size, first, last in zip(ends, lengths, told[:-1], told[1:], strict=True)
    )
