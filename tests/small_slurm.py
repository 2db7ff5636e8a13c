"""A Slurm in the test's own process: it takes jobs, begins them in order as real supervisors on this machine,
so many of an array at a time as that says, and tells what they do."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import SlurmFailed
from core.jobs import elsewhere, submit
from core.jobs.job import JobPaths
from core.jobs.launch import _start_supervisor
from core.jobs.process import read_identity
from core.slurm.queue import Queue, SlurmEntry
from core.workspace.files import read_json


@dataclass
class _Task:
    folder: Path
    array: str
    most: int
    state: str = "PENDING"


class SmallSlurm:
    """``told``: every command it was given. ``refuses``: what it says instead of taking a job. ``most``: how
    many jobs were at work at a time, at most."""

    def __init__(self) -> None:
        self.told: list[Sequence[str]] = []
        self.refuses = ""
        self.most = 0
        self._tasks: dict[str, _Task] = {}

    def of(self, program: str) -> list[Sequence[str]]:
        return [command for command in self.told if command[0] == program]

    def arrays(self) -> list[str]:
        """What each ``sbatch`` asked for: ``0-3%2``, empty for one job alone."""
        return [
            next((word[len("--array=") :] for word in command if word.startswith("--array=")), "")
            for command in self.of("sbatch")
        ]

    def ask(self, command: Sequence[str], *_: object) -> str:
        self.told.append(command)
        if command[0] == "sbatch":
            return self._take(command)
        for job in command[1:]:
            if job in self._tasks:
                self._cancel(self._tasks[job])
        return ""

    def _take(self, command: Sequence[str]) -> str:
        if self.refuses:
            raise SlurmFailed(command="sbatch", reason=self.refuses)
        number = str(len(self.of("sbatch")))
        array = self.arrays()[-1]
        if not array:
            self._tasks[number] = _Task(Path(command[-1]), number, 1)
            return number
        most = int(array.partition("%")[2] or 1000)
        for place, folder in enumerate(read_json(Path(command[-1])) or ()):
            self._tasks[f"{number}_{place}"] = _Task(Path(folder), number, most)
        return number

    def _cancel(self, task: _Task) -> None:
        if task.state == "PENDING":
            task.state = "CANCELLED"
        elif supervisor := read_identity(JobPaths(task.folder).supervisor):
            with suppress(ProcessLookupError):
                os.kill(supervisor.pid, signal.SIGTERM)

    def look(self) -> Mapping[str, SlurmEntry]:
        """What ``squeue`` says, each time a moment later."""
        for job, task in self._tasks.items():
            if task.state == "RUNNING" and JobPaths(task.folder).exit.exists():
                task.state = "COMPLETED"
            elif task.state == "PENDING" and self._at_work(task.array) < task.most:
                task.state = "RUNNING"
                self._begin(job, task)
        self.most = max(self.most, sum(one.state == "RUNNING" for one in self._tasks.values()))
        return {job: SlurmEntry(task.state) for job, task in self._tasks.items()}

    def _at_work(self, array: str) -> int:
        return sum(one.array == array and one.state == "RUNNING" for one in self._tasks.values())

    def lose(self, folder: Path) -> None:
        """The node on which the job in this folder runs is gone, and it is not begun anew."""
        next(one for one in self._tasks.values() if one.folder == folder).state = "NODE_FAIL"

    @staticmethod
    def _begin(job: str, task: _Task) -> None:
        """In an environment as an allocation's is."""
        array, _, place = job.partition("_")
        said = {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": place} if place else {}
        with pytest.MonkeyPatch.context() as allocated:
            for name, value in {"SLURM_JOB_ID": array, **said}.items():
                allocated.setenv(name, value)
            _start_supervisor(JobPaths(task.folder))


def put_small_slurm(monkeypatch: pytest.MonkeyPatch) -> SmallSlurm:
    """One that this process finds in the place of Slurm's commands."""
    made = SmallSlurm()
    queue = Queue(made.look, fresh=0)
    monkeypatch.setattr(submit, "ask", made.ask)
    for module in (submit, elsewhere):
        monkeypatch.setattr(module, "QUEUE", queue)
    return made
