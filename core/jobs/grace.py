"""How long a tool that was asked to stop may take to end before it is killed; in seconds.

Each is for one kind of tool. Whoever starts another job must outlive it, to write down how that ended. A tool
that may need longer, such as one that has a large checkpoint to write, says so in its job's folder.
"""

from contextlib import suppress
from pathlib import Path

from core.jobs.job import JobPaths
from core.workspace.files import read_record, write_json

# A tool of the engine ends the file it is writing: a checkpoint, a shard.
TOOL_GRACE = 20.0
# A command that waits for a tool's job stops that first, then says so.
COMMAND_GRACE = TOOL_GRACE + 10.0
# The chat server has nothing to save; whoever unloads it waits this long for the server to be gone.
CHAT_SERVER_GRACE, CHAT_SERVER_PATIENCE = 3.0, 30.0


def need(folder: Path, seconds: float) -> None:
    """The tool of the job in ``folder`` may take so long to end well. Raises OSError."""
    write_json(JobPaths(folder).need, {"seconds": round(seconds, 1)})


def needed(folder: Path) -> float | None:
    """What the tool of a job has said that it needs; None where it said nothing."""
    with suppress(TypeError, ValueError):
        return float((read_record(JobPaths(folder).need) or {}).get("seconds"))  # type: ignore[arg-type]
    return None


def granted(folder: Path, asked: float) -> float:
    """What it gets of whoever asked: what it needs, unless it is to hurry."""
    return asked if asked < TOOL_GRACE else max(asked, needed(folder) or 0.0)
