"""How far a job's tool is: a small file in the job's folder, written by the tool and read by everybody.

The tool says what it does and how far that is (:func:`phase`, :func:`reach`), which costs it nothing: a
thread writes, once a second where there is news, and every few seconds where there is none, so that whoever
reads sees that it is alive. It begins before anything is imported and ends with the process.

A tool that says nothing, such as one that is not the engine's, has no such file.
"""

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import Any

from core.jobs.done import leave_done
from core.jobs.grace import need
from core.jobs.job import JobPaths
from core.workspace.files import read_record, write_json
from core.workspace.paths import know_workspace_of

# Where a tool is told which job's it is. Its own children are not told: there is one that writes.
JOB_VARIABLE = "TUNEBOARD_JOB"
# Seconds between two looks for news, and the longest between two writes.
EVERY, AT_LEAST_EVERY = 1.0, 4.0
# A pace is measured over so many seconds and so many marks at least, and as far back as it was about the
# same, within this ratio: a load that comes or goes is told from the noise of steps within half a minute.
LATELY, FEWEST, SAME_PACE = 20.0, 5, 1.3
# Of a long way every other mark but the latest is forgotten, so that there are never more.
MOST_MARKS, LATEST = 512, 64
# When, and how far it was (0 to 1).
Mark = tuple[float, float]


class Phase(StrEnum):
    """What a tool is doing; its words are ``phase.…`` in ``locales/``."""

    starting = "starting"
    loading = "loading"
    reading = "reading"
    answering = "answering"
    scoring = "scoring"
    teacher = "teacher"
    training = "training"
    evaluating = "evaluating"
    saving = "saving"
    downloading = "downloading"
    importing = "importing"
    converting = "converting"
    merging = "merging"
    writing = "writing"


# In these a tool takes all of the processor that it gets.
COMPUTING = {Phase.answering, Phase.scoring, Phase.teacher, Phase.training, Phase.evaluating}


@dataclass(frozen=True)
class JobProgress:
    """The content of ``progress.json``; times in seconds since the epoch.

    ``done`` of ``total`` are what the phase counts (steps, answers, tensors), None where it counts nothing.
    ``share`` is of the whole tool's work, from 0 to 1, None until it can be said. ``began``: when the phase
    did, ``moved``: when there was news last, ``written``: when the tool was last seen alive. How fast it is:
    ``first`` is when the share was first known and what it was, ``lately`` the same of since when it goes
    about as fast as now. ``others``: how many cores other programs keep from it now; ``slower``: how many
    times as long everything takes by that, and ``slowed``: has taken until now.
    """

    phase: Phase
    done: int | None = None
    total: int | None = None
    share: float | None = None
    began: float = 0.0
    moved: float = 0.0
    written: float = 0.0
    first: Mark | None = None
    lately: Mark | None = None
    others: float = 0.0
    slower: float = 1.0
    slowed: float = 1.0


def job_progress(folder: Path) -> JobProgress | None:
    """How far the tool of the job in ``folder`` is, or was when it ended; None where it does not say."""
    return _of_record(read_record(JobPaths(folder).progress) or {})


def _of_record(found: Mapping[str, Any]) -> JobProgress | None:
    with suppress(KeyError, TypeError, ValueError):
        marks = {name: _mark(found.get(name)) for name in ("first", "lately")}
        return JobProgress(**{**found, **marks, "phase": Phase(found["phase"])})
    return None


def _mark(found: Sequence[float] | None) -> Mark | None:
    if not found:
        return None
    at, share = found
    return float(at), float(share)


class PaceMarks:
    """The way of a job so far: when it was how far."""

    def __init__(self) -> None:
        self._marks: list[Mark] = []

    def add(self, at: float, share: float) -> bool:
        """Whether it is kept: one mark a second is enough."""
        if self._marks and at - self._marks[-1][0] < EVERY:
            return False
        self._marks.append((at, share))
        if len(self._marks) > MOST_MARKS:
            del self._marks[1:-LATEST:2]
        return True

    @property
    def first(self) -> Mark | None:
        """Where it began to be known."""
        return self._marks[0] if self._marks else None

    def lately(self) -> Mark | None:
        """Since when it goes about as fast as now. The last seconds are what it does now; they, and what is
        found to be like them, are set beside as long a time before, as long as that was about as fast."""
        if not self._marks:
            return None
        since = min(len(self._marks) - FEWEST, self._before(self._marks[-1][0] - LATELY))
        while since > 0:
            earlier = self._before(2 * self._marks[since][0] - self._marks[-1][0])
            before, now = self._pace(earlier, since), self._pace(since, -1)
            if not 1 / SAME_PACE <= before / now <= SAME_PACE:
                break
            since = earlier
        return self._marks[max(0, since)]

    def _before(self, at: float) -> int:
        """The last mark that is not later, else the first."""
        return max(0, bisect_right(self._marks, at, key=itemgetter(0)) - 1)

    def _pace(self, one: int, other: int) -> float:
        """Share a second between two marks."""
        (began, before), (ended, after) = self._marks[one], self._marks[other]
        return max(1e-9, after - before) / max(1e-9, ended - began)


class Slowed:
    """How many times as long a job has taken by what others do beside it: a mean over its time."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._alone = 0.0

    def until_now(self, slower: float) -> float:
        """Where everything takes so many times as long since the last time."""
        now = time.monotonic()
        self._alone += (now - self._last) / slower
        self._last = now
        return (now - self._began) / self._alone if self._alone else 1.0


class ProgressWriter:
    """Writes ``file`` from a thread of its own, until :meth:`end`. ``others`` measures how many cores other
    programs take, ``slower`` says how many times as long everything takes by that, and knows whether they
    take them from a tool that computes."""

    def __init__(
        self,
        file: Path,
        others: Callable[[], float] = lambda: 0.0,
        slower: Callable[[float, bool], float] = lambda *_: 1.0,
    ) -> None:
        self.file, self._others, self._slower, self._slowed = file, others, slower, Slowed()
        self._computed = 1.0
        now = time.time()
        self.now = JobProgress(Phase.starting, began=now, moved=now)
        self._said: JobProgress | None = None
        self._marks = PaceMarks()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.write()
        threading.Thread(target=self._beat, daemon=True, name="write progress").start()

    def phase(self, name: Phase, total: int | None = None, done: int | None = None) -> None:
        """The phase ``name`` begins, and counts up to ``total``. It is written at once."""
        now = time.time()
        start = done if done is not None else 0 if total is not None else None
        self.now = replace(self.now, phase=name, done=start, total=total, began=now, moved=now)
        self.write()

    def reach(self, done: int, total: int | None = None, share: float | None = None) -> None:
        """So much is done of the phase, and of the whole."""
        before = self.now
        of_whole = before.share if share is None else min(1.0, share)
        changed = replace(before, done=done, total=before.total if total is None else total, share=of_whole)
        if changed != before:
            now = time.time()
            first, lately = self._marked(now, of_whole)
            self.now = replace(changed, moved=now, first=first, lately=lately)

    def _marked(self, now: float, share: float | None) -> tuple[Mark | None, Mark | None]:
        if share and self._marks.add(now, share):
            return self._marks.first, self._marks.lately()
        return self.now.first, self.now.lately

    def write(self) -> None:
        """Write it now. A full disk keeps no tool from its work."""
        with self._lock, suppress(OSError):
            self._said, others = self.now, self._others()
            slower = self._slower_by(others)
            beside = {"slower": round(slower, 2), "slowed": round(self._slowed.until_now(slower), 2)}
            said = replace(self.now, written=time.time(), others=round(others, 1))
            write_json(self.file, {**asdict(said), **beside})

    def _slower_by(self, others: float) -> float:
        """As it is found while the tool computes, and after it, as far as it can still be so."""
        if self.now.phase in COMPUTING:
            self._computed = self._slower(others, True)
            return self._computed
        return max(self._slower(others, False), min(self._computed, self._slower(others, True)))

    def end(self) -> None:
        """Write it a last time."""
        self._ended.set()
        self.write()

    def _beat(self) -> None:
        quiet = 0.0
        while not self._ended.wait(EVERY):
            quiet += EVERY
            if self.now != self._said or quiet >= AT_LEAST_EVERY:
                quiet = 0.0
                self.write()

    def need(self, seconds: float) -> None:
        """So long it may take to end well once it is asked to."""
        with suppress(OSError):
            need(self.file.parent, seconds)


_here: list[ProgressWriter] = []


@contextmanager
def telling(
    others: Callable[[], float] = lambda: 0.0, slower: Callable[[float, bool], float] = lambda *_: 1.0
) -> Iterator[None]:
    """Until the block ends, this process's progress is written into its job's folder, with what ``others``
    and ``slower`` say of other programs (:class:`ProgressWriter`), and that it is done where it ends well;
    nowhere where it is no job's tool, or not the first of several processes (torchrun)."""
    folder = os.environ.pop(JOB_VARIABLE, "")
    if not folder or os.environ.get("RANK", "0") != "0":
        yield
        return
    know_workspace_of(Path(folder))
    writer = ProgressWriter(JobPaths(Path(folder)).progress, others, slower)
    _here.append(writer)
    try:
        yield
        leave_done(Path(folder))
    finally:
        _here.remove(writer)
        writer.end()


def phase(name: Phase, total: int | None = None, done: int | None = None) -> None:
    """This process begins a phase, which counts up to ``total``."""
    for writer in _here:
        writer.phase(name, total, done)


def reach(done: int, total: int | None = None, share: float | None = None) -> None:
    """This process has done so much of its phase, and of its whole work (0 to 1)."""
    for writer in _here:
        writer.reach(done, total, share)


def need_to_end(seconds: float) -> None:
    """This process may take so long to end well once it is asked to."""
    for writer in _here:
        writer.need(seconds)


@contextmanager
def during(name: Phase) -> Iterator[None]:
    """A phase within another, which goes on after it."""
    before = [(writer, writer.now) for writer in _here]
    phase(name)
    try:
        yield
    finally:
        for writer, earlier in before:
            writer.phase(earlier.phase, earlier.total, earlier.done)
