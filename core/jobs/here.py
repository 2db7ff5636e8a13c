"""What a person started at a terminal as a job: seen and stopped where every other job is."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from core.errors import StepStopped, TuneboardError
from core.jobs.batch import leave
from core.jobs.elsewhere import BEAT
from core.jobs.ending import Ending, Reason
from core.jobs.failure import leave_refusal
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import idle, make_room
from core.jobs.process import identify
from core.jobs.turn import DeviceTurn, TakingUp, Telling
from core.workspace.files import write_json
from core.workspace.paths import make_folder

# Seconds between two looks for a request to stop.
EVERY = 0.5
INTERRUPTED, BROKEN = 130, 1


@contextmanager
def in_this_process(folder: Path, spec: JobSpec) -> Iterator[None]:
    """Be the job in ``folder`` until the block ends; ``spec`` is how it is asked for again.

    This process is tool and supervisor in one. Before the block begins it waits for the job's devices. Asked
    to stop, it gets SIGTERM, and is to end as it does at the keyboard: with KeyboardInterrupt. What it prints
    stays at its terminal.
    Raises JobRunning, NotWritable, OSError.
    """
    paths, ended = JobPaths(folder.absolute()), threading.Event()
    make_folder(paths.folder, exist_ok=True)
    with idle(paths.folder):
        make_room(paths, spec)
        me = identify(os.getpid()).as_json()
        leave(paths.folder)
        turn = DeviceTurn(paths.folder, spec.devices, terminal=True)
        write_json(paths.supervisor, me)
    with FileLock(paths.lock):
        threading.Thread(target=_heed, args=(paths, ended), daemon=True, name="heed a stop").start()
        began, (code, reason) = time.time(), (0, Reason.finished)
        try:
            _wait_for(turn, paths.folder)
            began = time.time()
            write_json(paths.tool, me)
            turn.settle()
            with _told_of(turn):
                yield
        except (KeyboardInterrupt, StepStopped):
            code, reason = INTERRUPTED, Reason.stopped
            raise
        except TuneboardError as error:
            code, reason = error.exit_code, Reason.failed
            leave_refusal(paths.folder, error)
            raise
        except BaseException:
            code, reason = BROKEN, Reason.failed
            raise
        finally:
            ended.set()
            turn.leave()
            with suppress(OSError):  # of a full disk somebody else will tell
                write_json(paths.exit, Ending(code, None, reason, began, time.time()).as_json())


def _wait_for(turn: DeviceTurn, folder: Path) -> None:
    telling, taking_up = Telling(folder), TakingUp()
    while not turn.begins():
        telling.look()
        taking_up.look(turn.place)
        time.sleep(min(EVERY, turn.pause))


@contextmanager
def _told_of(turn: DeviceTurn) -> Iterator[None]:
    """What is started in the block waits for no devices: they are this job's."""
    told = turn.environment(os.environ)
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _heed(paths: JobPaths, ended: threading.Event) -> None:
    beaten = time.monotonic()
    while not ended.wait(EVERY):
        if time.monotonic() - beaten > BEAT:
            beaten = time.monotonic()
            with suppress(OSError):
                os.utime(paths.supervisor)
        if paths.stop.exists():
            os.kill(os.getpid(), signal.SIGTERM)
            return
