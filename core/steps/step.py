"""What every step shares: how its command is made, and how it is run to its end as a job."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from core.errors import DiskFull, NoSuchJob, StepStopped
from core.jobs.environment import inherited
from core.jobs.failure import why_failed
from core.jobs.forks import ForkServer, forking, worker
from core.jobs.grace import COMMAND_GRACE, TOOL_GRACE, need, needed
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.progress import JOB_VARIABLE
from core.jobs.request import JOB, Call, as_record
from core.jobs.status import State, Status
from core.jobs.turn import Telling
from core.machine import this_machine
from core.queue.cards import VISIBLE, computing
from core.wording import spoken_language
from core.workspace.paths import PROJECT
from core.workspace.user import stand_in, user_name

# The module that does the heavy work; tests put a fast one in its place.
ENGINE_VARIABLE = "TUNEBOARD_ENGINE"
# The tools that compute on a device. The others convert, merge, copy and fetch: they compute little.
COMPUTING = {"train", "answer", "answer_checkpoints", "arrival"}
# The commands that hold their device from the first of these tools to the last; of others each tool waits.
HOLDING = {"tune", "prove", "heal", "ask", "checkpoints", "use"}
# "said" where a person said how many threads there are to be, "free" where a training looks for itself.
THREADS_VARIABLE = "TUNEBOARD_THREADS"


def engine_job(tool: str, *arguments: str | Path, env: Mapping[str, str] | None = None) -> JobSpec:
    """The job that runs one of ``core.engine``'s tools with these arguments. One that computes takes a
    device: the processor where its ``env`` hides the GPUs."""
    engine = os.environ.get(ENGINE_VARIABLE, "core.engine")
    spec = module_job(engine, tool, *arguments, env={**engine_environment(), **(env or {})})
    if tool not in COMPUTING:
        return spec
    return replace(spec, devices=computing(hidden=spec.env.get(VISIBLE) == ""))


def call_job(folder: Path, command: str, workspace: Path, request: object, run: str = "") -> JobSpec:
    """The job in ``folder`` that runs a command of the command line for a request: the dataclass of its Task
    (core.cli.room), which may say how often it goes on by itself after a crash (``auto_resume``) and how many
    devices of its machine it takes (``devices_each``). ``run`` is the id of the run it is about."""
    env = {"PYTHONIOENCODING": "utf-8", "TUNEBOARD_LANG": spoken_language()}
    call = Call(command, workspace, as_record(request), run)
    restarts = getattr(request, "auto_resume", 0)
    devices = computing(getattr(request, "devices_each", 1)) if command in HOLDING else None
    spec = module_job("core", JOB, folder, env=env)
    return replace(spec, request=as_record(call), restarts=restarts, devices=devices)


def module_job(module: str, *arguments: str | Path, env: Mapping[str, str] | None = None) -> JobSpec:
    """The job that runs a module of this project as a program."""
    return JobSpec(
        command=(sys.executable, "-m", module, *map(str, arguments)),
        cwd=PROJECT,
        env=env or {},
        asked_by=user_name(),
        asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def engine_environment() -> dict[str, str]:
    """What every tool of the engine gets: no hub, no forked tokenizers, all cores unless somebody has said
    how many (a training on a processor takes those that are free, core.engine.threads), and XTuner's own two
    MKL settings (``convert`` and ``merge`` fail without them on some machines)."""
    return {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(this_machine().cores),
        THREADS_VARIABLE: "said" if os.environ.get("OMP_NUM_THREADS") else "free",
        # A thread that waits for another spins this often before it sleeps. At GNU OpenMP's own 300,000 a
        # busy neighbour on two cores makes everything four times slower; at this it costs nothing alone.
        "GOMP_SPINCOUNT": "20000",
        "MKL_SERVICE_FORCE_INTEL": "1",
        "MKL_THREADING_LAYER": "GNU",
        "PYTHONWARNINGS": "ignore",
    }


@contextmanager
def warm(broke: Callable[[str], object] = lambda _: None) -> Iterator[None]:
    """Until the block ends, the engine's tools are forked from one process that imports what they need
    meanwhile (core.engine.worker): for whatever runs several, one after the other.

    Every job stays what it is, and starts by itself where that process is not there or would not do;
    ``broke`` is told then, once, with what it said last.
    """
    if worker() is not None:
        yield
        return
    engine = os.environ.get(ENGINE_VARIABLE, "core.engine")
    environment = {**stand_in(), **inherited(), **engine_environment(), "PYTHONUNBUFFERED": "1"}
    try:
        forks = ForkServer((sys.executable, "-m", engine, "worker"), PROJECT, environment, broke)
    except OSError as error:  # no more processes, or no room for a temporary file
        broke(str(error))
        yield
        return
    with forking(forks):
        yield


def run_job(
    step: str,
    folder: Path,
    spec: JobSpec,
    on_poll: Callable[[], None] | None = None,
    secrets: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> None:
    """Launch a job, which gets ``secrets`` and no others, and wait for its end; stop it when this process is
    interrupted.

    ``before`` is :func:`core.jobs.launch.launch`'s. Raises StepFailed with the cause found in its log,
    StepStopped, JobRunning.
    """
    telling = Telling(folder)

    def poll() -> None:
        telling.look()
        if on_poll:
            on_poll()

    try:
        launch(folder, spec, secrets, before)
        status = wait(folder, on_poll=poll)
    except KeyboardInterrupt:
        with suppress(NoSuchJob):  # interrupted before it was asked for
            stop(folder, by="keyboard")
            _outlive(folder)
            wait(folder)
        raise
    raise_unless_finished(step, folder, status)


def _outlive(folder: Path) -> None:
    """A command that is a job itself, and is asked to stop, waits for its tool: as long as that needs."""
    own, longer = os.environ.get(JOB_VARIABLE), needed(folder)
    if own and longer:
        with suppress(OSError):
            need(Path(own), longer + COMMAND_GRACE - TOOL_GRACE)


def raise_unless_finished(step: str, folder: Path, status: Status) -> None:
    """Nothing for a finished job; StepStopped, or why it failed, for any other end.

    A tool that knew why it gave up has its own error raised.
    """
    if status.state is State.stopped:
        raise StepStopped(step=step, log=JobPaths(folder).log)
    if why := why_failed(folder, status):
        raise why.error(step)


def check_space(folder: Path, needed: int) -> None:
    """Raises DiskFull when ``folder``'s disk has fewer than ``needed`` bytes free."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DiskFull(folder=folder, needed=megabytes(needed), free=megabytes(free))


def megabytes(size: int) -> str:
    """A size in bytes as a person reads it."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB" if size >= 1e3 else f"{size:.0f} B"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def counted(parameters: int) -> str:
    """A number of weights as a model's name has it: 0.1M, 135M, 7.3B."""
    if parameters >= 0.9995e9:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M" if parameters >= 1e7 else f"{parameters / 1e6:.1f}M"
