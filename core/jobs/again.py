"""How often a job goes on by itself after a crash: counted in its folder, whoever lets it."""

from contextlib import suppress
from pathlib import Path

from core.jobs.job import JobPaths
from core.workspace.files import read_record, write_json


def times_resumed(folder: Path) -> int:
    """How often the job in ``folder`` has gone on by itself since somebody started it."""
    found = (read_record(JobPaths(folder).resumed) or {}).get("times")
    return found if isinstance(found, int) else 0


def resume_once_more(folder: Path, most: int) -> int | None:
    """Count one more time: which it is, up to ``most``; None where they are used up, or where it could not be
    written down: then nobody would know where it ends."""
    times = times_resumed(folder) + 1
    if times > most:
        return None
    with suppress(OSError):
        count_resumed(folder, times)
        return times
    return None


def count_resumed(folder: Path, times: int) -> None:
    """Raises OSError."""
    write_json(JobPaths(folder).resumed, {"times": times})
