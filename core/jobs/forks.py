"""Supervisors forked from a process that has imported what their tools need: no job waits for Python's start.

Whoever starts one job after another holds such a :class:`ForkServer` while it does (:func:`forking`), and
:func:`core.jobs.launch.launch` asks it for each job's supervisor. That is a process like one started anew: in
a session of its own, with the same environment, folder and files, and nobody's child once the worker has
ended. What the worker will not do, or no longer can, is started anew.

The two speak over a pair of sockets that nobody else can reach, a JSON object a line. The worker ends when
its other end closes: with the process that began it, however that ends.
"""

import json
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from core.jobs.process import Identity

# A worker that is still importing is waited for: its imports are those that the tool would begin with.
PATIENCE = 120.0
LAST_BYTES = 4096


class ForkServer:
    """A process that forks supervisors, seen from the one that began it.

    ``command`` is started with the number of its socket as one more argument. ``broke`` is told once, with
    the worker's last words, when it cannot be asked any more.
    """

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        broke: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._broke = broke
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as this is)
        self._socket, there = socket.socketpair()
        with there:
            self.process = subprocess.Popen(
                [*command, str(there.fileno())],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                pass_fds=[there.fileno()],
                start_new_session=True,
            )
        self._socket.settimeout(PATIENCE)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self.works = True

    def supervise(self, folder: Path, environment: Mapping[str, str]) -> Identity | None:
        """The supervisor of the job in ``folder``, which has just been forked; None where it has to be
        started anew."""
        if not self.works:
            return None
        try:
            request = {"folder": str(folder), "environment": dict(environment)}
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] | None = json.loads(self._lines.readline())
        except (OSError, ValueError):  # it has ended, says nothing, or half a line was its last word
            self._give_up()
            return None
        except BaseException:  # interrupted between question and answer: the next answer would be this one's
            self.close()
            raise
        return Identity(**answer) if answer else None

    def close(self) -> None:
        """End it; what it forked goes on."""
        if self.works:
            self.works = False
            self._lines.close()
            self._socket.close()
            self.process.kill()
            self.process.wait()
            self._words.close()

    def _give_up(self) -> None:
        self.process.kill()
        self.process.wait()
        self._words.seek(0)
        text = self._words.read()[-LAST_BYTES:].decode("utf-8", "replace")
        self.close()
        said = [line.strip() for line in text.splitlines() if line.strip()]
        self._broke(said[-1] if said else f"exit {self.process.returncode}")


_WORKER: ContextVar[ForkServer | None] = ContextVar("worker", default=None)


def worker() -> ForkServer | None:
    """The one that forks the supervisors of what is launched here; None where each is started anew."""
    return _WORKER.get()


@contextmanager
def forking(forks: ForkServer) -> Iterator[None]:
    """Until the block ends, ``forks`` is asked for every supervisor; then it ends."""
    before = _WORKER.set(forks)
    try:
        yield
    finally:
        _WORKER.reset(before)
        forks.close()
