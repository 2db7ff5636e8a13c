"""Where in a file a finding is: its line and column; and what stands between the rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from core.data.findings import Finding
from core.data.reading.choosing import label_of
from core.data.reading.part import Part
from core.data.reading.source import Source, line_and_column


def of_the_text(source: Source) -> Iterator[Finding]:
    """What is wrong between rows: stray text, a file that ends too early, rows that no table has room for."""
    for start, part in zip(source.starts, source.parts, strict=False):
        where = line_and_column(part.plain, [damage.at for _, damage in part.stray])
        for row, damage in part.stray:
            line, column = where[damage.at]
            values = {"line": line, "column": column, "detail": damage.detail, **_table(source, part)}
            yield Finding(max(1, start + row), "", damage.code, values)
        for refused in part.refused:
            values = {**vars(refused), **_table(source, part)}
            yield Finding(start + max(1, refused.line - 1), "", "broken_table_row", values)


def placed(source: Source, found: Sequence[Finding]) -> Iterator[Finding]:
    """Findings with the line and column of the file in place of a byte of the row; and with the name of the
    sheet, list or file and the row's number in it where there are several."""
    places: dict[Path, dict[int, int]] = {}
    for finding in found:
        if "at" in finding.values:
            part, row = source.where(finding.row - 1)
            places.setdefault(part.plain, {})[finding.row] = int(part.spans[row, 0]) + finding.values["at"]
    lines = {plain: line_and_column(plain, list(rows.values())) for plain, rows in places.items()}
    for finding in found:
        if "at" in finding.values:
            plain = source.where(finding.row - 1)[0].plain
            line, column = lines[plain][places[plain][finding.row]]
            values = {**finding.values, "line": line, "column": column}
            finding = Finding(finding.row, finding.field, finding.code, values)
        yield _in_its_table(source, finding) if len(source.parts) > 1 else finding


def _in_its_table(source: Source, finding: Finding) -> Finding:
    part, row = source.where(finding.row - 1)
    values = {**finding.values, **_table(source, part), "table_row": row + 1}
    return Finding(finding.row, finding.field, finding.code, values)


def _table(source: Source, part: Part) -> dict[str, str]:
    """What a finding says of the table it is in, where there are several."""
    return {"table": label_of(part, source.path)} if len(source.parts) > 1 else {}
