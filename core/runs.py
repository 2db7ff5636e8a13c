"""What the workspace's runs are, read from their folders: nothing about a run is kept anywhere else."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import JobRunning
from core.jobs.job import JobPaths
from core.jobs.status import LIVE, State, read_status
from core.workspace.files import read_record, write_json
from core.workspace.paths import PublishPaths, RunPaths, Workspace

# The job that makes a run's data by itself; in a chain the chain's own job does.
DATA = "data"
STEPS = (DATA, "base", "train", "convert", "merge", "ask")
# The page's job that publishes, or only looks at what would be sent.
PUBLISH = "publish"
# The job of the whole chain (core.pipeline.tune), which starts the steps' jobs one after the other.
CHAIN = "chain"
# The jobs that start others of a run: the chain, both halves of merging, the whole proof.
COMMANDS = (CHAIN, "export", "proof")


@dataclass(frozen=True)
class Run:
    """One run: which steps have a job, in what state, and what was measured at the end.

    ``name`` is what the assistant is taught, ``title`` what a person calls the run.
    """

    run: str
    name: str | None
    title: str
    state: State
    steps: dict[str, State]
    learned: float | None = None
    kept: float | None = None
    leaked: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_run(paths: RunPaths) -> Run:
    """Describe one run's folder."""
    about, result = read_record(paths.about) or {}, read_record(paths.result) or {}
    steps = dict(_steps(paths))
    # The data say it once they are made, which takes minutes; until then it is what was asked for.
    name = (read_record(paths.data) or {}).get("name") or about.get("name")
    return Run(
        run=paths.id,
        name=name,
        title=about.get("title") or name or paths.id,
        state=_state(paths, steps),
        steps=steps,
        learned=result.get("learned"),
        kept=result.get("kept"),
        leaked=result.get("leaked"),
    )


def list_runs(workspace: Workspace) -> list[Run]:
    """All runs, newest first. One that cannot be read is lost and hides none of the others."""
    return [_read_or_lost(RunPaths(folder)) for folder in workspace.run_folders()]


def _read_or_lost(paths: RunPaths) -> Run:
    try:
        return read_run(paths)
    except OSError:
        return Run(paths.id, None, paths.id, State.lost, {})


def made_at(run_id: str) -> datetime | None:
    """When a run was made, from its name; None for a folder of another name."""
    with suppress(ValueError):
        return datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S")
    return None


def introduce(paths: RunPaths, name: str) -> None:
    """A new run is known by the ``name`` that it will be taught, before there are data. Raises OSError."""
    write_json(paths.about, {"title": " ".join(name.split()), "name": name})


def rename(paths: RunPaths, title: str) -> None:
    """Call a run ``title`` from now on; its folder keeps its name. Raises OSError."""
    write_json(paths.about, {**(read_record(paths.about) or {}), "title": " ".join(title.split())})


def delete(workspace: Workspace, paths: RunPaths) -> None:
    """Delete a run's folder, and its data where no other run was trained on them.

    Raises JobRunning while anything in it runs; OSError.
    """
    for spec in paths.root.glob("*/job.json"):
        if read_status(spec.parent).state in LIVE:
            raise JobRunning(folder=spec.parent)
    data = {workspace.data(paths.id).root, _data_folder(paths)}
    doomed = paths.doomed
    paths.root.rename(doomed)
    if doomed.is_symlink():
        doomed.unlink()
    else:
        shutil.rmtree(doomed)
    others = {_data_folder(RunPaths(folder)) for folder in workspace.run_folders()}
    for folder in data - others:
        if folder.parent == workspace.data_sets and folder.is_dir():
            shutil.rmtree(folder)


def _data_folder(paths: RunPaths) -> Path:
    """Where the rows of a run are: a variant shares its first run's."""
    return Path((read_record(paths.data) or {}).get("path", "")).parent


def standing(paths: RunPaths) -> dict[str, State | None]:
    """Where a run stands, by page: a state, or None for a step that was not begun."""
    steps = dict(_steps(paths))
    made = State.finished
    behind = paths.data.exists() or paths.adopted.exists()
    return {
        "data": made if behind else steps.get(DATA) or steps.get("base") or _chain(paths),
        "config": made if paths.config.exists() else None,
        "train": steps.get("train"),
        "merge": made if paths.merged.exists() else steps.get("merge") or steps.get("convert"),
        "chat": None,
        "compare": made if paths.result.exists() else steps.get("ask"),
        "publish": _publishing(paths),
    }


def is_at_work(paths: RunPaths) -> bool:
    """Whether anything that makes the run is at work: a step, or a command that is between two of them."""
    return any(_job(paths, job) in LIVE for job in (*COMMANDS, *STEPS))


def next_step(found: Mapping[str, State | None]) -> str:
    """The first step that is not done; with a merged model, the chat."""
    for step in ("data", "config", "train", "merge"):
        if found.get(step) is not State.finished:
            return step
    return "chat"


def _state(paths: RunPaths, steps: Mapping[str, State]) -> State:
    return _chain(paths) or (list(steps.values())[-1] if steps else State.waiting)


def _chain(paths: RunPaths) -> State | None:
    return _job(paths, CHAIN)


def _publishing(paths: RunPaths) -> State | None:
    """A job that only looked at what would be sent has published nothing when it is done."""
    state = _job(paths, PUBLISH)
    if state not in LIVE and is_published(paths):
        return State.finished
    return None if state is State.finished else state


def is_published(paths: RunPaths) -> bool:
    """Whether something of it is published that was not found changed when it was fetched back."""
    found = (read_record(PublishPaths(paths).sent) or {}).get("places", ())
    return any(place.get("ok") is not False for place in found)


def _job(paths: RunPaths, step: str) -> State | None:
    folder = paths.job(step)
    return read_status(folder).state if JobPaths(folder).spec.exists() else None


def _steps(paths: RunPaths) -> Iterator[tuple[str, State]]:
    for step in STEPS:
        if step == "train" and paths.adopted.exists():
            yield step, State.finished  # elsewhere
        if JobPaths(paths.job(step)).spec.exists():
            yield step, read_status(paths.job(step)).state
