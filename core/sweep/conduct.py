"""The job of a sweep: begin a trial, watch it, keep what came of it, begin the next.

All that it knows is in files: what was asked for, Optuna's journal, and the trials' own runs. Killed at any
moment and started again it finds every trial where it is: a trial's run has its name in the journal before it
has its folder, and is begun once.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from core.errors import JobNotStarted, JobRunning, SweepFailed, TuneboardError
from core.jobs.again import count_resumed, resume_once_more
from core.jobs.curves import CurveReader
from core.jobs.failure import why_failed
from core.jobs.grace import COMMAND_GRACE, TOOL_GRACE, need, needed
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, launch_together, take_back, wait
from core.jobs.status import LIVE, State, read_status, went_down_with_the_machine
from core.jobs.turn import Telling
from core.machine import this_machine
from core.pace import Progress
from core.pipeline import chain, chain_stages
from core.pipeline.tune import prepared
from core.pipeline.tune_request import USUAL_RESUMES, TuneRequest
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps import data, prepare, proof
from core.sweep.axes import REPLAY_SHARE, Values, changed_by
from core.sweep.pruning import losses_of, tokens_an_iteration, unit_of, why_stopped
from core.sweep.rank import noted, value_of
from core.sweep.rows import with_replay_share
from core.sweep.study import Study
from core.sweep.sweep import machine_for, read
from core.sweep.trial import RUN, STOPPED, SweepTrial
from core.wording import say, spoken_language
from core.workspace.files import read_record, write_json
from core.workspace.paths import RunPaths, SweepPaths, Workspace, make_folder
from core.workspace.user import user_name

# Seconds between two looks at the trials; Slurm is asked no oftener than every ten.
EVERY, EVERY_IN_SLURM = 1.0, 5.0
# So many trials are one array: many clusters take no array of more than a thousand, and each that is handed
# over has its rows and its config first.
MOST_TOGETHER = 200
# Who asks a trial to stop, as its stop.json says: the rule, or the sweep that is itself asked to.
BY_RULE, BY_SWEEP = "sweep: stopped early", "sweep: stopped"
# Seconds that a sweep may take longer to end than its trial.
BEYOND = COMMAND_GRACE - TOOL_GRACE
# So many trials that fail one after the other do not fail for their values.
MOST_FAILURES = 3


def conduct(workspace: Workspace, place: SweepPaths, progress: Progress) -> None:
    """Run the trials of a sweep to their end, from wherever they are.

    Raises DamagedFile, SweepFailed where one trial after the other fails, KeyboardInterrupt once its trials
    have stopped.
    """
    conductor = Conductor(workspace, place, progress)
    progress.stage("sweep")
    try:
        while conductor.look():
            conductor.rest()
    except KeyboardInterrupt:
        conductor.halt()
        raise


class Conductor:
    """What :func:`conduct` does, a look at a time."""

    def __init__(self, workspace: Workspace, place: SweepPaths, progress: Progress) -> None:
        self.workspace, self.progress = workspace, progress
        self.place, self.sweep = place, read(place)
        self.base = workspace.run(self.sweep.base)
        self.model = prepare.model_of(self.base)
        self.study = Study(place, self.sweep)
        self.study.complete()
        self.study.retry()
        self.unit = unit_of(self.sweep.as_recipe(), data.about_data(self.base))
        self._curves: dict[int, CurveReader] = {}
        self._telling: dict[RunPaths, Telling] = {}
        self._failures = 0
        self._to_hand: list[_ToHand] = []
        self._live: int | None = None  # how many trials are at work, or wait, once this look has asked

    def look(self) -> bool:
        """Look at every trial that was begun, and begin others where there is room; whether any is left."""
        self._live = None
        for trial in self._running():
            self._look_at(trial)
        room = self._room()
        while len(self._running()) < room and (begun := self.study.next()):
            self._look_at(begun)
        self._hand_over()
        running = self._running()
        self._tell(running)
        return bool(running)

    def _room(self) -> int:
        """How many trials are to be at work, or wait. An array is handed over whole: the next one when all of
        it has ended."""
        if self.sweep.is_array:
            return 0 if self._running() else MOST_TOGETHER
        return (self.sweep.at_once or 1) if self.sweep.profile else at_once()

    def rest(self) -> None:
        """A moment; less where the first trial at work ends meanwhile."""
        every = EVERY_IN_SLURM if self.sweep.profile else EVERY
        first = next((run for run in self._runs(self._running()) if chain.is_live(run)), None)
        if first:
            wait(first.job(CHAIN), poll=every, timeout=every)
        else:
            time.sleep(every)

    def halt(self) -> None:
        """Ask every trial at work to stop, and wait for its end: it goes on with the sweep. What waits in
        Slurm is taken back first: it would begin in the place of what stops."""
        runs = [run for run in self._runs(self._running()) if chain.is_live(run)]
        take_back([run.job(CHAIN) for run in runs], BY_SWEEP)
        for run in runs:
            chain.halt(run, BY_SWEEP)
        for run in runs:
            wait(run.job(CHAIN), on_poll=lambda run=run: self._outlive(run))  # type: ignore[misc]

    def _outlive(self, run: RunPaths) -> None:
        """Who asked the sweep to stop is to wait as long as its trial needs."""
        with suppress(OSError):
            need(self.place.job, (needed(run.job(CHAIN)) or COMMAND_GRACE) + BEYOND)

    def _running(self) -> list[SweepTrial]:
        return [trial for trial in self.study.trials() if trial.state == "running"]

    def _look_at(self, trial: SweepTrial) -> None:
        """Take one trial as far as it goes at this moment."""
        try:
            run = self._run(trial) if trial.run else self._named(trial)
            if not prepared(run):
                self._prepare(run, trial)
            if chain.has_chain(run):
                self._follow(run, trial)
            else:
                self._launch(run, trial)
        except SweepFailed:
            raise
        except JobRunning:  # somebody else has let it go on
            return
        except TuneboardError as error:  # one that cannot be trained keeps no other from it
            self._fail(trial, error.text())

    def _follow(self, run: RunPaths, trial: SweepTrial) -> None:
        """By the state of its chain."""
        status = read_status(run.job(CHAIN))
        if status.state in LIVE:
            self._prune(run, trial)
        elif status.state is State.finished:
            self._finish(run, trial)
        elif STOPPED in trial.notes:
            self.study.prune(trial.number)
        elif status.state is State.lost or self._of_the_sweep(run):
            self._go_on(run, trial)
        elif status.state is State.stopped:
            self._fail(trial, say("sweep.by_hand"))
        else:
            failed = chain_stages.failure(self.workspace, run)
            why = failed[1] if failed else why_failed(run.job(CHAIN), status)
            self._fail(trial, why.text() if why else say("sweep.no_result"))

    def _named(self, trial: SweepTrial) -> RunPaths:
        """The run of a trial, whose name is kept before anything is made by it."""
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{self.base.id[len('20260102-030405-') :]}"
        name, count = f"{stem}-{trial.number + 1}", 1
        while (self.workspace.runs / name).exists():
            count += 1
            name = f"{stem}-{trial.number + 1}-{count}"
        self.study.note(trial.number, **{RUN: name})
        return RunPaths(self.workspace.runs / name)

    def _run(self, trial: SweepTrial) -> RunPaths:
        return RunPaths(self.workspace.runs / trial.run)

    def _prepare(self, run: RunPaths, trial: SweepTrial) -> None:
        """Its rows, its recipe and its config. Raises what is wrong with them."""
        make_folder(run.root, exist_ok=True)
        title = say("row.separator").join([self.sweep.name, *told(trial.values)])
        write_json(run.about, {"title": title, "name": self.sweep.name, "sweep": self.place.id})
        recipe = changed_by(self.sweep.as_recipe(), trial.values, self.model)
        if REPLAY_SHARE in trial.values:
            self._make_rows(run, recipe, float(trial.values[REPLAY_SHARE]))
        else:
            prepare.vary(run, self.base, recipe, machine_for(self.sweep.profile))

    def _make_rows(self, run: RunPaths, recipe: Recipe, share: float) -> None:
        recipe = recipe if share else recipe.changed(replay_distillation=False)
        machine = machine_for(self.sweep.profile)
        with_replay_share(run, self.base, recipe, share, self.progress.update, machine)

    def _launch(self, run: RunPaths, trial: SweepTrial, times: int = 0) -> None:
        """Start its chain; in Slurm with all others of this look."""
        recipe = prepare.recipe_of(run)
        request = TuneRequest(
            self.sweep.name, model=recipe.model, auto_resume=USUAL_RESUMES, devices=recipe.devices
        )
        asked = (self.workspace, run, request, user_name(), spoken_language(), self.sweep.profile)
        one = _ToHand(trial.number, run.job(CHAIN), chain.plan_rest(*asked), times)
        if self.sweep.profile:
            self._to_hand.append(one)
        else:
            launch(one.folder, one.spec)
            one.count()

    def _hand_over(self) -> None:
        """Give Slurm what this look has for it, as one array. Raises JobNotStarted where Slurm takes none of
        it; once the cause is gone and the sweep goes on all of it is tried once more."""
        handed, self._to_hand = self._to_hand, []
        if not handed or self.sweep.profile is None:
            return
        jobs = {one.folder: one.spec for one in handed}
        try:
            launch_together(jobs, self.sweep.profile, self.sweep.at_once if self.sweep.is_array else 0)
        except JobRunning:  # somebody else has let one of them go on: the others come with the next look
            return
        except JobNotStarted as error:
            for one in handed:
                self.study.fail(one.number, error.text())
            raise
        for one in handed:
            one.count()

    def _has_place(self) -> bool:
        """Whether a trial may be handed over beside those of an array. Slurm begins so many of that at a time
        as it says, whatever else there is: one that goes on waits until it leaves room."""
        if not (self.sweep.is_array and self.sweep.at_once):
            return True
        if self._live is None:
            self._live = sum(chain.is_live(run) for run in self._runs(self._running()))
        return self._live == 0 or self._live + len(self._to_hand) < self.sweep.at_once

    def _of_the_sweep(self, run: RunPaths) -> bool:
        """Whether a trial was stopped because its sweep was, or its machine: then it goes on."""
        by = (read_record(JobPaths(run.job(CHAIN)).stop) or {}).get("by")
        return by == BY_SWEEP or went_down_with_the_machine(run.job(CHAIN))

    def _go_on(self, run: RunPaths, trial: SweepTrial) -> None:
        """From its last checkpoint, once there is room; one that crashes again and again is given up."""
        if not self._has_place():
            return
        if self._of_the_sweep(run):
            self._launch(run, trial)
        elif (times := resume_once_more(run.job(CHAIN), USUAL_RESUMES)) is not None:
            self._launch(run, trial, times)
        else:
            self._fail(trial, say("sweep.lost"))

    def _prune(self, run: RunPaths, trial: SweepTrial) -> None:
        """Keep its losses, and ask it to stop where the rule says so."""
        if STOPPED not in trial.notes:
            if not self._report(run, trial):
                return
            why = asdict(why_stopped(self.study.trial(trial.number), self.study.trials()))
            self.study.note(trial.number, **{STOPPED: why})
            self.progress.say("sweep.pruned", number=trial.number + 1, **in_words(why))
        if not JobPaths(run.job(CHAIN)).stop.exists():
            chain.halt(run, BY_RULE)

    def _report(self, run: RunPaths, trial: SweepTrial, ended: bool = False) -> bool:
        """Keep a trial's losses; whether the rule stops it."""
        curve = self._curves.setdefault(trial.number, CurveReader(run.work_dir))
        curve.poll()
        tokens = tokens_an_iteration(prepare.recipe_of(run), data.about_data(run))
        return self.study.report(trial.number, losses_of(curve, tokens, self.unit, ended))

    def _finish(self, run: RunPaths, trial: SweepTrial) -> None:
        if (found := proof.read(run)) is None:
            self._fail(trial, say("sweep.no_result"))
            return
        self._report(run, trial, ended=True)
        self._failures = 0
        self.study.finish(trial.number, value_of(found.score), **noted(found.score))
        shares = {name: f"{getattr(found.score, name).value or 0:.0%}" for name in ("learned", "kept")}
        self.progress.say("sweep.finished", number=trial.number + 1, values=in_line(trial.values), **shares)

    def _fail(self, trial: SweepTrial, why: str) -> None:
        self.study.fail(trial.number, why)
        self.progress.say("sweep.failed", number=trial.number + 1, values=in_line(trial.values), why=why)
        self._failures += 1
        if self._failures == MOST_FAILURES:
            raise SweepFailed(count=MOST_FAILURES, why=why, sweep=self.place.id)

    def _tell(self, running: list[SweepTrial]) -> None:
        """How far the sweep is: the trials that have ended, and the share of each at work. Of one that waits
        for a device of this machine it is said at which place."""
        for run in () if self.sweep.profile else self._runs(running):
            self._telling.setdefault(run, Telling(run.job(CHAIN))).look()
        ended = len(self.study.trials()) - len(running)
        at_work = (run for run in self._runs(running) if _computes(run))
        begun = sum(chain_stages.read_progress(self.workspace, run).share for run in at_work)
        share = (ended + begun) / max(1, self.sweep.trials)
        self.progress.update(min(1.0, share), say("sweep.far", done=ended, total=self.sweep.trials))

    def _runs(self, trials: list[SweepTrial]) -> Iterator[RunPaths]:
        yield from (self._run(trial) for trial in trials if trial.run)


@dataclass(frozen=True)
class _ToHand:
    """A trial's chain that is to be started: for the how manieth time after crashes (0: for none)."""

    number: int
    folder: Path
    spec: JobSpec
    times: int

    def count(self) -> None:
        if self.times:
            with suppress(OSError):
                count_resumed(self.folder, self.times)


def _computes(run: RunPaths) -> bool:
    """Whether its chain has begun; of hundreds that wait nothing more is read."""
    return chain.has_chain(run) and read_status(run.job(CHAIN)).state is not State.waiting


def at_once() -> int:
    """How many trials are begun at a time: one for each device, for which they wait in the queue."""
    return max(1, len(this_machine().gpus))


def told(values: Values) -> list[str]:
    """The values of a trial, each with its field: "lr 0.0003"."""
    return [f"{field} {shown(value)}" for field, value in values.items()]


def in_line(values: Values) -> str:
    return say("row.list").join(told(values))


def shown(value: object) -> str:
    """A value as a person reads it: no more digits than tell it from its neighbours."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def in_words(stopped: dict[str, float]) -> dict[str, str]:
    """The numbers of :class:`core.sweep.pruning.StoppedEarly` for a sentence."""
    return {
        "share": f"{stopped['share']:.0%}",
        "loss": f"{stopped['loss']:.3f}",
        "median": f"{stopped['median']:.3f}",
        "others": str(stopped["others"]),
    }
