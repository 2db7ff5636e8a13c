"""Whatever starts sees to the jobs that waited for a device when the machine went down."""

import os
from contextlib import suppress
from pathlib import Path

from core.errors import TuneboardError
from core.workspace.paths import Workspace


def take_up_waiting(workspace: Workspace) -> list[Path]:
    """Give those that have none a supervisor, in their old places; these jobs. Where there is none nothing is
    imported for it, and nobody's command fails for others' jobs."""
    with suppress(TuneboardError, OSError):
        if not any(workspace.queue.glob("*/waiting/*")):
            return []
        from core.jobs.turn import line_in
        from core.queue.devices import held_already

        if held_already(os.environ) or not line_in(workspace.root).abandoned():
            return []
        from core.pipeline.queued import taken_up

        return taken_up(workspace)
    return []
