"""``python -m core.jobs.take_up WORKSPACE``: jobs that waited in line, and whose supervisor was killed or
went down with the machine, get another one and keep their place."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from core.errors import JobNotStarted
from core.jobs.launch import supervise_again
from core.jobs.turn import forget, is_to_be_taken_up, line_in
from core.queue.devices import HELD_VARIABLE


def take_up(workspace: Path, secrets: Callable[[Path], Mapping[str, str]] = lambda _: {}) -> list[Path]:
    """Start a supervisor for each job that stands in line without one; returns their folders. ``secrets``:
    what a job gets of them. One that cannot be started has failed, and says why."""
    taken = []
    for folder in line_in(workspace).abandoned():
        if not is_to_be_taken_up(folder):
            forget(folder)
            continue
        with suppress(JobNotStarted, OSError):
            if supervise_again(folder, secrets(folder)):
                taken.append(folder)
                continue
        forget(folder)
    return taken


if __name__ == "__main__":
    os.environ.pop(HELD_VARIABLE, None)
    take_up(Path(sys.argv[1]))
