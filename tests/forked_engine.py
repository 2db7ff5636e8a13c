"""``core.engine``'s command line in processes that start in a moment, with
``TUNEBOARD_ENGINE=tests.forked_engine``.

    python -m tests.forked_engine TOOL ARGUMENT…

Torch, transformers and XTuner take 5 s of a processor to import. :mod:`tests.engine_forks` has them; this
process asks it (``ENGINE_FORKS`` is the socket's path) for a fork that runs the tool with its arguments,
folder, environment and open files, hands on the signals it gets, and ends as the fork ends. When this process
is killed, so is the fork.

What a fork could not show as it is starts for real, by exec (:func:`reason_for_a_real_start`).
"""

import json
import os
import re
import signal
import socket
import sys
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

SOCKET_VARIABLE = "ENGINE_FORKS"
# How many threads each fork computes with: as many as cores, beside another worker's, wait for each other.
THREADS_VARIABLE = "ENGINE_FORKS_THREADS"
# The module that is run, where it is not the engine itself.
MODULE_VARIABLE = "ENGINE_FORKS_MODULE"
LENGTH_BYTES = 4
# Tools that load no model: they would wait for what they do not need.
LIGHT = {"download", "probe", "ranks"}
# XTuner and PEFT look for the first two while they are imported, and the forks' parent has left them out, as
# a training on a processor does; Unsloth changes what is imported after it; what compiles is not alone.
IMPORTED_FIRST = re.compile(r"""deepspeed|bitsandbytes|unsloth|compile['"]?\s*[=:]\s*['"](?!none)""")
# What libraries read while they are imported. Not among them: what the fork sets anew, and
# CUDA_VISIBLE_DEVICES, which CUDA reads at its first use.
READ_AT_IMPORT = (
    *("PYTHON", "LD_", "HOME", "XDG_", "TMPDIR", "OMP_", "GOMP_", "MKL_", "OPENBLAS_"),
    *("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH", "PYTORCH", "MODELSCOPE_", "DATASETS_", "NCCL_"),
)
SET_ANEW = {"HF_DATASETS_CACHE", "OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR", "XDG_STATE_HOME"}
# As the parent has it, said or not.
THE_SAME = {("PYTHONIOENCODING", "utf-8"), ("PYTHONPATH", str(Path(__file__).resolve().parents[1]))}
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


def reason_for_a_real_start(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Why a fork would not do; empty when it would. The parent adds a reason of its own: other variables."""
    tool, *rest = arguments or [""]
    if SOCKET_VARIABLE not in environment:
        return "no forks"
    if tool in LIGHT | {"compile"}:
        return tool
    if "RANK" in environment:
        return "several processes"
    if tool == "train":
        if environment.get("CUDA_VISIBLE_DEVICES") != "":
            return "a GPU may be used"
        text = Path(rest[0]).read_text(encoding="utf-8").lower() if Path(rest[0]).is_file() else ""
        found = IMPORTED_FIRST.search(" ".join([text, *rest]))
        return found[0] if found else ""
    if tool == "convert" and (Path(rest[1]).is_dir() or _quantized(Path(rest[4]))):
        return "another import"
    return ""


def _quantized(model: Path) -> bool:
    file = model / "config.json"
    return file.is_file() and "quantization_config" in file.read_text(encoding="utf-8")


def read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that must be the parent's own."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_IMPORT) and name not in SET_ANEW and (name, value) not in THE_SAME
    }


def with_threads(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with as many threads as every fork may have."""
    threads = environment.get(THREADS_VARIABLE)
    said = {"OMP_NUM_THREADS": threads, "TUNEBOARD_THREADS": "said"} if threads else {}
    return {**environment, **said}


def receive(connection: socket.socket, count: int) -> bytes:
    """Exactly ``count`` bytes. Raises EOFError when the other side has ended."""
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def ask(
    connection: socket.socket, module: str, arguments: Sequence[str], files: Sequence[int], **request: object
) -> None:
    """Ask for a fork that runs ``module`` with these files as its 0, 1 and 2."""
    data = json.dumps({"module": module, "arguments": list(arguments), **request}).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", files))]
    connection.sendmsg([len(data).to_bytes(LENGTH_BYTES, "big")], rights)
    connection.sendall(data)


def code_of(connection: socket.socket) -> int | None:
    """How the fork ended, as :func:`os.waitstatus_to_exitcode` has it; None when it has to start for real."""
    answer = json.loads(receive(connection, int.from_bytes(receive(connection, LENGTH_BYTES), "big")))
    return None if answer["refused"] else int(answer["code"])


def main(arguments: list[str]) -> None:
    if arguments[0] == "worker":
        sys.exit("these forks are as fast")
    module = os.environ.get(MODULE_VARIABLE, "core.engine")
    if not reason_for_a_real_start(arguments, os.environ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ[SOCKET_VARIABLE])
            for number in FORWARDED:
                signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
            here = {"cwd": os.getcwd(), "env": with_threads(os.environ)}  # noqa: PTH109
            ask(connection, module, arguments, (0, 1, 2), **here)
            code = code_of(connection)
        for number in FORWARDED:
            signal.signal(number, signal.SIG_DFL)
        if code is not None:
            end_as(code)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606


def end_as(code: int) -> None:
    """Exit with the fork's code, or by its signal."""
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
