"""``python -m core.engine worker SOCKET``: a process that has imported what a chain's tools import, and forks
for each job. Torch, transformers and XTuner take seconds to import; a fork takes milliseconds.

For a job it forks a supervisor (core.jobs.supervise), which forks once more: the tool runs in that child as
if it had just been started, in a session, with an environment and with files of its own. A tool is thereby
the child of its supervisor as always: how it is watched, stopped, taken over and ended is no other. What a
fork would not do as a new process does is started as a program (:func:`reason_to_start_anew`).

So that a fork is as good as new, nothing is computed here: no operation of torch, whose threads a fork has
not, and nothing of CUDA, which no fork can use that began after it. Imports ask whether there is a GPU; they
are told by NVML (``PYTORCH_NVML_BASED_CUDA_CHECK``), which leaves CUDA alone.
"""

import ast
import ctypes
import gc
import importlib
import json
import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.engine.left_out import leave_out, names_bitsandbytes
from core.engine.program import as_a_program
from core.jobs import supervise
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.process import identify
from core.machine import has_cpu_build
from core.models.families import quantization
from core.workspace.files import read_json

ENGINE = "core.engine"
LEFT_OUT = ("deepspeed", "bitsandbytes")
# In this order: as soon as a tool has what it needs, it is forked, and the rest is imported beside it.
FOR_ANSWERS = (
    *("torch", "transformers", "transformers.models.auto.modeling_auto"),
    *("transformers.models.llama.modeling_llama", "core.engine.tokenizer_file", "core.engine.answer"),
)
FOR_MODELS = ("peft", "core.engine.export")
FOR_TRAINING = (
    *("datasets", "mmengine.runner", "xtuner.model.sft", "xtuner.tools.train"),
    *("xtuner.tools.model_converters.pth_to_hf", "xtuner.dataset.collate_fns", "core.engine.patches"),
    "core.engine.fast.install",
)
IMPORTED = (*FOR_ANSWERS, *FOR_MODELS, *FOR_TRAINING)
# The last import that each tool needs; others are started as programs.
LAST_IMPORT = {
    "answer": FOR_ANSWERS[-1],
    "answer_checkpoints": FOR_MODELS[-1],
    "starter": FOR_ANSWERS[-1],
    "merge": FOR_MODELS[-1],
    "convert": FOR_TRAINING[-1],
    "convert_whole": FOR_TRAINING[-1],
    "train": FOR_TRAINING[-1],
}
# These are run as programs (core.engine.xtuner_tool), for which runpy wants their names free.
PROGRAMS = ("xtuner.tools.train", "xtuner.tools.model_converters.pth_to_hf")
# Looked for by XTuner and PEFT while they are imported (bitsandbytes as well); Unsloth changes what is
# imported after it; what compiles has a process beside it that begins with the imports.
IMPORTED_FIRST = re.compile(r"""deepspeed|unsloth|compile['"]?\s*[=:]\s*['"](?!none)""")
BASE = re.compile(r"^pretrained_model_name_or_path = (.+)$", re.MULTILINE)
# What libraries read while they are imported. Not among them: what a fork sets anew (SET_ANEW).
READ_AT_IMPORT = (
    *("PYTHON", "LD_", "HOME", "XDG_", "TMPDIR", "OMP_", "GOMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_"),
    *("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH", "PYTORCH", "MODELSCOPE_", "DATASETS_", "NCCL_"),
    *("ACCELERATE_", "TOKENIZERS_", "TRITON_", "KMP_"),
)
SET_ANEW = {"HF_DATASETS_CACHE", "TORCHINDUCTOR_CACHE_DIR", "XDG_STATE_HOME"}
# Only here: whoever asks in a fork may ask CUDA itself.
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"
# What the driver answers before cuInit (CUDA_ERROR_NOT_INITIALIZED).
NOT_INITIALIZED = 3
PR_SET_NAME = 15

Run = Callable[[Sequence[str]], None]


class Imports:
    """What is imported so far of ``names``, and what it was imported with."""

    def __init__(self, names: Sequence[str] = IMPORTED) -> None:
        self._left = list(names)
        self.given = _environment_at_start()
        self.began = time.monotonic()

    @property
    def done(self) -> bool:
        return not self._left

    def one_more(self) -> None:
        """Import the next module. What is imported is no garbage: a fork that looked for it there would copy
        all of it."""
        gc.disable()
        name = self._left.pop(0)
        for package in LEFT_OUT:
            leave_out(package)
        importlib.import_module(name)
        for program in PROGRAMS:
            sys.modules.pop(program, None)
        for package in LEFT_OUT:  # each tool leaves out what it leaves out
            if package in sys.modules and sys.modules[package] is None:
                del sys.modules[package]
        gc.freeze()
        gc.enable()
        if self.done:
            seconds = time.monotonic() - self.began
            print(f"imported in {seconds:.1f} s; CUDA {'began' if cuda_began() else 'untouched'}", flush=True)

    def until(self, name: str) -> None:
        """Import as far as ``name``, and that."""
        while name in self._left:
            self.one_more()

    @property
    def put(self) -> dict[str, str]:
        """The variables that imports set, as they do in every process."""
        return {name: value for name, value in os.environ.items() if self.given.get(name) != value}


def main(number: str, run: Run, names: Sequence[str] = IMPORTED, engine: str = ENGINE) -> None:
    """Import, and fork for whoever asks at the socket ``number``, until its other end closes.

    ``run`` runs a tool of ``engine`` with its arguments; ``names``: what is imported.
    """
    os.environ[NVML_CHECK] = "1"
    Forking(socket.socket(fileno=int(number)), Imports(names), run, engine).serve()


class Forking:
    """The worker at work."""

    def __init__(self, asked: socket.socket, imports: Imports, run: Run, engine: str) -> None:
        self.asked, self.imports, self.run, self.engine = asked, imports, run, engine
        self._heard = b""

    def serve(self) -> None:
        """Answer each request with the supervisor that was forked. Returns when nobody asks more."""
        while True:
            if not self.imports.done and not select.select([self.asked], [], [], 0)[0]:
                self.imports.one_more()
                continue
            if (request := self._next()) is None:
                return
            folder = Path(request["folder"])
            self._get_ready(folder)
            pid = self._fork(folder, request["environment"])
            self.asked.sendall(json.dumps(identify(pid).as_json()).encode() + b"\n")

    def _next(self) -> dict[str, Any] | None:
        while b"\n" not in self._heard:
            _bury()
            if not select.select([self.asked], [], [], 1.0)[0]:
                continue
            more = self.asked.recv(65536)
            if not more:
                return None
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _get_ready(self, folder: Path) -> None:
        _, tool, _ = self._split(read_spec(folder))
        if tool in LAST_IMPORT:
            self.imports.until(LAST_IMPORT[tool])

    def _split(self, spec: JobSpec) -> tuple[bool, str, tuple[str, ...]]:
        """Whether a job runs this engine; the tool and its arguments."""
        program, own = spec.command[:3], (sys.executable, "-m", self.engine)
        return program == own, (spec.command[3:4] or ("",))[0], spec.command[4:]

    def _fork(self, folder: Path, environment: Mapping[str, str]) -> int:
        _bury()
        kept = _open_files() - {self.asked.fileno()}
        if not (pid := os.fork()):
            as_a_program(lambda: self._supervise(folder, environment, kept), above=__file__)
        return pid

    def _supervise(self, folder: Path, environment: Mapping[str, str], kept: Collection[int]) -> None:
        os.setsid()
        _close_all_but(kept)
        _name("supervise")
        with JobPaths(folder).supervisor_log.open("ab") as output:
            _stand_on(output.fileno())
        put = self.imports.put
        put.pop(NVML_CHECK, None)
        os.environ.clear()
        os.environ.update(environment)

        def start(spec: JobSpec, log: Path, held: Sequence[int]) -> supervise.Tool:
            if reason := self._reason(spec):
                print(f"started as a program: {reason}", flush=True)
                return supervise.start_program(spec, log, held)
            with log.open("ab") as output:
                return _ForkedTool(lambda: self._become(spec, output.fileno(), {*kept, *held}, put))

        supervise.main(folder, start)

    def _reason(self, spec: JobSpec) -> str:
        ours, tool, arguments = self._split(spec)
        if not ours or spec.cwd != Path.cwd():
            return "another program"
        return reason_to_start_anew(tool, arguments, supervise.environment_of(spec), self.imports.given)

    def _become(self, spec: JobSpec, output: int, kept: Collection[int], put: Mapping[str, str]) -> None:
        """Be the tool, in the child that was forked for it."""
        _, tool, arguments = self._split(spec)
        _stand_on(output)
        _close_all_but(kept)
        _name(tool)
        environment = {**put, **supervise.environment_of(spec)}
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [self.engine, tool, *arguments]
        take_over(environment)
        self.run([tool, *arguments])


class _ForkedTool:
    """A tool in a child of this process; it stands in its own session when this is made."""

    def __init__(self, be: Callable[[], None]) -> None:
        there, ready = os.pipe()
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
            os.close(ready)
            as_a_program(be, above=__file__)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        os.close(ready)
        os.read(there, 1)  # nothing, when the child has closed its end
        os.close(there)

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def reason_to_start_anew(
    tool: str, arguments: Sequence[str], environment: Mapping[str, str], given: Mapping[str, str]
) -> str:
    """Why a fork would not do for a tool; empty when it would. ``given``: what was imported with."""
    if tool not in LAST_IMPORT:
        return "no tool of a chain"
    if "RANK" in environment:
        return "several processes"
    if cuda_began():
        return "CUDA began before the fork"
    if differing := dict(read_at_import(environment).items() ^ read_at_import(given).items()):
        return f"another {', '.join(sorted(differing))}"
    if tool == "train":
        return _reason_of_training(arguments)
    if tool in {"answer", "answer_checkpoints"}:
        return _reason_of_answering(arguments)
    return _reason_of_converting(arguments) if tool == "convert" else ""


def _reason_of_training(arguments: Sequence[str]) -> str:
    config = Path(arguments[0])
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    if found := IMPORTED_FIRST.search(" ".join([text, *arguments]).lower()):
        return found[0]
    if names_bitsandbytes(text):
        return "bitsandbytes"
    base = _base_of(text)
    if base is None:
        return "an unknown base"
    return "a quantized base" if _is_quantized(base) else ""


def _base_of(config: str) -> Path | None:
    """The model that a config names; None where that is no plain text."""
    found = BASE.search(config)
    with suppress(ValueError, SyntaxError, TypeError):
        return Path(ast.literal_eval(found[1])) if found else None
    return None


def _reason_of_answering(arguments: Sequence[str]) -> str:
    asked = read_json(Path(arguments[0])) if arguments else None
    if not isinstance(asked, dict) or not isinstance(model := asked.get("model"), str):
        return "an unknown model"
    return "a quantized base" if _is_quantized(Path(model)) else ""


def _reason_of_converting(arguments: Sequence[str]) -> str:
    _, checkpoint, _, _, base, _ = arguments
    if Path(checkpoint).is_dir():
        return "deepspeed"
    return "a quantized base" if _is_quantized(Path(base)) else ""


def _is_quantized(folder: Path) -> bool:
    return bool(quantization(read_json(folder / "config.json") or {}))


def _environment_at_start() -> dict[str, str]:
    """What this process was started with: what stands in its environment now, imports have added to."""
    entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    pairs = (os.fsdecode(entry).partition("=") for entry in entries if entry)
    return {name: value for name, _, value in pairs}


def read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that must be the same: what libraries read as they are imported.

    That GPUs are hidden is none of it where there are none.
    """
    apart = SET_ANEW | {NVML_CHECK} | (set() if _has_gpu() else {"CUDA_VISIBLE_DEVICES"})
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_IMPORT) and name not in apart
    }


def _has_gpu() -> bool:
    return not has_cpu_build() and (Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists())


def cuda_began() -> bool:
    """Whether CUDA was initialized in this process, which no fork of it could use. The driver is asked, if it
    is loaded, and not the files that are open: NVML, which begins nothing, opens the same ones."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return True
    driver = _loaded_driver()
    return driver is not None and driver.cuDeviceGetCount(ctypes.byref(ctypes.c_int())) != NOT_INITIALIZED


def _loaded_driver() -> Any:
    """CUDA's driver if this process has loaded it."""
    with suppress(OSError):
        return ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    return None


def take_over(environment: Mapping[str, str]) -> None:
    """Take over what libraries would have read of the environment or drawn at their import."""
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()  # each fork would draw the same; Python's own generator knows by itself
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(int(environment.get("OMP_NUM_THREADS") or torch.get_num_threads()))
    datasets, cache = sys.modules.get("datasets"), environment.get("HF_DATASETS_CACHE")
    if datasets is not None and cache:
        config, found = datasets.config, Path(cache)
        config.HF_DATASETS_CACHE = found
        config.DOWNLOADED_DATASETS_PATH = found / "downloads"
        config.EXTRACTED_DATASETS_PATH = found / "downloads" / "extracted"


def _bury() -> None:
    """Take ended supervisors off the process table."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _open_files() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208  (names are wanted, not paths)


def _close_all_but(kept: Collection[int]) -> None:
    for number in _open_files() - {0, 1, 2, *kept}:
        with suppress(OSError):
            os.close(number)


def _stand_on(output: int) -> None:
    """Nothing comes in, and what is written goes to a file."""
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _name(name: str) -> None:
    """What ``ps`` calls this process, where it shows no more than a word."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
