"""What each of these tests reports: a row of docs/reliability.md's table."""

from collections.abc import Callable

import pytest

from tests.faults.moments import Moment

RecordFault = Callable[[str, str, Moment, str], None]


@pytest.fixture
def record_fault(record_property: Callable[[str, object], None]) -> RecordFault:
    """What was done, to whom, when, and what came of it: as plain text, which any worker can send on."""
    return lambda *row: record_property("fault", [*map(str, row)])
