"""Record what comes of every fault in ``tests/recorded/faults.json``: docs/reliability.md has it as a table.

    python -m tests.faults.record [TEST …]

Runs the tests that ask for ``record_fault``, here and elsewhere, and keeps what each recorded: what was done,
to whom, when, and what was seen. A test that failed is recorded as that. Of tests that are named
(as to pytest) the rows take the place of those that they recorded before.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.workspace.files import read_json, write_json

TESTS = Path(__file__).parents[1]
RECORDED = TESTS / "recorded" / "faults.json"


class Recorder:
    """What the tests recorded, in their order."""

    def __init__(self) -> None:
        self.found: list[Sequence[str]] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "record_fault" in getattr(item, "fixturenames", ())]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            recorded = [value for name, value in report.user_properties if name == "fault"]
            self.found += recorded if report.passed else [[report.nodeid, "", "", "failed"]]


def main(named: Sequence[str]) -> int:
    recorder = Recorder()
    every = [
        str(file) for file in sorted(TESTS.rglob("test_*.py")) if "record_fault" in file.read_text("utf-8")
    ]
    code = int(pytest.main(["-q", "-p", "no:xdist", *(named or every)], plugins=[recorder]))
    known = (read_json(RECORDED) or {}).get("faults", []) if named else []
    new = {tuple(row[:3]) for row in recorder.found}
    faults = [*(row for row in known if tuple(row[:3]) not in new), *recorder.found]
    write_json(RECORDED, {"date": datetime.now(UTC).date().isoformat(), "faults": faults})
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
