"""``python -m core.jobs.supervise FOLDER``: start the job's tool, watch it, write how it ended.

It runs in a session of its own and the tool in another, so that no terminal, tab or server takes them
along. The tool's output goes straight into a file: nothing breaks when nobody reads. The tool outlives a
supervisor that is killed; started again in the same folder, a supervisor takes such a tool over.
"""

import ctypes
import errno
import math
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from core.container import oom_kills
from core.jobs.again import resume_once_more
from core.jobs.batch import leave
from core.jobs.done import done_at
from core.jobs.elsewhere import BEAT
from core.jobs.ending import Ending, Reason, ending, failure
from core.jobs.grace import TOOL_GRACE, granted
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.process import Identity, identify, is_alive, kill_group, read_identity, terminate_group
from core.jobs.progress import JOB_VARIABLE
from core.jobs.tail import last_lines
from core.jobs.turn import DeviceTurn, TakingUp
from core.workspace.files import read_record, write_json
from core.workspace.paths import know_workspace_of
from core.workspace.presence import refuse_where_gone
from core.workspace.private import keep_private

# Seconds between two looks for a request to stop, which must cost nothing, and for everything else.
POLL, FULL_LOOK = 0.3, 3.0
GRACE_VARIABLE = "TUNEBOARD_STOP_GRACE"
# How long a full disk may stay full before the word of how the job ended is lost, and how often to try.
WRITE_PATIENCE, WRITE_RETRY = 3600.0, 2.0
UNWRITABLE = {errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EIO}
RESERVE_BYTES = 16384
NO_ROOM = 65536
NOT_FOUND, NOT_EXECUTABLE = 127, 126
# How a tool ends that SIGTERM has ended, and how long after it its supervisor may hear of the same.
ASKED_TO_END = (-signal.SIGTERM, 128 + signal.SIGTERM)
HEARS_LATE = 2.0
LOG_LINES = 50
PR_SET_CHILD_SUBREAPER = 36


class Tool(Protocol):
    """A tool that was started: a child of this process, in a session of its own."""

    pid: int

    def wait(self) -> int:
        """Wait for its end: its exit code, -N for signal N."""


# With the files that the tool inherits: what it holds as long as it lives.
Start = Callable[[JobSpec, Path, Sequence[int]], Tool]


def start_program(spec: JobSpec, log: Path, held: Sequence[int] = ()) -> Tool:
    """Start a job's command, whose output goes into ``log``. Raises OSError, ValueError."""
    with log.open("ab") as output:
        return subprocess.Popen(
            spec.command,
            cwd=spec.cwd,
            env=environment_of(spec),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=held,
            start_new_session=True,
        )


def environment_of(spec: JobSpec) -> dict[str, str]:
    """What the tool of a job gets from its supervisor, and from the job."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **spec.env}


class Supervisor:
    """One tool, from its start to its ``exit.json``. ``start`` is another way to start it than as a
    program."""

    def __init__(self, paths: JobPaths, start: Start = start_program) -> None:
        self.paths = paths
        self.start = start
        self.stop_file = str(paths.stop)  # made once: it is looked for a million times in three days
        self.turn = DeviceTurn(paths.folder, None)
        self.signalled = False
        self.asked_at: float | None = None  # when TERM was sent, on the monotonic clock
        self.asked: JobSpec | None = None  # what its job.json says
        self.unwritten: Identity | None = None  # a tool.json that found no room yet
        self.me = identify(os.getpid())
        self.beaten = -math.inf  # when it last said that it lives, on the monotonic clock
        self.displaced = False  # Slurm has given the job to another node, and lost sight of this one
        self.wake = os.pipe()  # written to by signals: a select on it ends when the tool does

    def run(self) -> None:
        """Wait for the job's devices, start the tool, watch it to its end, write exit.json."""
        self.asked = read_spec(self.paths.folder)
        spec = self._told(self.asked)
        self._heed_signals()
        self.turn = DeviceTurn(self.paths.folder, spec.devices)
        self._announce()  # who sees it up finds it in line
        if not self._wait_for_turn():
            return
        try:
            self._run(replace(spec, env={**self.turn.environment(spec.env), **spec.env}))
        finally:
            self.turn.leave()

    def _wait_for_turn(self) -> bool:
        """Whether it came. A job that is stopped before has ended with that; one whose supervisor is only
        asked to end, as everything is when a machine goes down, keeps its place for the next supervisor."""
        taking_up = TakingUp()
        while not self.turn.begins():
            taking_up.look(self.turn.place)
            self._sleep(self.turn.pause)
            self._beat()
            if os.access(self.stop_file, os.F_OK):
                self.turn.leave()
                self._write_exit(Ending.unseen(Reason.stopped))
                return False
            if self.signalled:
                return False
        return True

    def _run(self, spec: JobSpec) -> None:
        started, kills = time.time(), oom_kills()
        _adopt_orphans()
        while True:
            try:
                tool = self.start(spec, self.paths.log, self.turn.lock)
            except (OSError, ValueError) as error:
                self._write_exit(self._not_started(error, started))
                return
            self.unwritten = one = identify(tool.pid)
            self._watch(one)
            returned = tool.wait()
            if self.displaced:
                return
            if self._is_done(one):
                self._write_exit(ending(0, Reason.finished, started, time.time()))
                return
            if returned in ASKED_TO_END:
                self._hear_it_too()
            if not self._goes_on(returned, spec.restarts):
                break
        self._write_exit(ending(returned, self._reason(returned, kills), started, time.time()))

    def _is_done(self, tool: Identity) -> bool:
        """What a tool has said to be done is done, whatever ended it after that word: a stop that came late,
        or a library that crashes when it is taken down."""
        return done_at(self.paths.folder, tool) is not None

    def _hear_it_too(self) -> None:
        """A machine that shuts down, or a cluster that makes room, asks everybody at once, and the tool may
        have ended before this process has heard of it: then it was asked to, and did not fail."""
        until = time.monotonic() + HEARS_LATE
        while self.asked_at is None and time.monotonic() < until:
            if self._grace() is not None:
                self.asked_at = time.monotonic()
            else:
                self._sleep()

    def _goes_on(self, returned: int, restarts: int) -> bool:
        """Whether a tool that crashed is started again; what its log says stays, with a word between."""
        if returned >= 0 or self.asked_at is not None or self._grace() is not None:
            return False
        if (times := resume_once_more(self.paths.folder, restarts)) is None:
            return False
        with suppress(OSError), self.paths.log.open("a", encoding="utf-8") as log:
            print(f"ended by signal {-returned}: started again, {times} of {restarts}", file=log)
        return True

    def _told(self, spec: JobSpec) -> JobSpec:
        """A tool is told where to say how far it is."""
        return replace(spec, env={**spec.env, JOB_VARIABLE: str(self.paths.folder)})

    def take_over(self, tool: Identity) -> None:
        """Watch the tool of a supervisor that was killed. How it ends is known only when it is stopped."""
        self._heed_signals()
        self._announce()
        _adopt_orphans()
        self._watch(tool)
        if self.asked_at is not None and not self.displaced:
            reason = Reason.finished if self._is_done(tool) else Reason.stopped
            self._write_exit(Ending.unseen(reason, tool.started))

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, _no_more_than_wake)
        os.set_blocking(self.wake[1], False)
        signal.set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)

    def _announce(self) -> None:
        with suppress(OSError):
            self.paths.reserve.write_bytes(bytes(RESERVE_BYTES))
        leave(self.paths.folder)
        write_json(self.paths.supervisor, self.me.as_json())

    def _beat(self) -> None:
        """Say to other machines that this one lives, and look whether another's supervisor has the job. What
        somebody has deleted of a job that runs is written again."""
        if time.monotonic() - self.beaten < BEAT:
            return
        self.beaten = time.monotonic()
        there = read_identity(self.paths.supervisor)
        self.displaced = there is not None and not self.me.is_same(there)
        if self.displaced:
            return
        with suppress(OSError):
            if there is None:
                write_json(self.paths.supervisor, self.me.as_json())
            if self.asked and not self.paths.spec.exists():
                write_json(self.paths.spec, self.asked.as_json())
            os.utime(self.paths.supervisor)

    def _on_signal(self, *_: object) -> None:
        self.signalled = True

    def _not_started(self, error: OSError | ValueError, started: float) -> Ending:
        with suppress(OSError), self.paths.log.open("a", encoding="utf-8", errors="replace") as log:
            print(f"{type(error).__name__}: {error}", file=log)
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        return Ending(code, None, Reason.not_started, started, time.time())

    def _watch(self, tool: Identity) -> None:
        """Sleep until the tool ends, looking up three times a second for a request to stop.

        The end of a child is a signal, which wakes; of a tool taken over it is seen at the next full look.
        """
        self._write_tool()
        looked = 0.0
        while True:
            if self._sleep() or self.asked_at is not None or time.monotonic() - looked > FULL_LOOK:
                looked = time.monotonic()
                if not self.paths.tool.exists():
                    self.unwritten = tool
                self._write_tool()
                _bury_orphans(tool.pid)
                self._beat()
                if _has_ended(tool) or self.displaced:
                    break
            grace = self._grace()
            if grace is not None:
                self._press(tool.pid, grace)
        # What it left behind must not keep a GPU busy. Until it is waited for, it still holds its group's id.
        kill_group(tool.pid, ancestor=os.getpid())

    def _sleep(self, seconds: float = POLL) -> bool:
        """Whether a signal ended the sleep."""
        woken = bool(select.select([self.wake[0]], [], [], seconds)[0])
        if woken:
            os.read(self.wake[0], 4096)
        return woken

    def _write_tool(self) -> None:
        if self.unwritten:
            with suppress(OSError):  # a full disk must not end the run; the next look tries again
                write_json(self.paths.tool, self.unwritten.as_json())
                self.unwritten = None
                self.turn.settle()

    def _grace(self) -> float | None:
        """How many seconds the tool may take to end; None while nobody asked it to."""
        if not self.signalled and not os.access(self.stop_file, os.F_OK):
            return None
        asked = (read_record(self.paths.stop) or {}).get("grace")
        for given in (asked, os.environ.get(GRACE_VARIABLE), TOOL_GRACE):
            with suppress(TypeError, ValueError):
                return granted(self.paths.folder, float(given))  # type: ignore[arg-type]  # None: TypeError
        return TOOL_GRACE

    def _press(self, tool: int, grace: float) -> None:
        """TERM once; KILL when the grace is over."""
        if self.asked_at is None:
            self.asked_at = time.monotonic()
            terminate_group(tool)
        elif time.monotonic() - self.asked_at >= grace:
            kill_group(tool, ancestor=tool)

    def _reason(self, returned: int, kills: int) -> Reason:
        """A tool that was asked to stop and then ends well has not finished its work."""
        if self.asked_at is not None:
            return Reason.stopped
        if returned == 0:
            return Reason.finished
        no_room = False
        with suppress(OSError):  # its disk may be gone
            no_room = shutil.disk_usage(self.paths.folder).free < NO_ROOM
        limited = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
        tail = last_lines(self.paths.log, LOG_LINES)
        return failure(returned, tail, oom_kills() > kills, no_room, limited)

    def _write_exit(self, ended: Ending) -> None:
        """A full disk gets the reserve back, then an hour to get room again. Raises OSError after that. On a
        disk that is read-only now, and in a folder that is gone, nobody writes; the job's log says why."""
        deadline = time.monotonic() + WRITE_PATIENCE
        while True:
            try:
                refuse_where_gone(self.paths.folder)
                write_json(self.paths.exit, ended.as_json())
                break
            except OSError as error:
                if error.errno in UNWRITABLE:
                    return
                if time.monotonic() > deadline:
                    raise
            if self.paths.reserve.exists():
                self.paths.reserve.unlink()
            else:
                time.sleep(WRITE_RETRY)
        with suppress(OSError):
            self.paths.reserve.unlink()


def _no_more_than_wake(*_: object) -> None:
    """A signal without a handler would not be written to the pipe."""


def _adopt_orphans() -> None:
    """Make this process the parent of whatever the tool leaves behind, so that it can be found and ended."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _bury_orphans(tool: int) -> None:
    """Take the ended orphans off the process table; the tool's own end is left to be waited for."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == tool:
                return
            os.waitpid(ended.si_pid, 0)


def _has_ended(tool: Identity) -> bool:
    """Of a child the system tells, whatever ``/proc`` shows; a tool taken over is nobody's child here."""
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, tool.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return not is_alive(tool)


def supervise(folder: Path, start: Start = start_program) -> None:
    """Run the job in ``folder``, or take its orphaned tool over. Exits 1 when there is nothing to do."""
    paths = JobPaths(folder)
    tool = read_identity(paths.tool)
    if paths.exit.exists() or (tool is not None and not is_alive(tool)):
        sys.exit(f"{folder}: this job has ended")
    if tool is None:
        Supervisor(paths, start).run()
    else:
        Supervisor(paths).take_over(tool)


def main(folder: Path, start: Start = start_program, patience: float = 0) -> None:
    """Supervise the job in ``folder`` unless another supervisor does, which exits 1. With ``patience`` this
    one takes the job from another, which ends itself when it sees that, at most so many seconds later: what
    holds the lock after that is a machine that is gone, of which NFS 3 keeps it until that one is back.
    """
    keep_private(folder)
    know_workspace_of(folder)
    lock = FileLock((file := JobPaths(folder).lock), timeout=patience)
    try:
        held = lock.acquire()
    except Timeout:
        if not patience:
            sys.exit(f"{folder}: another supervisor has this job")
        file.unlink(missing_ok=True)
        held = lock.acquire()
    with held:
        supervise(folder, start)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
