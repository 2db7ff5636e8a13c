"""Which tables of a file or a folder are read: those that a person names, else those that look alike."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.data.formats.names import plain
from core.data.formats.shapes import shape_of
from core.data.reading.parse import parse_row
from core.data.reading.part import Part
from core.errors import NoSuchSheet
from core.wording import say

ALL = "all"
# Splits that are kept apart to test with: to train on them spoils the test.
_HELD_OUT = (
    *("test", "tests", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"),
    *("heldout", "held_out", "holdout", "测试", "测试集", "验证", "验证集"),
)
_SPLIT_OF_FILE = re.compile(
    r"(?:^|.*[-_.])(train|test|valid|validation|val|dev|eval)(?=[-_.]|$)", re.IGNORECASE
)


@dataclass(frozen=True)
class Table:
    """A sheet, list or file by its ``name``, with its rows; ``read``: whether they are read. ``above``: what
    stands over its header."""

    name: str
    rows: int
    read: bool
    above: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def label_of(part: Part, root: Path) -> str:
    """What a table is called where ``root`` was opened: its own name, in a folder behind its file's."""
    if part.path == root:
        return part.name or root.name
    file = str(part.path.relative_to(root))
    return f"{file}: {part.name}" if part.name else file


def chosen_parts(every: Sequence[Part], root: Path, names: Sequence[str]) -> tuple[Part, ...]:
    """The tables that are read. Raises NoSuchSheet for a name that none has."""
    if not names:
        return _alike(every, root) if len(every) > 1 else tuple(every)
    if any(name.lower() == ALL for name in names) and not any(part.name.lower() == ALL for part in every):
        return tuple(every)
    labels = [label_of(part, root) for part in every]
    chosen = []
    for name in names:
        found = [
            part
            for part, label in zip(every, labels, strict=True)
            if name in (label, part.name, part.path.name) or name.lower() == label.lower()
        ]
        if not found:
            listed = say("row.list").join(labels[:20])
            raise NoSuchSheet(path=root, name=name, names=listed)
        chosen += found
    return tuple(part for part in every if part in chosen)


def _alike(every: Sequence[Part], root: Path) -> tuple[Part, ...]:
    """Of each file its tables of one shape; of those no split that is kept apart to test with."""
    files: dict[tuple[Path, str], list[Part]] = {}
    for part in every:
        member = part.name.partition(": ")[0] if part.path.suffix.lower() == ".zip" else ""
        files.setdefault((part.path, member), []).append(part)
    chosen = [part for parts in files.values() for part in _of_one_file(parts)]
    training = [part for part in chosen if _split(part, root) == "train"]
    if training:
        chosen = [part for part in chosen if _split(part, root) not in _HELD_OUT]
    return tuple(part for part in every if part in chosen)


def _split(part: Part, root: Path) -> str:
    """The split that the name of a table or its file tells; empty for none."""
    name = label_of(part, root).rpartition("/")[2]
    found = _SPLIT_OF_FILE.match(name.partition(": ")[0] if ": " in name else name)
    return found[1].lower() if found else plain(part.name)


def _of_one_file(parts: Sequence[Part]) -> list[Part]:
    if len(parts) == 1:
        return list(parts)
    filled = [part for part in parts if len(part.spans) or part.refused]
    usual = [part for part in filled if plain(part.name) not in _HELD_OUT] or filled
    shapes = {part.name: _shape(part) for part in usual}
    known = [part for part in usual if shapes[part.name][0]] or usual
    if not known:
        return list(parts[:1])
    first = max(known, key=lambda part: len(part.spans))
    name, columns = shapes[first.name]
    return [
        part for part in usual if (name and shapes[part.name][0] == name) or shapes[part.name][1] == columns
    ]


def _shape(part: Part) -> tuple[str, frozenset[str]]:
    """The format of a table's first row, and its columns."""
    value = next((parse_row(raw).value for raw in part.raw(range(min(1, len(part.spans))))), None)
    shape = shape_of(value)
    columns = frozenset(map(str, value)) if isinstance(value, dict) else frozenset()
    return (shape.name if shape else "", columns)
