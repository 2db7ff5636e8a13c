"""Record what comes of every fault in ``tests/recorded/faults.json``: docs/reliability.md has it as a table.

    python -m tests.faults.record

Runs the tests of this folder and keeps what each recorded as its ``fault``: what was done, to whom, when,
and what was seen. A test that failed is recorded as that.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.workspace.files import write_json

HERE = Path(__file__).parent
RECORDED = HERE.parent / "recorded" / "faults.json"


class Recorder:
    """What the tests recorded, in their order."""

    def __init__(self) -> None:
        self.found: list[Sequence[str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            recorded = [value for name, value in report.user_properties if name == "fault"]
            self.found += recorded if report.passed else [[report.nodeid, "", "", "failed"]]


def main() -> int:
    recorder = Recorder()
    code = int(pytest.main(["-q", "-p", "no:xdist", str(HERE)], plugins=[recorder]))
    write_json(RECORDED, {"date": datetime.now(UTC).date().isoformat(), "faults": recorder.found})
    return code


if __name__ == "__main__":
    sys.exit(main())
