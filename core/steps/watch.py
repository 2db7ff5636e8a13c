"""How far a running job is, read from the files it writes: nothing is asked of the job itself."""

import re
from collections.abc import Callable
from pathlib import Path

from core.jobs.curves import CurveReader
from core.jobs.job import JobPaths
from core.jobs.tail import last_lines
from core.models.hubs import HUBS, title_of
from core.steps.step import megabytes
from core.wording import say
from core.workspace.files import folder_bytes, read_record

Update = Callable[[float, str], None]


def answered(job: Path, update: Update) -> Callable[[], None]:
    """A poll that reports ``answered 32/166 (0.2511)`` lines of an answering job: answers, and the share of
    its time that has passed."""
    return _counted(job, "answered", update)


def _counted(job: Path, what: str, update: Update) -> Callable[[], None]:
    def poll() -> None:
        for line in reversed(last_lines(JobPaths(job).log, 5)):
            if found := counted_in(line, what):
                update(*found)
                return

    return poll


def counted_in(line: str, what: str) -> tuple[float, str] | None:
    """The share and the note of a line ``answered 32/166 (0.2511)``, or without its own share; None of
    another."""
    if match := re.match(rf"{what} (\d+)/(\d+)(?: \(([01]\.\d+)\))?", line):
        share = float(match[3]) if match[3] else int(match[1]) / int(match[2])
        return share, f"{match[1]}/{match[2]}"
    return None


def downloaded(job: Path, files: Path, update: Update) -> Callable[[], None]:
    """A poll that reports how much of the files listed in ``job`` lies in the folder ``files``."""

    def poll() -> None:
        total = (read_record(job / "listing.json") or {}).get("bytes")
        if total:
            done = min(total, folder_bytes(files))
            update(done / total, f"{_asked(job)} · {megabytes(done)} / {megabytes(total)}")

    return poll


def _asked(job: Path) -> str:
    """Which hub or mirror a download's job speaks with, and which gave no answer before."""
    about = read_record(JobPaths(job).request) or {}
    asked = title_of(str(about.get("hub", HUBS[0])), str(about.get("mirror", "")))
    silent = say("row.list").join(title_of(*one) for one in about.get("silent", ()))
    return say("download.instead", asked=asked, silent=silent) if silent else asked


def converted(job: Path, update: Update) -> Callable[[], None]:
    """A poll that reports ``converted 3/8`` lines of a model's weight files."""
    return _counted(job, "converted", update)


def trained(work_dir: Path, total: int | None, update: Update) -> Callable[[], None]:
    """A poll that reports iteration and loss of a training job."""
    reader = CurveReader(work_dir)

    def poll() -> None:
        reader.poll()
        columns = reader.columns()
        if not len(columns["iter"]):
            return
        iteration, loss = int(columns["iter"][-1]), float(columns["loss"][-1])
        whole = total or reader.total_iters
        share = iteration / whole if whole else 0.0
        update(share, f"{iteration}/{whole or '?'}  {say('progress.loss', loss=f'{loss:.3f}')}")

    return poll
