"""The line of one machine's jobs in a workspace: tickets, each a file that its job holds a lock on.

A ticket in ``waiting/`` says by its name where in the line its job stands; one in ``running/`` says which
devices its job has. Whoever holds a ticket is alive: the system lets go of the lock (flock) of whatever is
killed, and of nothing else, so that nothing has to be cleaned up. The tool of a job inherits the lock, for it
may outlive its supervisor. Only a change of the line, which takes a moment, is made under a lock of all.

Nobody serves the line. Whoever waits looks whether a ticket before its own is alive, which costs as much as
listing a folder; only the first one looks at the devices as well. Whoever leaves wakes the first one.
"""

import fcntl
import hashlib
import json
import math
import os
import secrets
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from core.queue import neighbours
from core.queue.devices import CPU, Devices, Held, Kind, chosen
from core.workspace.files import ODD, held, read_record
from core.workspace.paths import QueuePaths, make_folder

# Seconds between two looks of whoever is first; of the others, so many for each that stands before, up to
# the most; and between two looks of the first one for tickets that nobody holds any more.
FIRST_LOOK, OTHER_LOOK, MOST_LOOK, SWEEP = 0.5, 5.0, 60.0, 5.0
# What a waiting ticket's name may say besides: it goes at once, or its job ends with a terminal.
AT_ONCE, TERMINAL = "now", "here"


@dataclass(frozen=True)
class Ticket:
    """A place in the line: ``seat`` orders those of one kind of device."""

    seat: int
    kind: Kind
    id: str
    marks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return ".".join([f"{self.seat:08d}", self.kind, self.id, *self.marks])

    @classmethod
    def of(cls, name: str) -> "Ticket | None":
        """The ticket of a file; None for a file that is none."""
        seat, _, rest = name.partition(".")
        kind, *words = rest.split(".")
        if not (seat.isdecimal() and words and kind in get_args(Kind)):
            return None
        return cls(int(seat), "cpu" if kind == CPU else "gpu", words[0], tuple(words[1:]))


@dataclass(frozen=True)
class LineEntry:
    """One job of the line. ``position`` counts from 1 among those that wait for the same kind of device; None
    of one that runs, which has its ``devices``."""

    job: Path
    id: str
    devices: tuple[str, ...]
    kind: Kind
    count: int
    position: int | None = None


class Line:
    """The line in the workspace ``root`` on this machine. ``here``: the names of its devices of a kind."""

    def __init__(self, root: Path, here: Callable[[Kind], Sequence[str]]) -> None:
        self.root = root
        self.paths = QueuePaths.of(root, socket.gethostname())
        self._here = here

    def join(self, job: Path, devices: Devices, terminal: bool = False) -> "LinePlace":
        """Stand in line: in the place of an earlier ticket of this job that nobody holds, else at the end.
        Raises OSError, NotWritable."""
        neighbours.join(self.root)
        with self._changing():
            return LinePlace(self, self._seated(job, devices, terminal))

    def share(self, job: Path, taken: Held) -> "Hold":
        """Hold as well what whoever started this job holds: it stays taken as long as either lives. Raises
        OSError, NotWritable."""
        with self._changing():
            return self._run(job, taken.devices, outer=taken.ticket)

    def entries(self) -> list[LineEntry]:
        """Who has which devices, then who waits, in order."""
        running = list(self._live())
        return [*self._running_entries(running), *self._waiting_entries({found["id"] for found in running})]

    def elsewhere(self) -> list[LineEntry]:
        """Who has devices of this machine in its user's other workspaces."""
        found = list[LineEntry]()
        for line in self._others():
            with suppress(OSError, *ODD):  # its disk may be gone
                found += line._running_entries([*line._live()])
        return found

    def _others(self) -> "list[Line]":
        return [Line(root, self._here) for root in neighbours.others(self.root)]

    def _running_entries(self, running: Sequence[Mapping[str, Any]]) -> list[LineEntry]:
        ids = {found["id"] for found in running}
        found = [
            LineEntry(
                self.root / one["job"],
                one["id"],
                tuple(one["devices"]),
                _kind_of(one["devices"]),
                len(one["devices"]),
            )
            for one in running
            if one.get("outer") not in ids and one["devices"]
        ]
        return sorted(found, key=lambda one: one.devices)

    def _waiting_entries(self, running: set[str]) -> Iterator[LineEntry]:
        places = Counter[str]()
        for ticket in self.waiting():
            about = read_record(self.paths.waiting / ticket.name)
            if about and ticket.id not in running:
                places[ticket.kind] += 1
                count = int(about.get("count", 1))
                yield LineEntry(
                    self.root / about["job"], ticket.id, (), ticket.kind, count, places[ticket.kind]
                )

    def position(self, job: Path) -> int | None:
        """Where a job stands in line, from 1; None where it does not."""
        found = [ticket for ticket in self.waiting() if not self._has_devices(ticket)]
        mine = next((ticket for ticket in found if ticket.id == self.id_of(job)), None)
        return sum(one.kind == mine.kind and one.seat <= mine.seat for one in found) if mine else None

    def keeps(self, job: Path) -> bool:
        """Whether there is a place for a job, for its supervisor or for the next one if that was killed."""
        mine = self._ticket(self.id_of(job))
        return mine is not None and TERMINAL not in mine.marks

    def is_taken(self) -> bool:
        """Whether somebody has a device, in another workspace too."""
        return any(found["devices"] for found in self._live()) or bool(self.elsewhere())

    def changed(self) -> float:
        """When somebody got a device or gave one back last, in seconds since the epoch; else 0."""
        return max(line._changed() for line in (self, *self._others()))

    def _changed(self) -> float:
        with suppress(OSError):
            return self.paths.running.stat().st_mtime
        return 0.0

    def waits_at(self, job: Path) -> int | None:
        """The same of one that has to wait: None too for the first one while as much as it takes is free."""
        place, mine = self.position(job), self._ticket(self.id_of(job))
        if place != 1 or mine is None:
            return place
        about = read_record(self.paths.waiting / mine.name) or {}
        wanted = Devices(int(about.get("count", 1)), mine.kind, named=tuple(about.get("named", ())))
        return 1 if self._free(wanted) is None else None

    def waiting(self) -> list[Ticket]:
        """All tickets of the line in order, held or not."""
        with suppress(FileNotFoundError):
            found = map(Ticket.of, sorted(_names(self.paths.waiting)))
            return [ticket for ticket in found if ticket]
        return []

    def move(self, ticket_id: str, position: int) -> None:
        """Let a job stand at ``position`` (from 1) among those of its kind. One that has left the line stays
        where it is. Raises OSError."""
        with self._changing():
            mine = self._ticket(ticket_id)
            if mine is None:
                return
            kind = [one for one in self.waiting() if one.kind == mine.kind and not self._has_devices(one)]
            others = [one for one in kind if one.id != mine.id]
            behind = others[max(0, position - 1) :]
            seat = behind[0].seat if behind else others[-1].seat + 1 if others else mine.seat
            for one in reversed(behind):  # from the last one: at each moment all stand in order
                self._rename(one, replace(one, seat=one.seat + 1))
            self._rename(mine, replace(mine, seat=seat))
        self.wake()

    def hurry(self, ticket_id: str) -> None:
        """Let a job begin at once, though others have the devices. Raises OSError."""
        with self._changing():
            if (mine := self._ticket(ticket_id)) and AT_ONCE not in mine.marks:
                hurried = replace(mine, marks=(*mine.marks, AT_ONCE))
                self._rename(mine, hurried)
                self._wake(hurried)

    def forget(self, job: Path, held: bool = False) -> None:
        """Take a job's ticket away, one that nobody holds unless it may be ``held``. Raises OSError."""
        if self._ticket(self.id_of(job)):
            with self._changing():
                if (mine := self._ticket(self.id_of(job))) and (held or not self._is_held(mine)):
                    self._drop(mine)

    def abandoned(self) -> list[Path]:
        """The jobs that stand in line and whose supervisor was killed: each is to be taken up again, in its
        place. One that a terminal waited for ended with it."""
        found = []
        for ticket in self.waiting():
            if self._is_held(ticket) or self._has_devices(ticket):
                continue
            about = read_record(self.paths.waiting / ticket.name)
            if TERMINAL in ticket.marks or not about:
                with self._changing():
                    self._drop(ticket)
            else:
                found.append(self.root / about["job"])
        return found

    def wake(self) -> None:
        """Let whoever is first of each kind look at once."""
        seen = set[str]()
        for ticket in self.waiting():
            if ticket.kind not in seen and self._is_held(ticket):
                seen.add(ticket.kind)
                self._wake(ticket)

    def id_of(self, job: Path) -> str:
        """The same for every try of a job."""
        return hashlib.sha256(self._named(job).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def _named(self, job: Path) -> str:
        return os.path.relpath(job, self.root)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        for folder in (self.paths.waiting, self.paths.running):
            make_folder(folder, exist_ok=True)
        with held(self.paths.lock):
            yield

    def _seated(self, job: Path, devices: Devices, terminal: bool) -> "_Mine":
        before = self._ticket(self.id_of(job))
        seat = before.seat if before else max((one.seat for one in self.waiting()), default=0) + 1
        ticket = Ticket(seat, devices.kind, self.id_of(job), (TERMINAL,) if terminal else ())
        wanted = {"count": devices.count, "named": devices.named}
        about = {"job": self._named(job), **wanted, "pid": os.getpid(), "asked": time.time()}
        lock = _write_held(self.paths.waiting / ticket.name, about)
        if before and before.name != ticket.name:
            self._drop(before)
        return _Mine(job, devices, terminal, ticket.id, lock)

    def _begin(self, mine: "_Mine", at_once: bool) -> "Hold | None":
        with neighbours.choosing():
            names = self._free(mine.devices, at_once, tidy=True)
            return None if names is None else self._run(mine.job, tuple(names))

    def _free(self, devices: Devices, at_once: bool = False, tidy: bool = False) -> list[str] | None:
        """Those that a job would get now; None where too few are free."""
        taken = Counter(device for found in self._live(tidy) for device in found["devices"])
        taken.update(device for entry in self.elsewhere() for device in entry.devices)
        return chosen(devices, self._here(devices.kind), taken, at_once)

    def _run(self, job: Path, devices: tuple[str, ...], outer: str | None = None) -> "Hold":
        about = {"job": self._named(job), "id": self.id_of(job), "devices": devices, "outer": outer}
        lock = _write_held(self.paths.running / self.id_of(job), about)
        return Hold(self, self.id_of(job), devices, lock)

    def _live(self, tidy: bool = False) -> Iterator[dict[str, Any]]:
        """What is written of whoever has devices; ``tidy``, under the lock of all, takes away what is left of
        others."""
        for name in self._running_ids():
            file = self.paths.running / name
            if not _is_held(file):
                if tidy:
                    file.unlink(missing_ok=True)
            elif found := read_record(file):
                yield found

    def _running_ids(self) -> set[str]:
        with suppress(FileNotFoundError):
            return {name for name in _names(self.paths.running) if not name.startswith(".")}
        return set()

    def _has_devices(self, ticket: Ticket) -> bool:
        """Whether its job is on its way from waiting to running."""
        return _is_held(self.paths.running / ticket.id)

    def _is_held(self, ticket: Ticket) -> bool:
        return _is_held(self.paths.waiting / ticket.name)

    def _ticket(self, ticket_id: str) -> Ticket | None:
        return next((ticket for ticket in self.waiting() if ticket.id == ticket_id), None)

    def _rename(self, before: Ticket, after: Ticket) -> None:
        (self.paths.waiting / before.name).rename(self.paths.waiting / after.name)

    def _drop(self, ticket: Ticket) -> None:
        (self.paths.waiting / ticket.name).unlink(missing_ok=True)

    def _wake(self, ticket: Ticket) -> None:
        """By a signal that means nothing to a process which does not wait for it."""
        pid = (read_record(self.paths.waiting / ticket.name) or {}).get("pid")
        if isinstance(pid, int) and pid > 1:
            with suppress(OSError):
                os.kill(pid, signal.SIGCHLD)


@dataclass(frozen=True)
class _Mine:
    """A ticket as its holder knows it; others may move it meanwhile."""

    job: Path
    devices: Devices
    terminal: bool
    id: str
    lock: int


class LinePlace:
    """A place in line, held by this process until it has its devices, or leaves.

    ``first``: nobody alive stands before it; then it also looks after those whose supervisor was killed.
    """

    def __init__(self, line: Line, mine: _Mine) -> None:
        self.line = line
        self.first = False
        self._mine = mine
        self._ticket: Ticket | None = None  # as it was named at the last look
        self._before: Ticket | None = None  # somebody alive before it, at the last look
        self._ahead = 0
        self._dead = self._passed = frozenset[str]()
        self._swept = time.monotonic()

    def begin(self) -> "Hold | None":
        """The devices, once it is this job's turn and they are free. Raises OSError."""
        if self._waits_still():
            return None
        at_once = self._look()
        if not at_once and not (self._is_next and self.line._free(self._mine.devices) is not None):
            return None
        with self.line._changing():
            if not self.line._ticket(self._mine.id):  # somebody has deleted it
                self.settle()
                self._mine = self.line._seated(self._mine.job, self._mine.devices, self._mine.terminal)
            at_once = self._look()
            return self.line._begin(self._mine, at_once) if at_once or self._is_next else None

    @property
    def pause(self) -> float:
        """How many seconds to sleep until the next look."""
        return FIRST_LOOK if self.first else min(OTHER_LOOK * max(1, self._ahead), MOST_LOOK)

    def sees_killed(self) -> bool:
        """Whether this is the one to take up again what others' killed supervisors have left."""
        now = time.monotonic()
        if not self.first or (self._is_next and now - self._swept < SWEEP):
            return False
        self._swept = now
        return bool(self.line.abandoned())

    def pass_over(self) -> None:
        """Wait no more for those that are dead: to take them up again was tried."""
        self._passed = self._dead

    def leave(self) -> None:
        """Give the place up. Raises OSError."""
        with self.line._changing():
            if mine := self.line._ticket(self._mine.id):
                self.line._drop(mine)
        self.settle()
        self.line.wake()

    def settle(self) -> None:
        """Let go of the ticket."""
        with suppress(OSError):
            os.close(self._mine.lock)

    def _waits_still(self) -> bool:
        """Whether nothing has changed since the last look, as far as that can be told at almost no cost: two
        hundred wait, and only one is first."""
        if self._ticket is None or self._before is None or not self._mine.devices.waits:
            return False
        names = _names(self.line.paths.waiting)
        self._ahead = sum(name < self._ticket.name for name in names)
        return self._ticket.name in names and self.line._is_held(self._before)

    @property
    def _is_next(self) -> bool:
        return self.first and self._dead <= self._passed

    def _look(self) -> bool:
        """See who stands before; whether this job goes at once."""
        found = self.line.waiting()
        mine = next((one for one in found if one.id == self._mine.id), None)
        kind, seat = self._mine.devices.kind, mine.seat if mine else math.inf
        self._ticket, self._before, dead = mine, None, set[str]()
        for one in reversed([one for one in found if one.kind == kind and one.seat < seat]):
            if self.line._has_devices(one):
                continue
            if self.line._is_held(one):
                self._before = one
                break
            if TERMINAL not in one.marks:
                dead.add(one.id)
        self.first, self._dead = self._before is None, frozenset(dead)
        self._ahead = sum(one.seat < seat for one in found)
        return not self._mine.devices.waits or bool(mine and AT_ONCE in mine.marks)


@dataclass(frozen=True)
class Hold:
    """Devices that a job has: as long as this process lives, or one that has inherited ``lock``."""

    line: Line
    id: str
    devices: tuple[str, ...]
    lock: int

    @property
    def held(self) -> Held:
        return Held(self.id, self.devices)

    def settle(self) -> None:
        """The job has begun: it waits no more, and is nobody's to begin again. Raises OSError."""
        if self.line._ticket(self.id):
            with self.line._changing():
                if mine := self.line._ticket(self.id):
                    self.line._drop(mine)
            self.line.wake()

    def release(self) -> None:
        """Give the devices back. Raises OSError."""
        (self.line.paths.running / self.id).unlink(missing_ok=True)
        with suppress(OSError):
            os.close(self.lock)
        for line in (self.line, *self.line._others()):
            with suppress(OSError):
                line.wake()


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as found:
        return [entry.name for entry in found]


def _kind_of(devices: Sequence[str]) -> Kind:
    return "cpu" if [*devices] == [CPU] else "gpu"


def _write_held(path: Path, about: dict[str, Any]) -> int:
    """Write a file that is held from its first moment on; returns what holds it. Raises OSError."""
    partial = path.with_name(f".{secrets.token_hex(8)}")
    lock = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, json.dumps(about).encode())
        partial.replace(path)
    except BaseException:
        os.close(lock)
        with suppress(OSError):
            partial.unlink()
        raise
    return lock


def _is_held(path: Path) -> bool:
    """Whether a process lives that holds the file. Two who ask at once do not take each other for it."""
    try:
        asked = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(asked, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks
        return False
    finally:
        os.close(asked)
    return False
