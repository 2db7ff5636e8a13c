"""What a person has to know to say how a file is read: its first row, what was tried, its tables."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.data.formats.fields import shortened
from core.data.formats.harmless import is_named
from core.data.formats.shapes import SHAPES
from core.data.reading.choosing import Table
from core.data.reading.parse import parse_row
from core.data.reading.source import Source
from core.errors import UnknownRows
from core.wording import say

LONGEST_ROW = 300
LOOKED = 50
MOST_SHOWN = 20
EXAMPLE = '{"question": "…", "answer": "…"}'


def unknown_rows(source: Source) -> UnknownRows:
    """The error for a file with rows, none of which a format reads; the first one that can be parsed is
    shown."""
    first = source.raw(0, LOOKED)
    raw = next((raw for raw in first if parse_row(raw).fault is None), first[0])
    tried = say("unknown.tried", formats=say("row.list").join(say(f"format.{name}") for name in SHAPES))
    row = shortened(raw.decode("utf-8", "replace"), LONGEST_ROW)
    return UnknownRows(path=source.path, row=row, tried=tried, how=_how(source, parse_row(raw).value))


def _how(source: Source, value: Any) -> str:
    words = ("scripts/run", "data", "check", str(source.path))
    texts = _texts(value) if isinstance(value, dict) else []
    if len(texts) > 1:
        named = ("--column", f"user={texts[0]}", "--column", f"assistant={texts[1]}")
        return say("unknown.columns", command=shlex.join((*words, *named)))
    if texts:
        return say("unknown.text", command=shlex.join((*words, "--column", f"assistant={texts[0]}")))
    if not isinstance(value, dict):
        return say("unknown.no_object", example=EXAMPLE)
    return say("unknown.nested", keys=shortened(say("row.list").join(value)), example=EXAMPLE)


def _texts(value: Mapping[str, Any]) -> list[str]:
    """The keys of a row whose values are texts; those that say only where it comes from last."""
    texts = [key for key, text in value.items() if isinstance(text, str)]
    return sorted(texts, key=is_named)


def said_of_tables(tables: Sequence[Table]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Sentences by key and values: which of several tables are read and which not, and what stands above the
    headers."""
    if len(tables) > 1:
        others = _listed([table for table in tables if not table.read])
        yield "source.read", {"names": _listed([table for table in tables if table.read])}
        if others:
            yield "source.not_read", {"names": others}
    for table in tables:
        if table.read and table.above:
            yield "source.above", {"name": table.name, "text": table.above}


def _listed(tables: Sequence[Table]) -> str:
    shown = [say("source.table", name=table.name, rows=table.rows) for table in tables[:MOST_SHOWN]]
    more = len(tables) - MOST_SHOWN
    return say("row.list").join(shown + ([say("row.more", count=more)] if more > 0 else []))
