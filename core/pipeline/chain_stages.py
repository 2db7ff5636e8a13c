"""How far the chain of a run is, stage after stage, or why it ended: read from the files of its jobs, whoever
started them."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import DamagedFile, TuneboardError
from core.jobs.failure import Failure, why_failed
from core.jobs.job import JobPaths, tries
from core.jobs.progress import JobProgress, job_progress
from core.jobs.status import LIVE, State, Status, state_of, status_of
from core.jobs.turn import line_in
from core.machine import slowdown, still_slower
from core.model_store.importing import far
from core.models.catalog import STARTER
from core.pace import IMPORT_COSTS, NOTHING, Clock, Cost, Mark, about
from core.pipeline import took
from core.pipeline.chain import asked_before, listed_import
from core.pipeline.checkpoints import CHOOSE
from core.pipeline.tune import finished, prepared
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN, COMMANDS, STEPS, awaited, is_at_work
from core.steps import prepare, proof, resuming, watch
from core.steps.busy import beside, kept_just_now
from core.steps.convert import makes_adapter
from core.wording import say
from core.workspace.files import ODD, read_record
from core.workspace.import_paths import ImportPaths
from core.workspace.paths import RunPaths, Workspace

# In the order of their coming: a model of the list is fetched before the base is asked.
STAGES = ("starter", *IMPORT_COSTS, "base", "train", CHOOSE, "convert", "merge", "ask")
# Seconds after which a job's word of other programs counts.
LOOKED_FOR = 2.0
# How far each chain was said to be last, by its folder and start.
_TOLD: dict[Path, tuple[float | None, float]] = {}
# What each start's stages cost.
_COSTS: dict[tuple[Workspace, RunPaths, bool, float | None], Mapping[str, Cost]] = {}
_LOOKED_UP_BY_ONE = threading.Lock()


@dataclass(frozen=True)
class Stage:
    """One stage of the chain: its state (None before it began), how far it is (0 to 1) of what it had to do,
    and a note.

    ``needless``: it was behind before this chain began. ``began``, and when it was ``heard`` that it is this
    far, in seconds since the epoch; ``first`` and ``lately`` are two earlier points of its way. ``kept``: how
    many cores other programs keep from it, None where it does not say; ``slower``: how many times as long
    everything takes by that now, or did at its end; ``slowed``: how many times as long it has taken.
    """

    name: str
    state: State | None
    share: float
    note: str
    needless: bool
    began: float | None
    heard: float | None
    first: Mark | None = None
    lately: Mark | None = None
    kept: float | None = None
    slower: float = 1.0
    slowed: float = 1.0


@dataclass(frozen=True)
class ChainProgress:
    """The whole chain: its stages in order, how much is behind (0 to 1), the seconds left, when it ``began``
    (seconds since the epoch).

    The state is None where nothing is at work, nothing failed, and not everything is made.
    """

    state: State | None
    stages: tuple[Stage, ...]
    share: float
    seconds: float
    began: float | None = None

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def left(self) -> str:
        """The time left as a person says it: "about 3 minutes"."""
        return about(self.seconds)

    @property
    def running(self) -> Stage | None:
        """The stage that is at work."""
        return next((stage for stage in self.stages if stage.state in LIVE), None)


def read_progress(workspace: Workspace, run: RunPaths) -> ChainProgress:
    """How far ``run`` is, from the files of its steps, whoever started them."""
    whole = _whole(run)
    began = whole.started if whole else None
    stages = tuple(_stages(workspace, run, whole))
    slower = _slower(stages) if whole and whole.state in LIVE else 1.0
    if whole and whole.state is State.running and not any(map(_has_said, stages)):
        slower = _slower_beside(workspace, run)
    clock = clock_of(stages, _costs(workspace, run, prepared(run), began), began, slower=slower)
    share = 1.0 if whole and whole.state is State.finished else _never_back(run, began, clock.fraction)
    return ChainProgress(whole.state if whole else None, stages, share, clock.seconds(), began)


def _never_back(run: RunPaths, began: float | None, share: float) -> float:
    """What a stage will take is known better once it has its rows; how far a chain is does not fall by that,
    for whoever has seen it."""
    told, most = _TOLD.get(run.root, (None, 0.0))
    _TOLD[run.root] = began, max(share, most if told == began else 0.0)
    return _TOLD[run.root][1]


def time_left(workspace: Workspace, run: RunPaths) -> tuple[float, float]:
    """How much of ``run`` is behind, from 0 to 1, and the seconds left."""
    found = read_progress(workspace, run)
    return found.share, found.seconds


def test_far(workspace: Workspace, run: RunPaths) -> tuple[float, str] | None:
    """How much of a test that no chain runs is behind, from 0 to 1, and in words what it is at and how long
    it still takes; None before it has begun."""
    whole = status_of(run.job(proof.PROOF))
    if whole is None or not whole.started:
        return None
    found = [stage for stage in _stages(workspace, run, whole) if stage.name in {"base", "ask"}]
    stages = [replace(one, needless=False, state=None) if _to_come(one) else one for one in found]
    slower = _slower(stages)
    clock = clock_of(
        stages, _costs(workspace, run, prepared(run), whole.started), whole.started, slower=slower
    )
    now = next((one for one in stages if one.state in LIVE), None)
    doing = " ".join(filter(None, (say(f"stage.{now.name}"), now.note))) if now else ""
    left = say("chain.left", left=clock.left()) if clock.seconds() else ""
    return clock.fraction, " · ".join(filter(None, (doing, left)))


def _to_come(stage: Stage) -> bool:
    """Whether what a stage of a test did is of an earlier one."""
    return stage.name == "ask" and stage.needless


def made_in(workspace: Workspace, run: RunPaths) -> dict[str, float]:
    """Seconds that each stage took which made what the run has now, whoever started it and when: of a
    training that went on all its parts. Of none that made something for other runs too, before this one."""
    whole = _whole(run)
    found = {name: _took(workspace, run, name, whole) for name in STAGES}
    return {name: max(1.0, seconds) for name, seconds in found.items() if seconds}


def _took(workspace: Workspace, run: RunPaths, name: str, whole: Status | None) -> float:
    if _status(workspace, run, name, whole) is None:
        return 0.0
    seconds = 0.0
    for folder in tries(_job(workspace, run, name)):
        status = status_of(folder)
        if status and status.started and status.ended:
            seconds += status.ended - status.started
        if name != "train" or not (read_record(JobPaths(folder).request) or {}).get("resume"):
            break
    return seconds


def _has_said(stage: Stage) -> bool:
    """Whether it has looked at what others take: from there on that is known."""
    return stage.kept is not None or (stage.state is State.finished and not stage.needless)


def _slower_beside(workspace: Workspace, run: RunPaths) -> float:
    """How many times as long everything takes for one that began beside others which have the processor,
    until its first stage has looked; of one that has it to itself by what other programs took just now."""
    line = line_in(workspace.root)
    with suppress(OSError, *ODD):
        having = [entry.job for entry in (*line.elsewhere(), *line.entries()) if entry.devices == ("cpu",)]
        if any(run.root not in job.parents for job in having):
            return beside(0.0)[1]
    return slowdown(kept_just_now())


def _slower(stages: Sequence[Stage]) -> float:
    """How many times as long everything takes now by other programs: as the running stage says, whose own
    work is none of theirs. What the stage before has found stands until this one computes itself, as far as
    the cores are still taken; before the first can say so nobody is, for who only looks on takes the chain's
    own work for others'."""
    before = 1.0
    for stage in stages:
        if stage.state in LIVE and stage.kept is not None:
            return max(stage.slower, still_slower(before, stage.kept))
        before = max(before, stage.slower) if stage.state is State.finished else before
    return before


def clock_of(
    stages: Sequence[Stage],
    costs: Mapping[str, Cost],
    began: float | None,
    now: Callable[[], float] | None = None,
    slower: float = 1.0,
) -> Clock:
    """The time left of a chain that is so far, by what its stages cost, where everything takes so many times
    as long by other programs now."""
    wanted = [stage for stage in stages if not stage.needless]
    costs = {stage.name: costs.get(stage.name, NOTHING) for stage in wanted}
    clock = Clock(costs, began, now or time.time, slower)
    for stage in wanted:
        if stage.state is not None:
            clock.stage(stage.name, stage.began, stage.slowed)
            clock.reach(stage.share, stage.heard, stage.first, stage.lately)
    return clock


def _costs(workspace: Workspace, run: RunPaths, is_prepared: bool, began: float | None) -> Mapping[str, Cost]:
    """What the stages of a run cost here; nothing where nobody can say. Looked up for each start of a chain
    once before the run is prepared, and once after it: of tabs that ask at once by one, for which the others
    wait."""
    start = (workspace, run, is_prepared, began)
    if start not in _COSTS:
        with _LOOKED_UP_BY_ONE:
            if start not in _COSTS:
                _COSTS[start] = _look_up(workspace, run)
    return _COSTS[start]


def _look_up(workspace: Workspace, run: RunPaths) -> Mapping[str, Cost]:
    with suppress(TuneboardError):
        if asked := asked_before(run):
            return took.costs_of_run(workspace, run, asked)
    return {}


def failure(workspace: Workspace, run: RunPaths) -> tuple[str, Failure] | None:
    """Why the run ended without its result, and which stage did; None when it did not fail."""
    whole = _whole(run)
    if whole is None or whole.state not in {State.failed, State.lost}:
        return None
    for name in reversed(STAGES):
        found = _status(workspace, run, name, whole)
        if found and not _earlier(found, whole) and (why := why_failed(_job(workspace, run, name), found)):
            # A step that was lost with a chain that a signal ended was taken along: that end is the reason.
            taken_along = found.state is State.lost and whole.signal is not None
            return name, (why_failed(run.job(CHAIN), whole) if taken_along else None) or why
    own = why_failed(run.job(CHAIN), whole)  # it ended between its steps
    return (CHAIN, own) if own else None


def _whole(run: RunPaths) -> Status | None:
    """The job of the whole chain; of a run that was made step by step what its steps' jobs come to. None
    where nothing is at work, nothing failed, and not everything is made."""
    if whole := status_of(run.job(CHAIN)):
        return whole
    found = [status for step in STEPS if (status := status_of(run.job(step)))]
    began = min((status.started for status in found if status.started), default=None)
    if is_at_work(run):
        live = {state_of(run.job(job)) for job in (*COMMANDS, *STEPS)}
        return Status(State.running if State.running in live else State.waiting, started=began)
    if proof.missing(run) is None:
        return Status(State.finished, started=began)
    last = max(found, key=lambda status: status.ended or math.inf, default=None)
    return last if last and last.state is not State.finished else None


def _stages(workspace: Workspace, run: RunPaths, whole: Status | None) -> Iterator[Stage]:
    """Unpacking the starter, or fetching a model, is a stage only of the runs that stand on such a one."""
    asked = _asked_to(run)
    other = asked is not None and asked.model is not None and asked.model not in _of_starter(workspace)
    for name in STAGES:
        status = _status(workspace, run, name, whole)
        needless = status is None and _needless(workspace, run, name)
        if other if name == "starter" else needless and name in IMPORT_COSTS:
            continue
        if name == CHOOSE and not (asked and asked.checkpoint == "best"):
            continue
        left_so = name == "train" and bool(asked and asked.as_it_is) and bool(status)
        needless |= bool(status and (left_so or status.state is State.finished) and _earlier(status, whole))
        state = status.state if status else State.finished if needless else None
        state = awaited(state, whole.state if whole and not needless else None)
        share, note = _share(workspace, run, name) if state in LIVE else (float(state is State.finished), "")
        note = _left_at(run) if left_so and needless else note
        began = status.started if status else None
        told = job_progress(_job(workspace, run, name)) if status else None
        slower, slowed = (told.slower, told.slowed) if told else (1.0, 1.0)
        told = told if state in LIVE else None
        heard = _heard(workspace, run, name, told) if state in LIVE else status.ended if status else None
        behind = _behind(run) if name == "train" and state in LIVE else 0.0
        marks = took.marks_of(told, behind) if told else (None, None)
        share = took.of_the_rest(share, behind)
        yield Stage(
            name, state, share, note, needless, began, heard, *marks, _kept(told, began), slower, slowed
        )


def _left_at(run: RunPaths) -> str:
    """Of a training that is not gone on with: up to where it is kept."""
    last = resuming.resumable(run)
    return say("chain.as_it_is.note", iteration=last.iteration) if last else ""


def _kept(told: JobProgress | None, began: float | None) -> float | None:
    """How many cores others keep from a job that has seen enough of them to say so."""
    return told.others if told and began and told.written - began >= LOOKED_FOR else None


def _behind(run: RunPaths) -> float:
    """The share of a training that is at work which was behind before it went on."""
    with suppress(TuneboardError):
        return took.gone_on_from(run, prepare.recipe_of(run))
    return 0.0


def _of_starter(workspace: Workspace) -> set[str]:
    """What a request may call the starter, besides nothing."""
    return {STARTER, str(workspace.starter)}


def _needless(workspace: Workspace, run: RunPaths, stage: str) -> bool:
    """Whether a stage without a job is behind: an earlier run unpacked the starter, fetched the model or
    asked the base, or this run fetches none."""
    if stage == "starter":
        return workspace.starter.exists()
    if stage == "merge":  # of a full fine-tune converting makes the whole model
        return finished(run, "convert") and not makes_adapter(run)
    if stage in IMPORT_COSTS:
        place = _model_place(workspace, run)
        return place is None or place.model.exists()
    if stage == CHOOSE:  # with one checkpoint, or one that somebody chose, there is nothing to find
        return finished(run, "convert")
    if stage == "ask":  # a model that has answered it all before is asked nothing
        return run.result.exists()
    return stage == "base" and prepared(run)


def _model_place(workspace: Workspace, run: RunPaths) -> ImportPaths | None:
    """Where the model of a run is fetched to; None where it stands on one that was there."""
    asked = _asked_to(run)
    return listed_import(workspace, asked) if asked else None


def _asked_to(run: RunPaths) -> TuneRequest | None:
    """What a run was asked to be, None too where that cannot be read."""
    with suppress(DamagedFile):
        return asked_before(run)
    return None


def _share(workspace: Workspace, run: RunPaths, stage: str) -> tuple[float, str]:
    found = [(0.0, "")]
    if stage in {"base", "ask", CHOOSE}:
        watch.answered(run.job(stage), lambda share, note: found.append((share, note)))()
    elif stage == "train":
        job = run.job(stage)
        watch.trained(job, run.work_dir, None, lambda share, note: found.append((share, note)))()
    elif stage in IMPORT_COSTS and (place := _model_place(workspace, run)) and (now := far(place)):
        found.append(now)
    elif stage in {"starter", "convert", "merge"}:
        watch.worked(_job(workspace, run, stage), lambda share, note: found.append((share, note)))()
    return found[-1]


def _heard(workspace: Workspace, run: RunPaths, stage: str, told: JobProgress | None) -> float | None:
    """When the stage's job last came further, in seconds since the epoch."""
    if told:
        return told.moved
    log = JobPaths(_job(workspace, run, stage)).log
    files = run.work_dir.glob("*/vis_data/scalars.json") if stage == "train" else [log]
    return max((file.stat().st_mtime for file in files if file.exists()), default=None)


def _job(workspace: Workspace, run: RunPaths, step: str) -> Path:
    """A stage's job folder: what makes a model belongs to no run."""
    if step in IMPORT_COSTS and (place := _model_place(workspace, run)):
        return place.job(step)
    return workspace.starter_job if step == "starter" else run.job(step)


def _status(workspace: Workspace, run: RunPaths, step: str, whole: Status | None) -> Status | None:
    status = status_of(_job(workspace, run, step))
    of_no_run = step in {"starter", *IMPORT_COSTS}
    return None if status and of_no_run and _earlier(status, whole) else status


def _earlier(status: Status, whole: Status | None) -> bool:
    """Whether a job was over before the whole began. When a lost one ended nobody knows: its start counts."""
    over = status.started if status.state is State.lost else status.ended
    return bool(whole and over and whole.started and over < whole.started)
