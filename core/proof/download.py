"""A proof's raw answers with their verdicts as a file to take away."""

import csv
import json
import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

from core.proof.result import ProofRow, row_as_json

# What a spreadsheet would take for a formula, unless it is a number.
FORMULA = re.compile(r"[=+\-@\t\r](?![\d.,]+$)")


def json_lines(rows: Sequence[ProofRow]) -> bytes:
    """One answer a line, as ``--json`` prints it."""
    return "".join(json.dumps(row_as_json(row), ensure_ascii=False) + "\n" for row in rows).encode()


def spreadsheet(rows: Sequence[ProofRow]) -> bytes:
    """As CSV with the mark by which Excel knows UTF-8; what came before a question is JSON in its cell. A
    text that would be a formula has an apostrophe before it."""
    text = StringIO()
    writer = csv.writer(text)
    for place, row in enumerate(map(row_as_json, rows)):
        if not place:
            writer.writerow(row)
        writer.writerow(map(_cell, row.values()))
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    text = "" if value is None else str(value)
    return f"'{text}" if FORMULA.match(text) else text
