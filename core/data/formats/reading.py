"""Rows of one format, or of columns by mapping, read as messages; and which format a file has, and why."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.data.formats.messages import Assembled, Fault, Message, Misshapen, assemble
from core.data.formats.shapes import COLUMNS, SHAPES, Row, shape_of
from core.wording import say

# What a column can be mapped to; "assistant" is the answer.
COLUMN_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Format:
    """How a file's rows are read: a known format, or ``columns`` with ``mapping`` {role: column}.

    ``certain``: the format was chosen by a person, and a row of another one is a fault. Else a row that does
    not fit is read as whatever it is: files put together from several sources are common.
    """

    name: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    certain: bool = False

    @property
    def key(self) -> str:
        """The same for two formats that read alike."""
        mapped = ",".join(f"{role}={self.mapping[role]}" for role in sorted(self.mapping))
        return f"{self.name}|{mapped}|{self.certain}"


def read_row(row: Any, chosen: Format) -> Assembled:
    """One row's conversation with its faults; a row that cannot be read has faults and no turns."""
    try:
        return assemble(messages_of(row, chosen))
    except Misshapen as wrong:
        return Assembled(faults=[wrong.fault])


def messages_of(row: Any, chosen: Format) -> list[Message]:
    """A row's messages. Raises Misshapen."""
    if not isinstance(row, dict):
        raise Misshapen("", "not_an_object", found=type(row).__name__)
    if chosen.name == COLUMNS:
        return _mapped(row, chosen.mapping)
    shape = SHAPES[chosen.name]
    if not shape.fits(row):
        # What this program writes itself may stand in any file (a mended row).
        other = shape_of(row) if not chosen.certain or "conversation" in row else None
        if other is None:
            raise Misshapen("", "unknown_format", keys=", ".join(map(str, row))[:80])
        shape = other
    return shape.read(row)


def _mapped(row: Row, mapping: Mapping[str, str]) -> list[Message]:
    missing = [column for column in mapping.values() if column not in row]
    if missing:
        if "conversation" in row:
            return SHAPES["xtuner"].read(row)
        raise Misshapen("", "unknown_format", keys=", ".join(map(str, row))[:80])
    said = [(role, mapping[role]) for role in COLUMN_ROLES if role in mapping]
    return [Message(role, row[column], column) for role, column in said if _is_said(role, row[column])]  # type: ignore[arg-type]


def _is_said(role: str, value: Any) -> bool:
    return role != "system" or value not in (None, "")


def note_weights(row: Any) -> list[Fault]:
    """OpenAI's ``weight: 0`` says that an answer is not to be learned; XTuner 0.2.0 learns it."""
    if not isinstance(row, dict) or not isinstance(row.get("messages"), list):
        return []
    return [
        Fault(f"messages[{number}].weight", "weight_ignored")
        for number, item in enumerate(row["messages"])
        if isinstance(item, dict) and item.get("weight") == 0 and item.get("role") == "assistant"
    ]


@dataclass(frozen=True)
class Detected:
    """The format of a file as far as its first rows tell: None when none fits. ``fitting`` of ``looked`` rows
    have it; ``columns`` are the keys that they have."""

    format: Format | None
    fitting: int
    looked: int
    columns: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        if self.format is None:
            columns = say("row.list").join(self.columns[:12]) or "–"
            return say("format.reason.none", columns=columns)
        why = say(f"format.why.{self.format.name}")
        return say("format.reason", fitting=self.fitting, looked=self.looked, why=why)


def detect(rows: Iterable[Any]) -> Detected:
    """The format that most of these rows have. Rows that are no objects count as none."""
    seen: Counter[str] = Counter()
    columns: dict[str, None] = {}
    looked = 0
    for row in rows:
        looked += 1
        if isinstance(row, dict):
            columns.update(dict.fromkeys(map(str, row)))
        if shape := shape_of(row):
            seen[shape.name] += 1
    name, fitting = seen.most_common(1)[0] if seen else ("", 0)
    return Detected(Format(name) if name else None, fitting, looked, tuple(columns)[:100])


def chosen_format(detected: Detected, name: str | None, mapping: Mapping[str, str]) -> Format | None:
    """What a person chose, else what was detected; a mapping alone chooses columns."""
    if mapping:
        return Format(COLUMNS, dict(mapping), certain=True)
    if name:
        return Format(name, certain=True)
    return detected.format


Reader = Callable[[Any], Assembled]
