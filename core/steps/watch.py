"""How far a running job is, read from the files it writes: nothing is asked of the job itself."""

import re
from collections.abc import Callable
from pathlib import Path

from core.jobs.curves import CurveReader
from core.jobs.job import JobPaths
from core.jobs.progress import JobProgress, Phase, job_progress
from core.jobs.tail import last_lines
from core.models.hubs import HUBS, title_of
from core.steps.step import megabytes
from core.wording import say
from core.workspace.files import folder_bytes, read_record

Update = Callable[[float, str], None]
# Phases that are what their stage is called by.
COUNTED = {Phase.answering, Phase.training}


def worked(job: Path, update: Update) -> Callable[[], None]:
    """A poll that reports what a job's tool says of itself (core.jobs.progress)."""

    def poll() -> None:
        if found := job_progress(job):
            update(found.share or 0.0, note_of(found))

    return poll


def note_of(found: JobProgress) -> str:
    """What a tool does in a few words, and how far that is: "Loading the model", "Saving 2/8"; of answers
    only how many, as its stage has said the rest."""
    counted = f"{found.done}/{found.total}" if found.total else ""
    words = "" if counted and found.phase in COUNTED else say(f"phase.{found.phase}")
    return " ".join(filter(None, (words, counted)))


def answered(job: Path, update: Update) -> Callable[[], None]:
    """A poll that reports how far an answering job is: answers, and the share of its time that has passed.
    Of a tool that only prints it that is a line ``answered 32/166 (0.2511)``."""
    return _counted(job, "answered", update)


def _counted(job: Path, what: str, update: Update) -> Callable[[], None]:
    """A poll of what a job's tool says of itself; of one that only prints it, of its last such line."""
    told = worked(job, update)

    def poll() -> None:
        if JobPaths(job).progress.exists():
            told()
            return
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
    """A poll that reports how many of a model's weight files are converted; of a tool that only prints it
    that is a line ``converted 3/8``."""
    return _counted(job, "converted", update)


def trained(job: Path, work_dir: Path, total: int | None, update: Update) -> Callable[[], None]:
    """A poll that reports iteration and last logged loss of a training job, and what it does before and
    between its steps. Of a tool that does not say how far it is, the logs do."""
    reader = CurveReader(work_dir)

    def poll() -> None:
        reader.poll()
        columns, now = reader.columns(), job_progress(job)
        loss = say("progress.loss", loss=f"{columns['loss'][-1]:.3f}") if len(columns["iter"]) else ""
        if now and (now.phase is not Phase.training or not now.done):
            update(now.share or 0.0, note_of(now))
            return
        if now is None and not loss:
            return
        iteration = (now and now.done) or int(columns["iter"][-1])
        whole = (now and now.total) or total or reader.total_iters
        share = iteration / whole if whole else 0.0
        far = say("progress.iteration", far=f"{iteration}/{whole or '?'}")
        update(share, "  ".join(filter(None, (far, loss))))

    return poll
