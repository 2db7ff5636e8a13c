"""Start a job, ask it to stop, wait for its end. Whoever starts it may die: the job does not notice."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import JobNotStarted, JobRunning, reason_of
from core.jobs.batch import SlurmBatch, write_batch
from core.jobs.elsewhere import is_elsewhere
from core.jobs.ending import Ending, Reason
from core.jobs.environment import inherited
from core.jobs.forks import worker
from core.jobs.grace import TOOL_GRACE
from core.jobs.job import JobPaths, JobSpec
from core.jobs.process import Identity, is_alive, read_identity
from core.jobs.status import LIVE, START_TIMEOUT, Status, is_live, read_status
from core.jobs.submit import stops_elsewhere, submit, take_back_waiting
from core.jobs.tail import last_lines
from core.jobs.turn import forget, is_to_be_taken_up
from core.slurm.profile import Profile
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, make_folder
from core.workspace.user import stand_in

# A supervisor that has written exit.json still needs a moment to leave; seconds.
LEAVE_TIMEOUT = 5.0
# Seconds between two looks whether a supervisor is up.
LOOK = 0.01
# And whether a job has ended, which costs a microsecond.
END_LOOK = 0.02


def launch(
    folder: Path,
    spec: JobSpec,
    secrets: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> None:
    """Start the job in ``folder`` under a supervisor of its own and return when that is up (at most 10 s).

    Files of an earlier try move to ``previous/N``. A job inherits no secret of the environment
    (core.jobs.environment): ``secrets`` are the only ones it gets, and are written nowhere. ``before`` does
    what only this start may do, such as deleting what it makes anew: it is called under the launch's lock,
    once it is sure that no other job runs here; what it raises ends the launch. A job with a profile is
    handed to Slurm, which gets no secret.
    Raises JobRunning, JobNotStarted, NotWritable.
    """
    paths = JobPaths(folder.absolute())
    make_folder(paths.folder, exist_ok=True)
    try:
        with idle(paths.folder):
            if before:
                before()
            make_room(paths, spec)
            if spec.profile:
                submit([paths.folder], spec.profile)
            else:
                _start_supervisor(paths, secrets)
    except OSError as error:
        raise JobNotStarted(folder=folder, reason=_both(error)) from error


def launch_together(jobs: Mapping[Path, JobSpec], profile: Profile, at_once: int = 0) -> None:
    """Hand jobs to Slurm as one array, of which ``at_once`` run at a time (0: as many as may): each is a job
    as any other, in its own folder. Raises JobRunning for the first that runs, before any is handed over;
    JobNotStarted, NotWritable.
    """
    paths = [JobPaths(folder.absolute()) for folder in jobs]
    with ExitStack() as held:
        for one in paths:
            make_folder(one.folder, exist_ok=True)
            held.enter_context(idle(one.folder))
        try:
            for one, spec in zip(paths, jobs.values(), strict=True):
                make_room(one, replace(spec, profile=profile))
            submit([one.folder for one in paths], profile, at_once)
        except OSError as error:
            raise JobNotStarted(folder=paths[0].folder, reason=_both(error)) from error


def _both(error: OSError) -> str:
    """Why the system refused, in words and in its own, by which the cause is found in a chain's log."""
    said, own = reason_of(error), error.strerror or ""
    return said if own in said else f"{said} ({own})"


@contextmanager
def idle(folder: Path) -> Iterator[None]:
    """Hold a job folder in which nothing runs: until the block ends nobody launches there. For whatever may
    happen only while no job is at work. Raises JobRunning.
    """
    paths = JobPaths(folder.absolute())
    try:
        lock = FileLock(paths.launch_lock, timeout=2 * START_TIMEOUT).acquire()
    except Timeout as error:
        raise JobRunning(folder=folder) from error
    with lock:
        _refuse_beside_another(paths)
        yield


def stop(folder: Path, by: str, grace: float = TOOL_GRACE) -> None:
    """Ask a job to stop: TERM, and after ``grace`` seconds KILL. Returns at once; asking again with a shorter
    grace hurries it. A job that has ended stays as it ended. Raises NoSuchJob, JobNotStarted.
    """
    if read_status(folder).state not in LIVE:
        forget(folder)
        return
    paths = JobPaths(folder.absolute())
    if stops_elsewhere(paths, {"by": by, "at": time.time(), "grace": grace}):
        return
    supervisor, tool = read_identity(paths.supervisor), read_identity(paths.tool)
    watched = supervisor is not None and is_alive(supervisor)
    try:
        write_json(paths.stop, {"by": by, "at": time.time(), "grace": grace})
    except OSError:
        if supervisor is None or not watched:
            raise
        forget(folder, held=True)
        # A full disk must not keep anybody from stopping what fills it.
        os.kill(supervisor.pid, signal.SIGTERM)
    if tool is None and supervisor is not None and watched:
        with suppress(OSError):  # one that waits for its devices looks now and then, else when it is woken
            os.kill(supervisor.pid, signal.SIGCHLD)
    if not watched:
        _take_over(paths) if tool is not None else _end_in_line(paths)


def take_back(folders: Sequence[Path], by: str) -> None:
    """Stop those of these jobs that wait in Slurm's queue, all at once. Raises OSError."""
    take_back_waiting(
        [JobPaths(folder) for folder in folders], {"by": by, "at": time.time(), "grace": TOOL_GRACE}
    )


def _end_in_line(paths: JobPaths) -> None:
    """End a job that waits and whose supervisor was killed: nobody else would."""
    with FileLock(paths.launch_lock):
        supervisor = read_identity(paths.supervisor)
        if supervisor is None or not is_alive(supervisor):
            forget(paths.folder)
            write_json(paths.exit, Ending.unseen(Reason.stopped).as_json())


def wait(
    folder: Path, poll: float = 0.2, on_poll: Callable[[], None] | None = None, timeout: float | None = None
) -> Status:
    """Wait until the job has ended, or ``timeout`` seconds; returns its status then. Raises NoSuchJob."""
    deadline = time.monotonic() + timeout if timeout is not None else None
    while (status := read_status(folder)).state in LIVE:
        if on_poll:
            on_poll()
        if deadline is not None and time.monotonic() > deadline:
            break
        _sleep_until_ended(JobPaths(folder).exit, poll)
    return status


def _sleep_until_ended(written: Path, seconds: float) -> None:
    """The next job of a chain begins as soon as one has ended; the rest is looked at less often."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(END_LOOK, left))
        if os.access(written, os.F_OK):
            return


def _refuse_beside_another(paths: JobPaths) -> None:
    """Raises JobRunning. The lock tells of a supervisor even where its process cannot be seen (another
    container or machine on the same disk)."""
    if is_live(paths.folder):
        raise JobRunning(folder=paths.folder)
    try:
        with FileLock(paths.lock, timeout=LEAVE_TIMEOUT):
            return
    except Timeout as error:
        supervisor = read_identity(paths.supervisor)
        if supervisor is None or not is_elsewhere(supervisor):
            raise JobRunning(folder=paths.folder) from error
    # Of a machine that is gone NFS 3 keeps what it held until that one is back.
    paths.lock.unlink(missing_ok=True)


def make_room(paths: JobPaths, spec: JobSpec, batch: SlurmBatch | None = None) -> None:
    """Put the new job.json and request.json in the place of an earlier try's, which is kept whole.

    What may fail for want of room comes first. Whoever reads the status meanwhile sees the earlier try's:
    exit.json moves last. What was asked for is copied, not moved: killed in between, this leaves a job that
    can be asked for again. ``batch``: the new try, where Slurm begins the same job anew. That job waits or
    runs all the while, and so it is said to: the new slurm.json is there first, and the word of how the
    earlier try ended goes before everything else of it.
    """
    write_json(paths.next_spec, spec.as_json())
    if spec.request is not None:
        write_json(paths.next_request, spec.request)
    if paths.holds_a_job:
        kept = _new_previous(paths)
        _copy((paths.spec, paths.request, *((paths.batch,) if batch else ())), kept)
        if batch:
            write_batch(paths.folder, batch)
            _move((paths.exit,), kept)
        _move((paths.folder / name for name in spec.results), kept)  # not taken for what the new one makes
        _move((file for file in paths.of_one_try if not (batch and file == paths.batch)), kept)
        _exchange(paths, spec)
        _move((paths.exit,), kept)
    else:
        for name in spec.results:
            (paths.folder / name).unlink(missing_ok=True)
        _exchange(paths, spec)


def _copy(files: Iterable[Path], kept: Path) -> None:
    for file in files:
        if file.exists():
            (kept / file.name).write_bytes(file.read_bytes())


def _move(files: Iterable[Path], kept: Path) -> None:
    for file in files:
        if file.exists():
            file.rename(kept / file.name)


def _exchange(paths: JobPaths, spec: JobSpec) -> None:
    if spec.request is not None:
        paths.next_request.replace(paths.request)
    else:
        paths.request.unlink(missing_ok=True)
    paths.next_spec.replace(paths.spec)


def _new_previous(paths: JobPaths) -> Path:
    number = 1
    while (paths.previous / str(number)).exists():
        number += 1
    kept = paths.previous / str(number)
    make_folder(kept)
    return kept


def _take_over(paths: JobPaths) -> None:
    """Give a tool whose supervisor was killed a new one, which finds it by tool.json."""
    with FileLock(paths.launch_lock):
        supervisor = read_identity(paths.supervisor)
        if supervisor is None or not is_alive(supervisor):
            paths.supervisor.unlink(missing_ok=True)
            try:
                _start_supervisor(paths)
            except JobNotStarted:
                if read_status(paths.folder).state in LIVE:  # otherwise it has just ended by itself
                    raise


def supervise_again(folder: Path, secrets: Mapping[str, str] | None = None) -> bool:
    """Give a job that waited for its devices another supervisor in the place of a killed one; whether it
    needed one. Raises JobNotStarted, OSError."""
    paths = JobPaths(folder.absolute())
    with FileLock(paths.launch_lock):
        supervisor = read_identity(paths.supervisor)
        if not is_to_be_taken_up(folder) or (supervisor is not None and is_alive(supervisor)):
            return False
        paths.supervisor.unlink(missing_ok=True)
        _start_supervisor(paths, secrets)
    return True


@dataclass(frozen=True)
class _Started:
    """A supervisor on its way: whether it has ended, and what kills it."""

    has_ended: Callable[[], bool]
    kill: Callable[[], object]


def _start_supervisor(paths: JobPaths, secrets: Mapping[str, str] | None = None) -> None:
    environment = {**stand_in(), **inherited(), **(secrets or {})}
    forks = worker()
    forked = forks.supervise(paths.folder, environment) if forks else None
    _wait_until_up(paths, _of_worker(forked) if forked else _start_anew(paths, environment))


def _start_anew(paths: JobPaths, environment: Mapping[str, str]) -> _Started:
    command = [sys.executable, "-m", "core.jobs.supervise", str(paths.folder)]
    with paths.supervisor_log.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # A dashboard lives for weeks: somebody must wait for the child, or it stays a zombie.
    with suppress(RuntimeError):  # where no more threads are allowed it stays one
        threading.Thread(target=process.wait, daemon=True, name="wait for a supervisor").start()
    return _Started(lambda: process.poll() is not None, process.kill)


def _of_worker(forked: Identity) -> _Started:
    def kill() -> None:
        if is_alive(forked):
            with suppress(ProcessLookupError):
                os.kill(forked.pid, signal.SIGKILL)

    return _Started(lambda: not is_alive(forked), kill)


def _wait_until_up(paths: JobPaths, started: _Started) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not paths.supervisor.exists():
        ended = started.has_ended()
        if paths.supervisor.exists():  # of a job shorter than this look
            return
        if ended or time.monotonic() > deadline:
            started.kill()
            _give_up(paths)
        time.sleep(LOOK)


def _give_up(paths: JobPaths) -> None:
    """Leave a failed job, not one that seems to wait. Raises JobNotStarted with the supervisor's words."""
    if not paths.tool.exists():
        with suppress(OSError):
            write_json(paths.exit, Ending.unseen(Reason.not_started).as_json())
    reason = " ".join(last_lines(paths.supervisor_log, 1)) or f"not up after {START_TIMEOUT:.0f} s"
    raise JobNotStarted(folder=paths.folder, reason=reason)
