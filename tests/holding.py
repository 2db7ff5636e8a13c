"""A tool that stands still at one moment of its work, so that a test can strike just there.

FAKE_HOLD        the moment (:class:`tests.faults.moments.Moment`)
FAKE_HOLD_FILE   appears when it is reached; the tool goes on when it has been deleted
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import until


@dataclass(frozen=True)
class Held:
    """The test's side: ``moment`` lasts until the test goes on, however fast or slow the machine is."""

    moment: str
    file: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"FAKE_HOLD": self.moment, "FAKE_HOLD_FILE": str(self.file)}

    def put(self, patch: pytest.MonkeyPatch) -> None:
        """From now on every tool that is started stands still there."""
        for name, value in self.environment.items():
            patch.setenv(name, value)

    def until_reached(self) -> None:
        until(self.file.exists)

    def go_on(self) -> None:
        self.file.unlink()


def hold(moment: str) -> None:
    """Stand still if this is the moment."""
    if os.environ.get("FAKE_HOLD") != moment:
        return
    file = Path(os.environ["FAKE_HOLD_FILE"])
    file.touch()
    while file.exists():
        time.sleep(0.02)
