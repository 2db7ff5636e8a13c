"""Small files of the public formats: the rows they hold, what is left out, which keys nobody reads.

Their structure is as it is found in use, their words are new; ``expected.json`` has the right values, written
by hand from what each format means.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from core.cli.rows import spoken
from core.data.accounting import Accounts
from core.data.findings import KINDS
from core.data.opening import open_data
from core.workspace.data_paths import SourceCache

FIELD = Path(__file__).parent / "field"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FIELD / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_public_format_is_read_right_and_whole(name: str, tmp_path: Path) -> None:
    right, accounts, rows = EXPECTED[name], Accounts(), []
    for number, made in open_data(FIELD / name, SourceCache(tmp_path)).assembled():
        accounts.add(number, made)
        if all(KINDS[fault.code].usable for fault in made.faults):
            rows.append(list(spoken(made)))
    assert rows == right["rows"]
    assert [(one.key, one.rows) for one in sorted(accounts.unused, key=lambda one: one.key)] == [
        (one["key"], one["rows"]) for one in sorted(right["unused"], key=lambda one: one["key"])
    ]
    left_out = {(one.what, one.rows) for one in accounts.left_out}
    assert {(one["what"], one["rows"]) for one in right["left_out"]} <= left_out, left_out
    said = set(right.get("said", ()))
    assert said <= set(accounts.found.counts) and bool(left_out) <= bool(right["left_out"] or said)


def test_every_file_has_its_right_values() -> None:
    assert {file.name for file in FIELD.iterdir()} == {*EXPECTED, "expected.json"}
