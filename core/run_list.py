"""All runs of a workspace, also of ten thousand: what was read of one is read again when it has changed.

An index, never the truth: it can be deleted, or be damaged, at any time. What it says of a run holds as long
as the files that decide are in the same state and the processes that it names are alive. These files are the
run's folder itself, which changes with everything that comes, goes or is replaced right in it; its own three
records, which an editor may write in place; and of each of its jobs how it ended, or where it has not, what
was asked and who is at it: a job that is asked for again loses its ``exit.json`` first. A run is not kept
where something of it is wrong.

Not told are numbers of a training (``scalars.json``) that became a folder after their run was kept.
"""

import json
import math
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import DamagedFile, NoSuchJob
from core.jobs.job import JobPaths
from core.jobs.process import Identity, is_alive, read_identity
from core.jobs.status import LIVE, State, state_of
from core.runs import COMMANDS, STEPS, Run, is_at_work, read_or_lost
from core.workspace.file_states import TICK, States, changed_last, clock_ahead, number_of, states_of
from core.workspace.files import ODD, read_bytes, read_record, write_bytes
from core.workspace.names import is_open
from core.workspace.paths import RunPaths, Workspace

JOBS = (*COMMANDS, *STEPS)
_RUN = RunPaths(Path("/"))
# What decides: the run's folder and its records, how each job ended, and who is at one that has not.
OWN = ("", *map(str, (_RUN.about, _RUN.data, _RUN.result)))
ENDED = {job: str(JobPaths(_RUN.job(job)).exit) for job in JOBS}
LIVING = {
    job: tuple(map(str, (paths.spec, paths.tool, paths.supervisor)))
    for job, paths in ((job, JobPaths(_RUN.job(job))) for job in JOBS)
}
# The form of the file: another program's version reads none of it.
FORM = 4
# It is written when so many runs are new in it, and a share of all: else each look would write all of it.
FEW, SHARE = 16, 0.01
# Of so many looks each took so many seconds: then the disk is waited for, and so many are begun at once.
TRIED, SLOW, AT_ONCE = 100, 0.002, 16


# What a job's state hangs on besides its files: the process of this machine that it lives by; a state that is
# asked for each time (it is lost, waits, or works elsewhere); nothing where it has ended for good.
Holder: TypeAlias = Identity | State | None


@dataclass(frozen=True)
class _Known:
    """What was read of a run, and what it holds by: the number of its files' states, and its jobs."""

    state: int
    holders: Mapping[str, Holder]
    run: Run

    def as_json(self) -> list[Any]:
        holders = {
            job: holder.as_json() if isinstance(holder, Identity) else holder
            for job, holder in self.holders.items()
        }
        return [self.state, holders, self.run.as_json()]

    @classmethod
    def of_json(cls, found: list[Any]) -> "_Known":
        state, holders, run = found
        steps = {step: State(one) for step, one in run["steps"].items()}
        return cls(
            state,
            {job: _holder_of_json(holder) for job, holder in holders.items()},
            Run(**{**run, "state": State(run["state"]), "steps": steps}),
        )


def _holder_of_json(found: Any) -> Holder:
    if found is None:
        return None
    return Identity(**found) if isinstance(found, dict) else State(found)


class RunIndex:
    """The index of one workspace, for all threads of this process."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._folder = workspace, str(workspace.runs)
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._read, self._new = False, 0
        self._ahead, self._looked = 0, -math.inf
        self._listed: dict[str, Run] = {}

    @property
    def has_looked(self) -> bool:
        """Whether this process has seen all runs already: the first time may take long."""
        return self._looked > -math.inf

    def look(self, name: str) -> Run:
        """The run called ``name`` as it is now. One that cannot be read is lost."""
        known = self._known.get(name)
        with suppress(OSError, NoSuchJob):
            if known and is_open(f"{self._folder}/{name}") and self._holds(name, known):
                return known.run
        return self._read_anew(name)

    def all(self, within: float = 0.0) -> list[Run]:
        """All runs, newest first; those that were looked at so many seconds ago at most are as they were."""
        with self._lock:
            if time.monotonic() - self._looked > within:
                self._look_at_all()
            else:
                names = self._workspace.run_names()
                self._listed = {name: self._listed.get(name) or self.look(name) for name in names}
            return [*self._listed.values()]

    def _look_at_all(self) -> None:
        self._load()
        self._ahead, self._looked = clock_ahead(self._workspace.root), time.monotonic()
        names = self._workspace.run_names()
        self._listed = dict(zip(names, self._look_at(names), strict=True))
        self._known = {name: known for name, known in self._known.items() if name in self._listed}
        self._save()

    def _look_at(self, names: list[str]) -> list[Run]:
        """One after the other; where each look takes long, as on a disk of the network, many at once."""
        begun = time.monotonic()
        found = [self.look(name) for name in names[:TRIED]]
        if time.monotonic() - begun < SLOW * len(found):
            return [*found, *map(self.look, names[TRIED:])]
        with ThreadPoolExecutor(AT_ONCE, "look at runs") as threads:
            return [*found, *threads.map(self.look, names[TRIED:])]

    def at_work(self, within: float = 0.0) -> list[RunPaths]:
        """The runs that something is at work in, newest first."""
        self.all(within)
        return [
            RunPaths(self._workspace.runs / name)
            for name in self._workspace.run_names()
            if self._is_at_work(name)
        ]

    def _is_at_work(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            return is_at_work(RunPaths(self._workspace.runs / name))
        return any(isinstance(one, Identity) or one in LIVE for one in known.holders.values())

    def _holds(self, name: str, known: _Known) -> bool:
        return number_of(self._states(name, known.holders)) == known.state and all(
            holder is None or self._is_so(name, job, holder) for job, holder in known.holders.items()
        )

    def _is_so(self, name: str, job: str, holder: Identity | State) -> bool:
        if isinstance(holder, Identity):
            return is_alive(holder)
        return state_of(self._workspace.runs / name / job) is holder

    def _states(self, name: str, jobs: Iterable[str]) -> States:
        """Of the files that decide what a run is said to be. Raises OSError for what cannot be looked at."""
        folder = f"{self._folder}/{name}"
        found = states_of(folder, (*OWN, *(ENDED[job] for job in jobs)))
        for place, job in enumerate(jobs, len(OWN)):
            if not found[4 * place]:
                found += _files_alone(states_of(folder, LIVING[job]))
        return found

    def _read_anew(self, name: str) -> Run:
        paths, begun = RunPaths(self._workspace.runs / name), time.time_ns()
        jobs: list[str] = []
        states: States = []
        with suppress(OSError):
            jobs = [job for job in JOBS if paths.job(job).is_dir()]
            states = self._states(name, jobs)
        run = read_or_lost(paths)
        old_enough = states and begun + self._ahead - changed_last(states) > TICK
        if states and old_enough and not run.fault:
            holders = {job: _holder(JobPaths(paths.job(job))) for job in jobs}
            self._known[name] = _Known(number_of(states), holders, run)
            self._new += 1
        else:
            self._known.pop(name, None)
        return run

    def _load(self) -> None:
        """What the file says that was not read here meanwhile; nothing of one that is damaged."""
        if self._read:
            return
        self._read = True
        with suppress(DamagedFile, OSError, *ODD):
            self._known = _unpacked(read_bytes(self._workspace.run_index)) | self._known

    def _save(self) -> None:
        """Where nothing can be written, runs are read again by the next process."""
        if self._new > FEW + SHARE * len(self._known):
            with suppress(OSError):
                write_bytes(self._workspace.run_index, _packed(self._known))
            self._new = 0


def _files_alone(states: States) -> States:
    """Which files there are, whatever their times: a supervisor that lives touches its own now and then, and
    whether it lives is asked of the system."""
    return [number if place % 4 >= 2 else 0 for place, number in enumerate(states)]


def _holder(job: JobPaths) -> Holder:
    if (state := state_of(job.folder)) is None:
        return None
    if read_record(job.exit) is not None:
        for_good = state in {State.finished, State.failed} or (state is State.stopped and job.stop.exists())
        return None if for_good else state
    process = read_identity(job.tool) or read_identity(job.supervisor)
    return process if process and is_alive(process) and state in LIVE else state


def _packed(known: Mapping[str, _Known]) -> bytes:
    body = json.dumps({name: one.as_json() for name, one in known.items()}).encode()
    return b"%d %d\n" % (FORM, zlib.crc32(body)) + body


def _unpacked(content: bytes) -> dict[str, _Known]:
    """Raises one of ODD for what was not written whole, or by another version."""
    head, _, body = content.partition(b"\n")
    if head.split() != [b"%d" % FORM, b"%d" % zlib.crc32(body)]:
        raise ValueError(head)
    return {name: _Known.of_json(one) for name, one in json.loads(body).items()}


_INDEXES: dict[Path, RunIndex] = {}


def run_index(workspace: Workspace) -> RunIndex:
    """The index of a workspace in this process."""
    return _INDEXES.setdefault(workspace.root, RunIndex(workspace))


def list_runs(workspace: Workspace, within: float = 0.0) -> list[Run]:
    """All runs, newest first. One that cannot be read is lost and hides none of the others. ``within``: as
    they were at most so many seconds ago."""
    return run_index(workspace).all(within)
