"""The command line in processes that start in milliseconds: forked from one that has imported it.

    python -m tests.forks SOCKET

Each command still runs in a process of its own, with its own arguments, folder, environment, standard output
and exit code, from ``core/__main__.py`` to the interpreter's own end. What is not tried this way is Python's
own start: :func:`tests.command_line.command` starts it anew.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from core.workspace.paths import PROJECT
from tests import job_forks
from tests.forked_engine import receive
from tests.imported import import_and_read

LENGTH_BYTES = 4


class Forks:
    """The process that forks, from this one's side. It ends when this one does."""

    def __init__(self) -> None:
        self._socket, there = socket.socketpair()
        with there:
            line = [sys.executable, "-m", "tests.forks", str(there.fileno())]
            self._process = subprocess.Popen(
                line, cwd=PROJECT, stdin=subprocess.DEVNULL, pass_fds=[there.fileno()]
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: int
    ) -> subprocess.CompletedProcess[str]:
        """Run ``core`` with these arguments; after ``timeout`` seconds it is ended by SIGALRM."""
        request = {
            "arguments": list(arguments),
            "cwd": str(cwd),
            "env": dict(environment),
            "timeout": timeout,
        }
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
            data = json.dumps(request).encode()
            socket.send_fds(
                self._socket, [len(data).to_bytes(LENGTH_BYTES, "big")], [out.fileno(), error.fileno()]
            )
            self._socket.sendall(data)
            code = int.from_bytes(receive(self._socket, LENGTH_BYTES), "big", signed=True)
            return subprocess.CompletedProcess(request["arguments"], code, _text(out), _text(error))


@cache
def forks() -> Forks:
    """One for the whole session of tests."""
    return Forks()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork for each request; returns in the child, with what it is to run. Exits when nobody asks more."""
    while True:
        first, files, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 2)
        if not first:
            sys.exit()
        request: dict[str, Any] = json.loads(receive(connection, int.from_bytes(first, "big")))
        child = os.fork()
        if child == 0:
            connection.close()
            os.dup2(files[0], 1)
            os.dup2(files[1], 2)
            for file in files:
                os.close(file)
            return request
        for file in files:
            os.close(file)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(code.to_bytes(LENGTH_BYTES, "big", signed=True))


def become(request: Mapping[str, Any]) -> None:
    """Take over what a new process would have been given."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    signal.alarm(request["timeout"])
    sys.argv = ["core", *request["arguments"]]


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        import_and_read()
        job_forks.install()
        asked_for = serve(asked)
    become(asked_for)
    runpy.run_module("core", run_name="__main__", alter_sys=True)
