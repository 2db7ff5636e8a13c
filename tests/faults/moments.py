"""A chain that stands still at a moment of its work, and whom to strike there.

The chain, its jobs, their supervisors and the worker that forks them are the real ones; the tools are
:mod:`tests.fake_engine`, which stand still where they are told to (:mod:`tests.holding`).
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import psutil

from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.process import Identity, identify, is_alive, read_identity
from core.jobs.status import LIVE, State, read_status
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN
from core.workspace.paths import RunPaths, Workspace
from tests.small_run import NAME, make_run
from tests.waiting import until

TIMEOUT = 120.0


class Moment(StrEnum):
    """Where the chain stands when it is struck; the checkpoints at 10 and 20 are whole from ``step`` on."""

    begin = "begin"
    step = "step"
    checkpoint = "checkpoint"
    convert = "convert"
    merge = "merge"
    asking = "asking"

    @property
    def stage(self) -> str:
        """The step that is at work then."""
        names = {Moment.convert: "convert", Moment.merge: "merge", Moment.asking: "ask"}
        return names.get(self, "train")


class Late(StrEnum):
    """Where the training stands that ends by itself: its last checkpoint is half written, or it has said that
    it is done and its process is still there."""

    last = "last"
    done = "done"

    @property
    def stage(self) -> str:
        return "train"


class Victim(StrEnum):
    """Who is struck. ``all``: everything that belongs to the run, as when a machine is switched off."""

    tool = "tool"
    supervisor = "supervisor"
    chain = "chain"
    chain_supervisor = "chain_supervisor"
    worker = "worker"
    all = "all"


class HeldChain:
    """A chain of a new run, standing still at ``moment``."""

    def __init__(self, workspace: Workspace, moment: Moment | Late, folder: Path) -> None:
        self.workspace, self.moment, self.held = workspace, moment, folder / "held"
        self.run: RunPaths = make_run(workspace)
        os.environ |= {"FAKE_HOLD": moment, "FAKE_HOLD_FILE": str(self.held)}
        try:
            self.begin()
        finally:
            for name in ("FAKE_HOLD", "FAKE_HOLD_FILE"):
                del os.environ[name]
        until(self.held.exists)
        # The tool may stand there before its supervisor has written down who it is: whoever is struck in the
        # milliseconds between is another case than the ones here.
        until(lambda: read_identity(JobPaths(self.run.job(moment.stage)).tool))

    def begin(self) -> None:
        """Start the chain, or let it go on, as the page's buttons do."""
        launch(self.run.job(CHAIN), chain.plan(self.workspace, self.run, TuneRequest(NAME), "test", "en"))

    def strike(self, victim: Victim, number: signal.Signals) -> None:
        """Send a signal, and wait until whoever got a KILL is gone."""
        until(lambda: any(self._processes(victim)))  # a tool may be held before its tool.json is written
        struck = list(self._processes(victim))
        for one in struck:
            with suppress(ProcessLookupError):
                os.kill(one.pid, number)
        if number is signal.SIGKILL:
            until(lambda: not any(is_alive(one) for one in struck))

    def let_go(self) -> None:
        """Whoever still stands there goes on."""
        self.held.unlink(missing_ok=True)

    def ended(self) -> State:
        """The chain's state when neither it nor a step of it is at work any more."""
        wait(self.run.job(self.moment.stage), poll=0.05, timeout=TIMEOUT)
        wait(self.run.job(CHAIN), poll=0.05, timeout=TIMEOUT)
        until(lambda: not any(is_alive(one) for one in self._processes(Victim.all)))
        state = read_status(self.run.job(CHAIN)).state
        assert state not in LIVE
        return state

    def processes(self) -> Iterator[psutil.Process]:
        """Of everybody at work, whatever becomes of the files that name them."""
        return (psutil.Process(one.pid) for one in self._processes(Victim.all))

    def _processes(self, victim: Victim) -> Iterator[Identity]:
        stage, whole = JobPaths(self.run.job(self.moment.stage)), JobPaths(self.run.job(CHAIN))
        files = {
            Victim.tool: (stage.tool,),
            Victim.supervisor: (stage.supervisor,),
            Victim.chain: (whole.tool,),
            Victim.chain_supervisor: (whole.supervisor,),
            Victim.all: (whole.supervisor, whole.tool, stage.supervisor, stage.tool),
        }
        for file in files.get(victim, ()):
            if (found := read_identity(file)) and is_alive(found):
                yield found
        if victim is Victim.worker and (chain_tool := read_identity(whole.tool)):
            yield from (identify(worker.pid) for worker in _workers(chain_tool.pid))


def _workers(chain_tool: int) -> list[psutil.Process]:
    """The process that forks the steps' supervisors: the chain's only child that is no job's own."""
    children = psutil.Process(chain_tool).children()
    return [child for child in children if "worker" in child.cmdline()]
