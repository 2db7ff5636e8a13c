"""Chat: one model of the workspace behind an OpenAI-compatible server on a Unix socket, as a job.

Which model that is stands in the job's request, so that every tab, and a dashboard started anew, sees the
same server. Stopping the job is what gives its memory back.
"""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

import psutil
from pydantic import with_config

from core.chat.unix_socket import is_healthy, remove_socket
from core.data.parity import TokenDifference
from core.data.parity import parity as template_parity
from core.errors import DamagedFile, InputError, NoSuchJob
from core.jobs.failure import Failure, why_failed
from core.jobs.grace import CHAT_SERVER_GRACE, CHAT_SERVER_PATIENCE
from core.jobs.job import JobPaths, JobSpec, tries
from core.jobs.launch import launch, stop, wait
from core.jobs.process import read_identity
from core.jobs.request import as_record, read_request
from core.jobs.status import LIVE, State, is_live, status_of
from core.jobs.tail import last_lines
from core.machine import gpus, this_machine
from core.models.folder import Model, read_model
from core.queue.cards import VISIBLE, on_a_card
from core.queue.devices import Devices
from core.recipe.own_template import spoken_by, template_of
from core.recipe.thinking import ONE_WAY, Thinking, thinking_of
from core.steps import convert, prepare
from core.steps.step import engine_job
from core.workspace.files import held, read_object
from core.workspace.paths import RunPaths, Workspace, make_folder, new_socket

Kind = Literal["merged", "adapter", "base"]
# Of a machine's memory, what float32 weights may take before half precision is the better choice.
FLOAT32_SHARE = 0.5
# A run's models answer as they do in its proof.
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


# What the server says when it is ready, among the last lines of its log, and in how many starts it is sought.
LISTENING = re.compile(r"^listening after ([\d.]+) s$", re.MULTILINE)
LOG_LINES, TRIES = 200, 20
# Seconds until torch is imported, and parameters that are read in one after that: two cores and a plain disk.
IMPORTS, LOADED = 10.0, 150e6


class Readiness(StrEnum):
    off = "off"
    loading = "loading"
    ready = "ready"
    failed = "failed"


@with_config(extra="forbid")
@dataclass(frozen=True)
class Speaker:
    """A model that can be talked to: a folder, with an adapter on it perhaps, and how it was taught.

    ``run`` is the run it came from, None for a model that no run was asked about; ``precision`` is the
    recipe's, empty without one.
    """

    kind: Kind
    model: str
    adapter: str | None
    template: str
    system: str
    run: str | None
    name: str
    precision: str = ""

    @property
    def made_in(self) -> str:
        """The run that made it; empty for a base, and for a model that no run was asked about."""
        return "" if self.kind == "base" else self.run or ""

    @property
    def id(self) -> str:
        """The same model is the same text in every tab."""
        return f"{self.kind}:{self.run or ''}:{self.model}"


@with_config(extra="forbid")
@dataclass(frozen=True)
class ServeRequest:
    """Which model the server has, and the Unix socket where it answers."""

    speaker: Speaker
    socket: Path


@dataclass(frozen=True)
class Server:
    """The chat server as it is now: ``memory`` in bytes, ``failure`` why there is none, ``started`` in
    seconds since the epoch."""

    readiness: Readiness
    speaker: Speaker | None = None
    socket: str = ""
    memory: int = 0
    failure: Failure | None = None
    started: float | None = None

    @property
    def lives(self) -> bool:
        """Whether it holds a model, or is about to."""
        return self.readiness in {Readiness.loading, Readiness.ready}


@dataclass(frozen=True)
class Freed:
    """What ending the server gave back, in bytes: of the machine's memory and of its GPUs'."""

    memory: int
    gpu: int


def speakers(workspace: Workspace, run: RunPaths | None) -> list[Speaker]:
    """What can be talked to: what the run has made so far, the best first, then the workspace's models."""
    of_run = list(_of_run(run)) if run else []
    known = {speaker.model for speaker in of_run}
    return [*of_run, *(s for s in _of_workspace(workspace) if s.model not in known)]


def plan(speaker: Speaker, socket_file: Path) -> JobSpec:
    """The job that serves on that Unix socket. It waits for nobody, and its card counts as taken; on a
    processor it lives beside the others. Raises NoSuchModel, NotAModel when the folder is gone."""
    model = read_model(Path(speaker.model))
    arguments = ["--model", speaker.model, "--socket", str(socket_file), "--template", speaker.template]
    if speaker.adapter:
        arguments += ["--adapter", speaker.adapter]
    spec = engine_job("serve", *arguments, "--dtype", DTYPES.get(speaker.precision) or _dtype(model))
    return replace(spec, request=as_record(ServeRequest(speaker, socket_file)), devices=_card())


def start(workspace: Workspace, speaker: Speaker, instead: bool = True) -> None:
    """Load a model in place of the one that answers now; returns before it is ready. Where that very model
    answers or is being loaded, by another tab perhaps, there is nothing to do. Without ``instead`` no other
    model is ended for it: somebody may be talking to that one.

    Raises NoSuchModel, NotAModel, JobNotStarted, JobRunning.
    """
    read_model(Path(speaker.model))  # before another one is unloaded for it
    with _deciding(workspace):
        now = server(workspace)
        if now.lives and (now.speaker == speaker or not instead):
            return
        _unload(workspace, "chat")
        launch(workspace.chat_server, plan(speaker, new_socket()))


def expected_load(workspace: Workspace, speaker: Speaker) -> float:
    """Seconds until this model answers, from its start: as long as it took here last, else by its size."""
    for folder in tries(workspace.chat_server)[:TRIES]:
        with suppress(NoSuchJob, DamagedFile):
            asked = read_request(ServeRequest, folder)
            said = _listened(folder)
            if asked.speaker.model == speaker.model and said is not None:
                return said
    with suppress(InputError):
        return IMPORTS + read_model(Path(speaker.model)).parameters / LOADED
    return IMPORTS


def unload(workspace: Workspace, by: str = "chat") -> Freed:
    """End the server and wait for it; what that gave back."""
    if not JobPaths(workspace.chat_server).holds_a_job:
        return Freed(0, 0)
    with _deciding(workspace):
        return _unload(workspace, by)


def _deciding(workspace: Workspace) -> AbstractContextManager[None]:
    """Of two who choose a model at once, the second sees what the first has started."""
    make_folder(workspace.chat_server, exist_ok=True)
    return held(workspace.chat_server_lock)


def _unload(workspace: Workspace, by: str) -> Freed:
    folder, asked = workspace.chat_server, _asked(workspace)
    if asked:
        remove_socket(str(asked.socket))
    if not is_live(folder):
        return Freed(0, 0)
    held, free = _memory(folder), _free_on_gpus()
    stop(folder, by=by, grace=CHAT_SERVER_GRACE)
    wait(folder, timeout=CHAT_SERVER_PATIENCE)
    return Freed(held, max(0, _free_on_gpus() - free))


def server(workspace: Workspace) -> Server:
    """The server's state, from its job and its socket."""
    folder, asked = workspace.chat_server, _asked(workspace)
    if asked is None or (status := status_of(folder)) is None:
        return Server(Readiness.off)
    speaker, address = asked.speaker, str(asked.socket)
    if status.state in LIVE:
        readiness = Readiness.ready if is_healthy(address) else Readiness.loading
        return Server(readiness, speaker, address, _memory(folder), started=status.started)
    if status.state is State.stopped:
        return Server(Readiness.off)
    return Server(Readiness.failed, speaker, failure=why_failed(folder, status))


def had_been_ready(workspace: Workspace) -> bool:
    """Whether the server that was started last ever came to answer: its log is read for this."""
    with suppress(NoSuchJob):
        return _listened(workspace.chat_server) is not None
    return False


def _listened(folder: Path) -> float | None:
    """After how many seconds a server said that it answers; None if it never did. Raises NoSuchJob."""
    said = LISTENING.search("\n".join(last_lines(JobPaths(folder).log, LOG_LINES)))
    return float(said[1]) if said else None


def thinking(speaker: Speaker) -> Thinking:
    """Whether the model can be asked to think before it answers; never of a folder that cannot be read."""
    folder = Path(speaker.model)
    with suppress(InputError):
        return thinking_of(template_of(speaker.template, folder))
    return ONE_WAY


def template_difference(speaker: Speaker) -> TokenDifference | None:
    """Where the model's own chat template writes another text than the training did; None when it does not.

    The server here speaks the training's template either way; whoever else reads the folder does not.
    Raises NotAModel.
    """
    folder = Path(speaker.model)
    found = template_parity(folder, template_of(speaker.template, folder))
    return None if found.text_same() else found.difference


def _of_run(run: RunPaths) -> Iterator[Speaker]:
    with suppress(InputError):
        recipe = prepare.recipe_of(run)
        name = (read_object(run.data) or {}).get("name") or run.id
        taught = (recipe.template, recipe.system, run.id, name, recipe.precision)
        base = Speaker("base", recipe.model, None, *taught)
        with suppress(InputError):
            merged = str(read_model(run.merged).folder)
            yield Speaker("merged", merged, None, *taught)
        with suppress(InputError):
            adapter = str(convert.read(run))
            yield Speaker("adapter", recipe.model, adapter, *taught)
        with suppress(InputError):
            read_model(Path(base.model))
            yield base


def _of_workspace(workspace: Workspace) -> Iterator[Speaker]:
    for folder in workspace.model_folders():
        with suppress(InputError):
            model = read_model(folder)
            template = spoken_by(model)
            yield Speaker("base", str(folder), None, template, "", None, folder.name)


def _card() -> Devices | None:
    return None if os.environ.get(VISIBLE) == "" else on_a_card()


def _dtype(model: Model) -> str:
    """For a model that no recipe speaks of: exact on a processor where there is room for it."""
    machine = this_machine()
    if machine.gpus and os.environ.get(VISIBLE) != "":
        return "bfloat16"
    return "float32" if model.parameters * 4 < machine.memory * FLOAT32_SHARE else "bfloat16"


def _asked(workspace: Workspace) -> ServeRequest | None:
    """What the server was asked to serve; None for one that an earlier version started."""
    with suppress(NoSuchJob, DamagedFile):
        return read_request(ServeRequest, workspace.chat_server)
    return None


def _memory(folder: Path) -> int:
    """Resident memory of the server's process, in bytes."""
    tool = read_identity(JobPaths(folder).tool)
    with suppress(psutil.Error):
        return int(psutil.Process(tool.pid).memory_info().rss) if tool else 0
    return 0


def _free_on_gpus() -> int:
    return sum(gpu.free for gpu in gpus())
