"""Who computes on which device of this machine, who waits for one, and until when."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from core.errors import NotInLine, TuneboardError
from core.jobs.launch import stop, wait
from core.jobs.status import LIVE, State, read_status
from core.jobs.take_up import take_up
from core.jobs.turn import line_in, position
from core.pace import about
from core.pipeline import chain, chain_stages, took
from core.queue.cards import computing, here
from core.queue.devices import Kind
from core.queue.line import LineEntry
from core.runs import CHAIN
from core.wording import say
from core.workspace.files import ODD
from core.workspace.paths import RunPaths, Workspace, workspace_around

# Of so many jobs it is worked out how long they take; the others take as long as these on average.
WORKED_OUT = 12
# What is asked for now stands last in line, under a name that no ticket has.
ASKED_NOW = ""
# How many times as long another workspace's job may take, and at least so many seconds longer.
TWICE, SOME_MINUTES = 2.0, 300.0
# A waiting supervisor is woken to leave; so many seconds until whoever asked is told all the same.
LEAVES = 5.0


@dataclass(frozen=True)
class Queued:
    """A job that computes or waits. ``device``: what it has (``cpu``, ``gpu:0``), else of which kind it waits
    for one. ``begins``: seconds until its turn, None where nobody can say (a chat has the card); ``latest``:
    the same at the latest, as far as anybody knows: more, where a job of another workspace comes before it.
    ``workspace``: another one, whose job it is. ``alone``: seconds that one which waits takes once it has its
    devices to itself, None where nobody knows."""

    run: str | None
    step: str
    device: str
    position: int | None
    state: State
    job: Path
    begins: float | None = None
    workspace: Path | None = None
    latest: float | None = None
    alone: float | None = None

    def as_json(self) -> dict[str, Any]:
        kept = ("run", "step", "device", "position", "state")
        begins = None if self.begins is None else round(self.begins)
        workspace = str(self.workspace) if self.workspace else None
        found = {key: value for key, value in asdict(self).items() if key in kept}
        return {**found, "begins": begins, "workspace": workspace}

    def told(self) -> str:
        """Where it stands, in a sentence."""
        where = say("queue.place", position=self.position, device=say(f"queue.device.{self.device}"))
        return say("row.separator").join([where, _begins_told(self.begins, self.latest)])


def _begins_told(begins: float | None, latest: float | None) -> str:
    if begins is None:
        return say("queue.begins.unknown")
    if latest is not None and latest > begins:
        return say("queue.begins.between", time=about(begins), latest=about(latest))
    return say("queue.begins", time=about(begins))


class Turns:
    """Whose turn it is and whose it will be, as it is when this is made. How long each takes is worked out
    once, and where nobody waits only for whoever asks when the next would begin."""

    def __init__(self, workspace: Workspace) -> None:
        line = line_in(workspace.root)
        self._workspace, self._entries, self._elsewhere = workspace, line.entries(), line.elsewhere()

    @cached_property
    def jobs(self) -> list[Queued]:
        """Who has devices, by device, in the user's other workspaces first; then who waits, in order."""
        waits = any(entry.position for entry in self._entries)
        begins, latest = (self._begins, self._latest) if waits else ({}, {})
        return [
            *(_of_another(entry) for entry in self._elsewhere),
            *(
                replace(
                    _queued(self._workspace, entry, begins.get(entry.id)),
                    latest=latest.get(entry.id),
                    alone=self._takes_alone(entry) if waits else None,
                )
                for entry in self._entries
            ),
        ]

    @property
    def next_told(self) -> str:
        """When what is asked for now would begin, in words; empty where it begins at once."""
        begins = self._begins[ASKED_NOW]
        return "" if begins == 0 else _begins_told(begins, self._latest[ASKED_NOW])

    @property
    def is_another_before(self) -> bool:
        """Whether a job of another workspace has what is asked for now."""
        return any(entry.kind == computing().kind for entry in self._elsewhere)

    @cached_property
    def _begins(self) -> Mapping[str, float | None]:
        return self._when(late=False)

    @cached_property
    def _latest(self) -> Mapping[str, float | None]:
        return self._when(late=True) if self._elsewhere else self._begins

    def _when(self, late: bool) -> Mapping[str, float | None]:
        asked_now = LineEntry(self._workspace.root, ASKED_NOW, (), computing().kind, 1)
        return _begins(self._workspace, [*self._elsewhere, *self._entries], asked_now, self._takes, late)

    @cached_property
    def _takes(self) -> Mapping[str, float]:
        """How long those that wait take, as far as it is worked out."""
        waiting = [entry for entry in self._entries if entry.position]
        return {entry.id: _left(self._workspace, entry) for entry in waiting[:WORKED_OUT]}

    def _takes_alone(self, entry: LineEntry) -> float | None:
        takes = self._takes.get(entry.id, math.inf)
        return takes if 0 < takes < math.inf else None


def queued(workspace: Workspace) -> Turns:
    """Who has devices and who waits, now. Who waits and has lost its supervisor gets another one first."""
    taken_up(workspace)
    return Turns(workspace)


def taken_up(workspace: Workspace) -> list[Path]:
    """Take up again what waited when its supervisor was killed, or the machine went down; these jobs."""
    return take_up(workspace.root, lambda folder: _secrets(workspace, folder))


def place_of(workspace: Workspace, run: RunPaths) -> Queued | None:
    """The first job of ``run`` that waits."""
    waiting = (one for one in queued(workspace).jobs if one.run == run.id and one.position)
    return next(waiting, None)


def waiting(job: Path) -> Queued | None:
    """A job as it waits for its devices; None of one that does not, or is about to begin."""
    root = workspace_around(job)
    if root is None or position(job) is None:
        return None
    return next((one for one in Turns(Workspace(root)).jobs if one.job == job and one.position), None)


def waiting_job(workspace: Workspace, run: str) -> Path:
    """The first job of a run that waits. Raises NotInLine."""
    for entry in line_in(workspace.root).entries():
        if entry.position and _run_of(workspace, entry.job) == run:
            return entry.job
    raise NotInLine(run=run)


def move(workspace: Workspace, job: Path, position: int) -> None:
    """Let a job wait at ``position``, from 1. Raises NotInLine, OSError."""
    line_in(workspace.root).move(_ticket(workspace, job), position)


def run_now(workspace: Workspace, job: Path) -> None:
    """Let it begin beside whoever has the devices. Raises NotInLine, OSError."""
    line_in(workspace.root).hurry(_ticket(workspace, job))


def cancel(workspace: Workspace, job: Path, by: str) -> None:
    """Let it leave the line: it is stopped, and can be asked for again. Raises NotInLine, OSError."""
    _ticket(workspace, job)
    stop(job, by)
    wait(job, timeout=LEAVES)


def _ticket(workspace: Workspace, job: Path) -> str:
    line = line_in(workspace.root)
    if line.position(job) is None:
        raise NotInLine(run=job.parent.name)
    return line.id_of(job)


def _queued(workspace: Workspace, entry: LineEntry, begins: float | None) -> Queued:
    state = State.waiting if entry.position else State.running
    device = " ".join(entry.devices) or entry.kind
    run, step = _run_of(workspace, entry.job), entry.job.name
    return Queued(run, step, device, entry.position, state, entry.job, begins)


def _of_another(entry: LineEntry) -> Queued:
    device, root = " ".join(entry.devices), workspace_around(entry.job)
    return Queued(None, entry.job.name, device, None, State.running, entry.job, workspace=root)


def _run_of(workspace: Workspace, job: Path) -> str | None:
    return job.parent.name if job.parent.parent == workspace.runs else None


def _secrets(workspace: Workspace, folder: Path) -> dict[str, str]:
    """A chain that fetches its model may need what a download takes."""
    if folder.name == CHAIN and _run_of(workspace, folder):
        with suppress(TuneboardError):
            return chain.secrets(workspace, chain.asked_before(RunPaths(folder.parent)))
    return {}


def _begins(
    workspace: Workspace,
    entries: Sequence[LineEntry],
    last: LineEntry,
    known: Mapping[str, float],
    late: bool,
) -> Mapping[str, float | None]:
    """When each that waits begins, and ``last`` after them: as soon as all before it have their devices, and
    as many are free as it takes; ``late``: at the latest, as far as other workspaces are known."""
    waiting = [entry for entry in entries if entry.position]
    ends = {device: _ends(workspace, entry, late) for entry in entries for device in entry.devices}
    kinds: set[Kind] = {entry.kind for entry in (*waiting, last)}
    free = {kind: sorted(ends.get(device, 0.0) for device in here(kind)) for kind in kinds}
    usual = fmean([one for one in known.values() if one < math.inf] or [0.0])
    found: dict[str, float | None] = {}
    for entry in (*waiting, last):
        devices = free[entry.kind] or [0.0]
        count = min(entry.count, len(devices))
        begins = devices[count - 1]
        found[entry.id] = begins if begins < math.inf else None
        takes = known.get(entry.id, usual)
        free[entry.kind] = sorted([begins + takes] * count + devices[count:])
    return found


def _around(workspace: Workspace, entry: LineEntry) -> Workspace:
    """The workspace that a job is of, where that is another one."""
    root = workspace_around(entry.job) if entry.devices else None
    return Workspace(root) if root else workspace


def _ends(workspace: Workspace, entry: LineEntry, late: bool) -> float:
    """Seconds until a job gives its devices back. What another workspace does nobody here can promise: it may
    take twice as long, some minutes at least, and who waits there may come first."""
    around = _around(workspace, entry)
    left = _left(around, entry)
    if not late or around == workspace:
        return left
    theirs = [one for one in line_in(around.root).entries() if one.position]
    return max(TWICE * left, left + SOME_MINUTES) + sum(_left(around, one) for one in theirs[:WORKED_OUT])


def _left(workspace: Workspace, entry: LineEntry) -> float:
    """Seconds that a job still takes; infinite for one that ends when somebody ends it, or of which nobody
    knows."""
    if entry.job == workspace.chat_server:
        return math.inf
    run = RunPaths(entry.job.parent)
    with suppress(TuneboardError, OSError, *ODD):
        if entry.job.name == CHAIN:
            return chain_stages.read_progress(workspace, run).seconds
        if entry.job.name == "train":
            return took.seconds_of_training(workspace, run)
        if _run_of(workspace, entry.job) and read_status(entry.job).state in LIVE:
            asked = chain.asked_before(run)
            costs = took.costs_of_run(workspace, run, asked) if asked else {}
            return costs["ask"].whole if "ask" in costs else math.inf
    return math.inf
