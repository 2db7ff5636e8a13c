"""Record what comes of every fault in ``tests/recorded/faults.json``: docs/reliability.md has it as a table.

    python -m tests.faults.record

Runs the tests that ask for ``record_fault``, here and elsewhere, and keeps what each recorded: what was done,
to whom, when, and what was seen. A test that failed is recorded as that.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.workspace.files import write_json

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


def main() -> int:
    recorder = Recorder()
    files = [
        str(file) for file in sorted(TESTS.rglob("test_*.py")) if "record_fault" in file.read_text("utf-8")
    ]
    code = int(pytest.main(["-q", "-p", "no:xdist", *files], plugins=[recorder]))
    write_json(RECORDED, {"date": datetime.now(UTC).date().isoformat(), "faults": recorder.found})
    return code


if __name__ == "__main__":
    sys.exit(main())
