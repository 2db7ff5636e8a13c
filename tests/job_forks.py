"""Jobs of fast tests in processes that start in milliseconds: forked from one that has imported the command
line, as the product forks a chain's tools (core.engine.worker).

    python -m tests.job_forks SOCKET PIPE

It imports when it is first asked, and ends when ``PIPE``'s other end closes: with the tests. A supervisor is
still a process in a session of its own, with the environment, folder and files of the job, and its tool
another one; both run what they would run. Not tried this way: Python's own start. Tests with the mark
``real_start``, and slow ones, start their jobs as programs.

    JOB_FORKS   the socket's path, for whoever launches a job
"""

import atexit
import json
import os
import runpy
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import core.jobs.launch
import core.steps.step
from core.engine.worker import Forking, Imports
from core.jobs import forks, supervise
from core.jobs.job import JobSpec
from core.jobs.process import Identity, identify
from core.workspace.paths import PROJECT
from tests.imported import import_and_read

VARIABLE = "JOB_FORKS"
# What is run in a fork; any other program is started.
MODULES = {"core", "tests.fake_engine", "tests.fast_engine"}
# Read while Python starts, and as this process has them, said or not.
AS_HERE = {"PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONPATH", "PYTHONWARNINGS"}


class JobForks:
    """Asks the process that forks, as :class:`core.jobs.forks.ForkServer` asks a chain's."""

    def __init__(self, path: str) -> None:
        self._path = path

    def supervise(self, folder: Path, environment: Mapping[str, str]) -> Identity | None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._path)
            request = {"folder": str(folder), "environment": dict(environment)}
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                answer = lines.readline()
        return Identity(**json.loads(answer)) if answer else None


def install() -> None:
    """From now on this process, and what is forked from it, asks for its jobs' supervisors where
    ``JOB_FORKS`` says."""

    def worker() -> object:
        path = os.environ.get(VARIABLE)
        return JobForks(path) if path else forks.worker()

    for module in (core.jobs.launch, core.steps.step):
        setattr(module, "worker", worker)  # noqa: B010  (mypy holds it against the type there)


@cache
def job_forks() -> str:
    """The socket of the one process for all tests of this process."""
    folder = tempfile.mkdtemp(prefix="jobs-")  # a socket's path has 107 bytes, a test's own folder more
    path = str(Path(folder) / "socket")
    there, pipe = os.pipe()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        line = [sys.executable, "-m", "tests.job_forks", str(listening.fileno()), str(there)]
        process = subprocess.Popen(
            line,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[listening.fileno(), there],
            start_new_session=True,
        )
    os.close(there)

    def end() -> None:
        os.close(pipe)
        process.wait()
        shutil.rmtree(folder)

    atexit.register(end)
    return path


class Working(Forking):
    """The process at work: one request a connection."""

    def __init__(self, listening: socket.socket, parent: int) -> None:
        super().__init__(listening, Imports(()), lambda _: None, "")
        self.listening, self.parent, self.ready = listening, parent, False

    def serve(self) -> None:
        while True:
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            readable, _, _ = select.select([self.listening, self.parent], [], [], 0.2)
            if self.parent in readable:
                return
            if self.listening in readable:
                self.answer(self.listening.accept()[0])

    def answer(self, connection: socket.socket) -> None:
        """Tests kill who asks, between question and answer too: that is nobody else's end."""
        if not self.ready:
            import_and_read()
            self.ready = True
        with suppress(ConnectionError), connection, connection.makefile("r", encoding="utf-8") as lines:
            if not (line := lines.readline()).endswith("\n"):
                return
            request = json.loads(line)
            pid = self._fork(Path(request["folder"]), request["environment"])
            connection.sendall(json.dumps(identify(pid).as_json()).encode() + b"\n")

    def _supervise(self, folder: Path, environment: Mapping[str, str], _: Collection[int]) -> None:
        super()._supervise(folder, environment, ())  # none of this process's files

    def _reason(self, spec: JobSpec) -> str:
        interpreter, module = spec.command[:2] == (sys.executable, "-m"), spec.command[2:3]
        if not interpreter or module[0] not in MODULES or spec.cwd != PROJECT:
            return "another program"
        return "another Python" if read_by_python(supervise.environment_of(spec)) else ""

    def _become(self, spec: JobSpec, output: int, kept: Collection[int], put: Mapping[str, str]) -> None:
        module, *arguments = spec.command[2:]
        self.engine = module
        self.run = lambda _: self._run_module(module, arguments)
        super()._become(spec, output, kept, put)

    def _run_module(self, module: str, arguments: list[str]) -> None:
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def read_by_python(environment: Mapping[str, str]) -> dict[str, str]:
    """What Python would read of an environment while it starts, where it is not as it is here."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("PYTHON", "LD_")) and name not in AS_HERE and os.environ.get(name) != value
    }


if __name__ == "__main__":
    install()
    Working(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])).serve()
