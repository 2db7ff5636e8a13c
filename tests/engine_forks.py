"""A process that has imported torch, transformers and XTuner once, and forks for whoever asks.

    python -m tests.engine_forks SOCKET PIPE

It imports them when it is first asked, and ends when ``PIPE``'s other end closes: with the tests. Each fork
is a process in a session of its own, with the arguments, folder, environment and files of the one that asked
(:mod:`tests.forked_engine`). Not tried this way: Python's own start, the order of sets, and that a tool
imports what it needs in the order it needs it. What shows those starts for real: the starter's chain, tests
with the mark ``real_start``, and whatever :func:`tests.forked_engine.reason_for_a_real_start` names.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from core.engine.left_out import leave_out
from core.steps.step import engine_environment
from core.workspace.paths import PROJECT
from tests.forked_engine import (
    LENGTH_BYTES,
    SET_ANEW,
    ask,
    code_of,
    read_at_import,
    receive,
    with_threads,
)

LEFT_OUT = ("deepspeed", "bitsandbytes")
IMPORTED = (
    *("torch", "transformers", "transformers.models.auto.modeling_auto"),
    *("transformers.models.llama.modeling_llama", "core.engine.tokenizer_file"),
    *("peft", "datasets", "mmengine.runner", "xtuner.model.sft", "xtuner.tools.train"),
    *("xtuner.dataset.collate_fns", "core.engine.patches"),
)


class EngineForks:
    """The process that forks, from the tests' side. It ends when this one does."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="forks-")  # a socket's path has 107 bytes, a test's own folder more
        self.socket = str(Path(folder) / "socket")
        there, self._pipe = os.pipe()
        environment = {**os.environ, **engine_environment(), "PYTHONUNBUFFERED": "1"}
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.socket)
            listening.listen(64)
            line = [sys.executable, "-m", "tests.engine_forks", str(listening.fileno()), str(there)]
            self._process = subprocess.Popen(
                line,
                cwd=PROJECT,
                env={
                    name: value
                    for name, value in environment.items()
                    if name not in SET_ANEW - {"OMP_NUM_THREADS"}
                },
                stdin=subprocess.DEVNULL,
                pass_fds=[listening.fileno(), there],
                start_new_session=True,
            )
        os.close(there)
        atexit.register(self._end, folder)

    def _end(self, folder: str) -> None:
        os.close(self._pipe)
        self._process.wait()
        shutil.rmtree(folder)

    def run(self, module: str, *arguments: str | Path, **added: str) -> subprocess.CompletedProcess[str]:
        """Run a module of this project as a program, with the engine's environment and what is added."""
        environment = with_threads({**os.environ, **engine_environment(), "PYTHONUNBUFFERED": "1", **added})
        given = [os.fspath(argument) for argument in arguments]
        with (
            socket.socket(socket.AF_UNIX) as connection,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as error,
            open(os.devnull) as nothing,  # noqa: PTH123
        ):
            connection.connect(self.socket)
            files = [file.fileno() for file in (nothing, out, error)]
            ask(connection, module, given, files, cwd=str(PROJECT), env=environment)
            code = code_of(connection)
            assert code is not None, "a variable that is read at import"
            return subprocess.CompletedProcess([module, *given], code, _text(out), _text(error))


@cache
def engine_forks() -> EngineForks:
    """One for all tests of this process."""
    return EngineForks()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def serve(listening: socket.socket, parent: int) -> dict[str, Any]:
    """Fork for each request; returns in the fork, with what it is to run. Exits when the tests have ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who watch the forks
    given = dict(os.environ)
    put: dict[str, str] = {}
    ready = False
    while True:
        readable, _, _ = select.select([listening, parent], [], [])
        if parent in readable:
            os._exit(0)
        connection, _ = listening.accept()
        if not ready:
            import_everything()
            put = {name: value for name, value in os.environ.items() if given.get(name) != value}
            ready = True
        if os.fork() == 0:
            listening.close()
            os.close(parent)
            if request := watch(connection, given):
                return {**request, "env": {**put, **request["env"]}}
        connection.close()


def import_everything() -> None:
    """What the engine's tools import, all but what they leave out."""
    leave_out(*LEFT_OUT)
    for module in IMPORTED:
        importlib.import_module(module)
    del sys.modules["xtuner.tools.train"]  # its imports are what takes the time; runpy wants the name free
    for name in LEFT_OUT:  # each tool leaves out what it leaves out
        del sys.modules[name]
    assert not sys.modules["torch"].cuda.is_initialized()
    gc.freeze()  # what is imported is no garbage: a fork that looked for it there would copy all of it


def watch(connection: socket.socket, given: Mapping[str, str]) -> dict[str, Any] | None:
    """Between the one who asked and the fork: hand on signals to it, and word of its end.

    ``given`` is the environment that everything was imported with: another one is refused.

    Returns in the fork only, with the request.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    first, files, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 3)
    request: dict[str, Any] = json.loads(receive(connection, int.from_bytes(first, "big")))
    if read_at_import(request["env"]) != read_at_import(given):
        _reply(connection, {"refused": True})
    worker = os.fork()
    if worker == 0:
        connection.close()
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return request
    end = os.pidfd_open(worker)
    while True:
        readable, _, _ = select.select([connection, end], [], [])
        if end in readable:
            break
        numbers = connection.recv(16)
        for number in numbers or [signal.SIGKILL]:
            _signal_group(worker, number)
        if not numbers:
            break
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    _signal_group(worker, signal.SIGKILL)  # as a supervisor does with what its tool leaves behind
    _reply(connection, {"refused": False, "code": code})
    return None


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(group, number)
        except ProcessLookupError:  # it has no group of its own yet
            os.kill(group, number)


def _reply(connection: socket.socket, answer: Mapping[str, object]) -> None:
    data = json.dumps(answer).encode()
    with suppress(BrokenPipeError):
        connection.sendall(len(data).to_bytes(LENGTH_BYTES, "big") + data)
    os._exit(0)


def become(request: Mapping[str, Any]) -> None:
    """Take over what a new process would have been given, and what libraries would have read of it."""
    import datasets.config
    import numpy as np
    import torch

    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [request["module"], *request["arguments"]]
    np.random.seed()  # every fork would draw the same numbers; Python's own generator knows by itself
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()))
    if cache_folder := os.environ.get("HF_DATASETS_CACHE"):
        found = Path(cache_folder)
        datasets.config.HF_DATASETS_CACHE = found
        datasets.config.DOWNLOADED_DATASETS_PATH = found / "downloads"
        datasets.config.EXTRACTED_DATASETS_PATH = found / "downloads" / "extracted"


def main(arguments: Sequence[str]) -> None:
    listening = socket.socket(fileno=int(arguments[0]))
    request = serve(listening, int(arguments[1]))
    become(request)
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
