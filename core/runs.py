"""What a run is, read from its folder: nothing about it is kept anywhere else."""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import DamagedFile, JobRunning, reason_of
from core.jobs.job import JobPaths, job_folders
from core.jobs.status import LIVE, State, is_live, state_of
from core.wording import say
from core.workspace.files import ODD, read_object, read_record, write_json
from core.workspace.names import shown_name, unusable
from core.workspace.paths import RunPaths, Workspace
from core.workspace.publish_paths import PublishPaths

# The job that makes a run's data by itself; in a chain the chain's own job does.
DATA = "data"
STEPS = (DATA, "base", "train", "convert", "merge", "ask")
# The page's job that publishes, or only looks at what would be sent.
PUBLISH = "publish"
# The job of the whole chain (core.pipeline.tune), which starts the steps' jobs one after the other.
CHAIN = "chain"
# Of so many of the newest runs it is looked whether they are at work.
NEWEST = 20
# The jobs that start others of a run: the chain, both halves of merging, the whole proof.
COMMANDS = (CHAIN, "export", "proof")
# Those that make a run's model: its test makes none.
MAKERS = (CHAIN, "export", DATA, "base", "train", "convert", "merge")


@dataclass(frozen=True)
class Run:
    """One run: which steps have a job, in what state, and what was measured at the end.

    ``name`` is what the assistant is taught, ``title`` what a person calls the run. ``stopped_at``: the
    iteration, of ``iterations``, at which a training ended early of which the model was made all the same;
    None where it did not. ``facts``: how many facts of a person's own data, of ``facts_asked``, the final
    test saw answered rightly; None where it asked for none. ``fault``: what is wrong with its folder, in a
    sentence; None where nothing is.
    """

    run: str
    name: str | None
    title: str
    state: State
    steps: dict[str, State]
    learned: float | None = None
    kept: float | None = None
    leaked: int | None = None
    facts: int | None = None
    facts_asked: int | None = None
    stopped_at: int | None = None
    iterations: int | None = None
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {**vars(self)}

    @property
    def told(self) -> str:
        """Its state in words."""
        return state_told(self.state, self.stopped_at, self.iterations)


def state_told(state: str, stopped_at: int | None, iterations: int | None) -> str:
    """A run's state in words; where its model is of a training that ended early, how early."""
    if stopped_at is None or state in LIVE:
        return say(f"state.{state}")
    return say("runs.early", at=stopped_at, total=iterations)


def read_run(paths: RunPaths) -> Run:
    """Describe one run's folder. What of it is damaged is its ``fault``. Raises OSError."""
    (about, result, data), faults = _records(paths.about, paths.result, paths.data)
    steps = dict(_steps(paths))
    # The data say it once they are made, which takes minutes; until then it is what was asked for.
    name = _text(data.get("name")) or _text(about.get("name"))
    measured = {key: _number(result.get(key)) for key in ("learned", "kept", "leaked")}
    facts = _facts(result)
    faults += [_fault(file, say("file.EISDIR")) for file in paths.scalars if file.is_dir()]
    early = _early(paths, steps)
    return Run(
        run=paths.id,
        name=name,
        title=_text(about.get("title")) or name or paths.id,
        state=_state(paths, steps),
        steps=steps,
        stopped_at=early.at if early else None,
        iterations=early.total if early else None,
        fault=say("row.separator").join(faults) or None,
        facts=facts[0] if facts else None,
        facts_asked=facts[1] if facts else None,
        **measured,  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Early:
    """A training that ended at iteration ``at`` of ``total`` and of which a model was made as it was then."""

    at: int
    total: int


def made_early(paths: RunPaths) -> Early | None:
    """Of what the run's model was made, where its training never came to its end; None where it did, is at
    work, or nothing was made of it."""
    return _early(paths, dict(_steps(paths)))


def _early(paths: RunPaths, steps: Mapping[str, State]) -> Early | None:
    if steps.get("train") in (None, State.finished, *LIVE) or steps.get("convert") is not State.finished:
        return None
    # What converting was asked for (core.steps.convert).
    asked = read_record(JobPaths(paths.job("convert")).request) or {}
    at, total = asked.get("iteration"), asked.get("total")
    if not (isinstance(at, int) and isinstance(total, int) and at < total):
        return None
    return Early(at, total)


def _records(*files: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What stands in a run's own files, nothing in one that is not there, and what is wrong with others."""
    found: list[dict[str, Any]] = []
    faults: list[str] = []
    for file in files:
        try:
            found.append(read_object(file) or {})
        except DamagedFile:
            faults.append(_fault(file, say("file.damaged")))
            found.append({})
        except OSError as error:
            faults.append(_fault(file, reason_of(error)))
            found.append({})
    return found, faults


def _fault(file: Path, detail: str) -> str:
    return say("model.unreadable", file=file.name, detail=detail)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _facts(result: Mapping[str, Any]) -> tuple[int, int] | None:
    """Of a person's own facts, how many the tuned model knew, and of how many."""
    found = result.get("facts")
    tuned = found.get("tuned") if isinstance(found, dict) else None
    hits, asked = (tuned.get("hits"), tuned.get("n")) if isinstance(tuned, dict) else (None, None)
    return (hits, asked) if isinstance(hits, int) and isinstance(asked, int) and asked else None


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def read_or_lost(paths: RunPaths) -> Run:
    """The same of one that perhaps nobody can read: that is lost, with its fault."""
    if fault := unusable(paths.root):
        return _lost(paths, fault)
    try:
        return read_run(paths)
    except OSError as error:
        return _lost(paths, reason_of(error))
    except ODD as error:
        return _lost(paths, say("file.odd", detail=f"{type(error).__name__}: {error}"[:200]))


def _lost(paths: RunPaths, fault: str) -> Run:
    name = shown_name(paths.root)
    return Run(name, None, name, State.lost, {}, fault=fault)


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


def keep_chatted(workspace: Workspace, run_id: str) -> None:
    """Somebody has talked with what the run has made. Raises NoSuchRun, OSError."""
    chatted = workspace.run(run_id).chatted
    if not chatted.exists():
        write_json(chatted, {"at": datetime.now().isoformat(timespec="seconds")})


def delete(workspace: Workspace, paths: RunPaths) -> None:
    """Delete a run's folder, and its data where no other run was trained on them.

    Raises JobRunning while anything in it runs; OSError.
    """
    if running := next(filter(is_live, job_folders(paths.root)), None):
        raise JobRunning(folder=running)
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
    chain = _chain(paths)
    steps = {step: awaited(state, chain) for step, state in _steps(paths)}
    made = State.finished
    behind = paths.data.exists() or paths.adopted.exists()
    return {
        "data": made if behind else steps.get(DATA) or steps.get("base") or chain,
        "config": made if paths.config.exists() else None,
        "train": steps.get("train"),
        "merge": made if paths.merged.exists() else steps.get("merge") or steps.get("convert"),
        "chat": made if paths.chatted.exists() else None,
        "compare": made if paths.result.exists() else steps.get("ask"),
        "publish": _publishing(paths),
    }


def awaited(step: State | None, chain: State | None) -> State | None:
    """A step's state beside its chain's: while that waits to begin, a step that an earlier try of it did not
    bring to its end is still to come, however that try ended: as one that Slurm took off its node."""
    return step if step in {State.finished, *LIVE} or chain is not State.waiting else None


def is_at_work(paths: RunPaths) -> bool:
    """Whether anything that makes the run is at work: a step, or a command that is between two of them."""
    return any(is_live(paths.job(job)) for job in (*COMMANDS, *STEPS))


def making(paths: RunPaths) -> State | None:
    """Whether what makes a run's model is running, or only waits to; None where nothing makes it now."""
    states = {state_of(paths.job(job)) for job in MAKERS}
    return next((state for state in (State.running, State.waiting) if state in states), None)


def newest(workspace: Workspace) -> list[RunPaths]:
    """The newest runs, newest first: as many as anybody looks for who names none."""
    return [RunPaths(folder) for folder in workspace.run_folders(newest=NEWEST)]


def chains(workspace: Workspace, state: State) -> list[RunPaths]:
    """Those of the newest runs whose chain is in this state."""
    return [run for run in newest(workspace) if _chain(run) is state]


def comes_back_to(workspace: Workspace) -> RunPaths | None:
    """The run that somebody means who names none: whose chain is at work, else one that waits for its turn,
    else one of which a step is at work. None where nothing is."""
    found = chains(workspace, State.running) or chains(workspace, State.waiting)
    return next(iter(found), None) or next(filter(is_at_work, newest(workspace)), None)


def next_step(found: Mapping[str, State | None]) -> str:
    """The first step that is not done; with a merged model, though its training was stopped, the chat. Once
    somebody has talked with it, publishing; empty once that is done too."""
    made = found.get("merge") is State.finished and found.get("train") is State.stopped
    for step in ("data", "config") if made else ("data", "config", "train", "merge"):
        if found.get(step) is not State.finished:
            return step
    return next((step for step in ("chat", "publish") if found.get(step) is not State.finished), "")


def _state(paths: RunPaths, steps: Mapping[str, State]) -> State:
    return _chain(paths) or (list(steps.values())[-1] if steps else State.waiting)


def _chain(paths: RunPaths) -> State | None:
    return state_of(paths.job(CHAIN))


def _publishing(paths: RunPaths) -> State | None:
    """A job that only looked at what would be sent has published nothing when it is done."""
    state = state_of(paths.job(PUBLISH))
    if state not in LIVE and is_published(paths):
        return State.finished
    return None if state is State.finished else state


def is_published(paths: RunPaths) -> bool:
    """Whether something of it is published that was not found changed when it was fetched back."""
    found = (read_record(PublishPaths(paths).sent) or {}).get("places", ())
    return any(place.get("ok") is not False for place in found)


def _steps(paths: RunPaths) -> Iterator[tuple[str, State]]:
    for step in STEPS:
        if step == "train" and paths.adopted.exists():
            yield step, State.finished  # elsewhere
        if state := state_of(paths.job(step)):
            yield step, state
