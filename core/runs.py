"""What the workspace's runs are, read from their folders: nothing about a run is kept anywhere else."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from core.jobs.job import JobPaths, read_record
from core.jobs.status import State, read_status
from core.paths import RunPaths, Workspace

STEPS = ("base", "train", "convert", "merge", "ask")


@dataclass(frozen=True)
class Run:
    """One run: which steps have a job, in what state, and what was measured at the end."""

    run: str
    name: str | None
    state: State
    steps: dict[str, State]
    learned: float | None = None
    kept: float | None = None
    leaked: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_run(paths: RunPaths) -> Run:
    """Describe one run's folder."""
    about, result = read_record(paths.data) or {}, read_record(paths.result) or {}
    steps = dict(_steps(paths))
    return Run(
        run=paths.id,
        name=about.get("name"),
        state=list(steps.values())[-1] if steps else State.waiting,
        steps=steps,
        learned=result.get("learned"),
        kept=result.get("kept"),
        leaked=result.get("leaked"),
    )


def list_runs(workspace: Workspace) -> list[Run]:
    """All runs, newest first."""
    return [read_run(RunPaths(folder)) for folder in workspace.run_folders()]


def _steps(paths: RunPaths) -> Iterator[tuple[str, State]]:
    for step in STEPS:
        if JobPaths(paths.job(step)).spec.exists():
            yield step, read_status(paths.job(step)).state
