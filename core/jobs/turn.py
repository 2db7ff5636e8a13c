"""A job's turn: it waits in its workspace's line for the devices that it takes, and holds them as it runs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from core.errors import NoSuchJob, TuneboardError
from core.jobs.job import JobPaths, read_spec
from core.queue.devices import HELD_VARIABLE, Devices, Held, Kind, held_already
from core.queue.line import Hold, Line, LinePlace
from core.workspace.paths import PROJECT, workspace_around

# Who is told that a job waits: at which position (from 1), for which kind of device, and which other
# workspace's job has one.
Told = Callable[[int, Kind, Path | None], object]
_TOLD: ContextVar[Told | None] = ContextVar("told of waiting", default=None)


def line_in(workspace: Path) -> Line:
    """The line of the workspace in this folder, on this machine."""
    return Line(workspace, _here)


def _here(kind: Kind) -> list[str]:
    """Only who is first asks: hundreds that wait need no driver's library."""
    from core.queue.cards import here

    return here(kind)


def position(folder: Path) -> int | None:
    """At which place a job waits for its devices, from 1; None of one that does not, or is about to begin."""
    workspace = workspace_around(folder.absolute())
    return line_in(workspace).waits_at(folder.absolute()) if workspace else None


def another_has_it(folder: Path) -> Path | None:
    """The other workspace of which a job has a device of the kind that the job in ``folder`` waits for."""
    workspace, kind = workspace_around(folder.absolute()), kind_of(folder)
    found = line_in(workspace).elsewhere() if workspace else []
    return next((workspace_around(entry.job) for entry in found if entry.kind == kind), None)


def kind_of(folder: Path) -> Kind:
    """Of which kind the devices are that a job takes."""
    with suppress(NoSuchJob):  # somebody may have deleted its job.json
        if devices := read_spec(folder).devices:
            return devices.kind
    return "cpu"


def kept_in_turn(workspace: Path) -> float:
    """How many cores other programs keep from a computation that is asked for now. It waits for the jobs of
    its workspace, which take none from it then: they are no others while they compute, nor right after."""
    from core.machine import NEIGHBOURS

    line = line_in(workspace)
    return NEIGHBOURS.cores(time.time() if line.is_taken() else line.changed())


def is_kept_in_line(folder: Path) -> bool:
    """Whether a job that has no process will be taken up again, because it has a place in line."""
    workspace = workspace_around(folder.absolute())
    return workspace is not None and line_in(workspace).keeps(folder.absolute())


@contextmanager
def waiting_told(told: Told) -> Iterator[None]:
    """Until the block ends, ``told`` hears of a job that waits, each time that its position is another."""
    before = _TOLD.set(told)
    try:
        yield
    finally:
        _TOLD.reset(before)


class Telling:
    """Tells of one job that waits."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._last = folder, 0

    def look(self) -> None:
        """Tell where it stands, if that has changed."""
        told = None if JobPaths(self._folder).tool.exists() else _TOLD.get()
        if told is None or (now := position(self._folder) or 0) in {0, self._last}:
            return
        self._last = now
        told(now, kind_of(self._folder), another_has_it(self._folder))


class DeviceTurn:
    """The devices of the job in ``folder``: waited for, held, given back.

    Where whoever started it holds devices those are its own too. Where the line cannot be written (a full
    disk, one without locks) ``broke`` is told why, and the job begins as it would without a line.
    """

    def __init__(
        self,
        folder: Path,
        devices: Devices | None,
        terminal: bool = False,
        broke: Callable[[str], object] = print,
    ) -> None:
        self._broke = broke
        self._place: LinePlace | None = None
        self._hold: Hold | None = None
        self._line: Line | None = None
        workspace = workspace_around(folder)
        if devices is None or workspace is None:
            return
        line = line_in(workspace)
        with self._unless_broken():
            if (given := held_already(os.environ)) is None:
                self._place = line.join(folder, devices, terminal)
            elif given.devices:
                self._hold = line.share(folder, given)
            self._line = line

    def begins(self) -> bool:
        """Whether it may begin; asked again after :attr:`pause` seconds."""
        if self._place is not None and self._hold is None:
            with self._unless_broken():
                self._hold = self._place.begin()
                return self._hold is not None
        return True

    @property
    def pause(self) -> float:
        return self._place.pause if self._place else 0.0

    @property
    def place(self) -> LinePlace | None:
        """Its place in line; None where it waits for nothing."""
        return self._place

    @property
    def lock(self) -> tuple[int, ...]:
        """What the tool has to inherit: it may outlive its supervisor."""
        return (self._hold.lock,) if self._hold else ()

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What the tool is told of its devices, beside what it is ``given`` anyway."""
        if self._hold is None or held_already(os.environ):
            return {}
        from core.queue.cards import VISIBLE, only

        seen = {} if given.get(VISIBLE) == "" else only(self._hold.devices)
        return {HELD_VARIABLE: Held(self._hold.id, self._hold.devices).as_text(), **seen}

    def settle(self) -> None:
        """The tool has begun."""
        if self._place is not None:
            with self._unless_broken():
                if self._hold:
                    self._hold.settle()
                self._place.settle()
            self._place = None

    def leave(self) -> None:
        """Leave the line, or give the devices back."""
        with self._unless_broken():
            if self._hold:
                self._hold.release()
            if self._place:
                self._place.leave()
        self._hold = self._place = None

    @contextmanager
    def _unless_broken(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TuneboardError) as error:
            self._broke(f"no queue: {error}")
            self._place = None


def forget(folder: Path, held: bool = False) -> None:
    """A job that does not wait any more is in nobody's way, and is not taken up again; ``held``: nor is one
    that is about to be ended."""
    if workspace := workspace_around(folder.absolute()):
        with suppress(OSError):
            line_in(workspace).forget(folder.absolute(), held)


class TakingUp:
    """Whoever is first in line sees to those whose supervisor was killed: a program of its own starts them
    again (:mod:`core.jobs.take_up`), because what this process starts would end with its tool."""

    def __init__(self) -> None:
        self._program: subprocess.Popen[bytes] | None = None

    def look(self, place: LinePlace | None) -> None:
        """Start it where it is needed, and see to its end."""
        if place is None or (self._program and self._program.poll() is None):
            return
        if self._program:
            place.pass_over()
            self._program = None
        if place.sees_killed():
            command = [sys.executable, "-m", "core.jobs.take_up", str(place.line.root)]
            with suppress(OSError):
                self._program = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL)


def is_to_be_taken_up(folder: Path) -> bool:
    """Whether a job that stood in line was asked for and neither begun nor stopped."""
    paths = JobPaths(folder)
    return paths.spec.exists() and not any(file.exists() for file in (paths.tool, paths.stop, paths.exit))
