"""A tool that stands still at one moment of its work, so that a test can strike just there.

FAKE_HOLD        the moment (:class:`tests.faults.moments.Moment`)
FAKE_HOLD_FILE   appears when it is reached; the tool goes on when it has been deleted
"""

import os
import time
from pathlib import Path


def hold(moment: str) -> None:
    """Stand still if this is the moment."""
    if os.environ.get("FAKE_HOLD") != moment:
        return
    file = Path(os.environ["FAKE_HOLD_FILE"])
    file.touch()
    while file.exists():
        time.sleep(0.02)
