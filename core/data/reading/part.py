"""One table of a file: its rows, each by where it begins and ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.data.reading.encodings import Encoding
from core.data.reading.rows import Damage
from core.data.reading.structure import Spans
from core.data.reading.tables import Refused


@dataclass(frozen=True, eq=False)
class Part:
    """A file, or one of several tables in it. ``plain``: the UTF-8 text its rows are read from (itself, where
    it is that); ``spans``: the (start, end) of each row there in bytes. ``container`` is json, jsonl, csv,
    tsv, parquet, excel or text.

    ``name``: of a sheet of a workbook, of a list in a JSON object, or of a file in an archive; empty where
    the file is all there is. ``above``: what stands over the header. ``beside``: what the JSON object that
    holds the list has else, by key; of a long value its beginning.
    """

    path: Path
    plain: Path
    container: str
    encoding: Encoding
    spans: Spans
    damage: dict[int, Damage] = field(default_factory=dict)
    stray: list[tuple[int, Damage]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    name: str = ""
    above: str = ""
    beside: dict[str, Any] = field(default_factory=dict)

    def raw(self, rows: Sequence[int] | range) -> Iterator[bytes]:
        """The bytes of these rows, counted from 0."""
        with self.plain.open("rb") as stream:
            for start, end in self.spans[list(rows)].tolist():
                stream.seek(start)
                yield stream.read(end - start)
