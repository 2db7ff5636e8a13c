"""Rows of one format, or of columns by mapping, read as messages; and which format a file has, and why."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.data.formats import columns
from core.data.formats.dialogue import speaks
from core.data.formats.fields import Account, Fields, Misshapen
from core.data.formats.messages import Assembled, Message, assemble
from core.data.formats.shapes import COLUMNS, SHAPES, RowFormat, shape_of, unknown
from core.wording import say

# What a column can be mapped to; "assistant" is the answer, "context" is put before the question.
COLUMN_ROLES = ("system", "context", "user", "assistant")


@dataclass(frozen=True)
class Format:
    """How a file's rows are read: a known format, or ``columns`` with ``mapping`` {role: column}.

    ``certain``: the format was chosen by a person, and a row of another one is a fault. Else a row that does
    not fit is read as whatever it is: files put together from several sources are common. ``thoughts``: a
    model's thoughts are kept before its answer, and not left out.
    """

    name: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    certain: bool = False
    thoughts: bool = False

    @property
    def key(self) -> str:
        """The same for two formats that read alike."""
        mapped = ",".join(f"{role}={self.mapping[role]}" for role in sorted(self.mapping))
        return f"{self.name}|{mapped}|{self.certain}|{self.thoughts}"


def read_row(row: Any, chosen: Format) -> Assembled:
    """One row's conversation with its faults; a row that cannot be read has faults and no turns."""
    account = Account()
    try:
        said = messages_of(row, chosen, account)
    except Misshapen as wrong:
        return Assembled(faults=[*account.faults, wrong.fault])
    return assemble(said, account, chosen.thoughts)


def messages_of(row: Any, chosen: Format, account: Account) -> list[Message]:
    """A row's messages; what is not read goes into ``account``. Raises Misshapen."""
    row = _as_object(row)
    if not isinstance(row, dict):
        raise Misshapen("", "not_an_object", found=type(row).__name__)
    fields = Fields(row, account)
    made = _mapped(fields, chosen.mapping) if chosen.name == COLUMNS else _shape(row, chosen).read(fields)
    fields.close()
    return made


def _as_object(row: Any) -> Any:
    """A dialogue that stands there without a key, as one that has the usual one."""
    return {"messages": row} if speaks(row) else row


def _shape(row: Mapping[str, Any], chosen: Format) -> RowFormat:
    shape = SHAPES[chosen.name]
    if chosen.certain and shape.fits(row):
        return shape
    # What this program writes itself may stand in any file (a mended row).
    other = shape_of(row) if not chosen.certain or "conversation" in row else None
    if other is None:
        raise unknown(row)
    return other


def _mapped(fields: Fields, mapping: Mapping[str, str]) -> list[Message]:
    if any(column not in fields for column in mapping.values()):
        if "conversation" in fields:
            return SHAPES["xtuner"].read(fields)
        raise unknown(fields)
    return columns.read(fields, columns.mapped(mapping))


@dataclass(frozen=True)
class Detected:
    """The format of a file as far as its first rows tell: None when none fits. ``fitting`` of ``looked`` rows
    have it; ``columns`` are the keys that they have, ``joined`` those that make up the question together."""

    format: Format | None
    fitting: int
    looked: int
    columns: tuple[str, ...]
    joined: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        if self.format is None:
            named = say("row.list").join(self.columns[:12]) or "–"
            return say("format.reason.none", columns=named)
        why = say(f"format.why.{self.format.name}")
        reason = say("format.reason", fitting=self.fitting, looked=self.looked, why=why)
        if len(self.joined) > 1:
            reason += say("format.joined", columns=say("row.list").join(self.joined))
        return reason


def detect(rows: Iterable[Any]) -> Detected:
    """The format that most of these rows have. Rows that are no objects count as none."""
    seen: Counter[str] = Counter()
    joined: Counter[tuple[str, ...]] = Counter()
    named: dict[str, None] = {}
    looked = 0
    for row in rows:
        looked += 1
        row = _as_object(row)
        if isinstance(row, dict):
            named.update(dict.fromkeys(map(str, row)))
        if shape := shape_of(row):
            seen[shape.name] += 1
            found = columns.columns_of(tuple(row)) if shape.name == "pairs" else None
            joined[found.asked if found else ()] += 1
    name, fitting = seen.most_common(1)[0] if seen else ("", 0)
    most = joined.most_common(1)[0][0] if joined else ()
    return Detected(Format(name) if name else None, fitting, looked, tuple(named)[:100], most)


def chosen_format(
    detected: Detected, name: str | None, mapping: Mapping[str, str], thoughts: bool = False
) -> Format | None:
    """What a person chose, else what was detected; a mapping alone chooses columns."""
    if mapping:
        return Format(COLUMNS, dict(mapping), certain=True, thoughts=thoughts)
    if name:
        return Format(name, certain=True, thoughts=thoughts)
    return detected.format and Format(detected.format.name, thoughts=thoughts)
