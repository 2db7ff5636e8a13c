"""Where a run's training goes on: from which checkpoint, and whether what has changed since would make
another model."""

import re
from dataclasses import dataclass

from core.errors import DamagedCheckpoint, RecipeChanged
from core.jobs.job import JobPaths
from core.jobs.progress import job_progress
from core.jobs.status import LIVE, State, state_of
from core.recipe.ranks import DIVIDES, divided_alike
from core.recipe.recipe import Recipe, from_bytes
from core.steps.checkpoints import Trained, checkpoints, is_whole, whole, written_by
from core.steps.prepare import differing_settings, recipe_of, request_of, trained_as
from core.wording import say
from core.workspace.files import read_record
from core.workspace.paths import RunPaths

SAVED_AT = re.compile(r"iter_(\d+)\.pth$")
# Settings of which the weights know nothing: with others, training goes on as it was.
LEAVES_WEIGHTS_ALONE = {
    "template_reason",
    "save_every",
    "keep_checkpoints",
    "checkpoint",
    "evaluate_every",
    "evaluation_questions",
    "evaluation_tokens",
    "log_every",
    "dataloader_workers",
    "cards",
}


def resumable(run: RunPaths) -> Trained | None:
    """The last checkpoint that is whole; None when training must begin anew."""
    return next((found for found in reversed(checkpoints(run.work_dir)) if is_whole(found.checkpoint)), None)


def going_on(run: RunPaths) -> Trained | None:
    """The checkpoint that training goes on from; None where there is no whole one. Raises RecipeChanged."""
    last = resumable(run)
    if last is not None:
        refuse_changed(run, last)
    return last


def refuse_changed(run: RunPaths, resume: Trained) -> None:
    """Raises RecipeChanged when ``resume`` was trained with other settings, rows or config than the run's
    now. What an earlier version trained has no record of them, and passes."""
    if changes := changes_since(run):
        raise RecipeChanged(iteration=resume.iteration, changes="\n".join(changes), run=run.id)


def changes_since(run: RunPaths) -> list[str]:
    """What has changed since the run was last trained, and would make another model; a line each."""
    before, recipe = trained_as(run), recipe_of(run)
    if before is None:
        return []
    now, differing = request_of(run, recipe), differing_settings(before.recipe, recipe)
    alone = LEAVES_WEIGHTS_ALONE
    if divided_alike(from_bytes(before.recipe.encode(), "recipe.yaml"), recipe):
        alone = alone.union(DIVIDES)
    found = [line for line in differing if line.split()[1].rstrip(":") not in alone]
    if there := written_by_others(run, recipe):
        found.append(f"  - {say('problem.deepspeed_ranks', there=there, ranks=recipe.ranks)}")
    if before.rows != now.rows:
        found.append(f"  - {say('train.changed.rows')}")
    if before.model and now.model and before.model != now.model:
        found.append(f"  - {say('train.changed.model')}")
    # Of the same settings: somebody wrote into the config itself.
    if not differing and before.config != now.config:
        found.append(f"  - {say('train.changed.config')}")
    return found


def written_by_others(run: RunPaths, recipe: Recipe) -> int | None:
    """By how many processes the checkpoint to go on from was written, where DeepSpeed wrote it and ``recipe``
    has another number of them."""
    last = resumable(run)
    there = written_by(last.checkpoint) if last else None
    return there if there != recipe.ranks else None


def refuse_damaged(run: RunPaths, taken: Trained) -> None:
    """Before it is taken. Raises DamagedCheckpoint."""
    if not is_whole(taken.checkpoint, sure=True):
        there = say("row.list").join(str(one.iteration) for one in whole(run.work_dir)) or "–"
        raise DamagedCheckpoint(run=run.id, iteration=taken.iteration, path=taken.checkpoint, there=there)


def goes_on_from(run: RunPaths) -> int:
    """The iteration that the run's training was started from, where it is at work or done, else the one that
    it would go on from; 0 for the beginning."""
    job = run.job("train")
    if state_of(job) not in {*LIVE, State.finished}:
        last = resumable(run)
        return last.iteration if last else 0
    resume = (read_record(JobPaths(job).request) or {}).get("resume")
    named = SAVED_AT.search(str(resume or ""))  # the file itself may be deleted by now
    return int(named[1]) if named else 0


@dataclass(frozen=True)
class PassedOver:
    """Later checkpoints than the one of this ``iteration`` are damaged; ``names`` of their files."""

    iteration: int
    names: str


def passed_over(run: RunPaths) -> PassedOver | None:
    """Where the last whole checkpoint is not the last; None as well where none is whole."""
    last = resumable(run)
    later = [one for one in checkpoints(run.work_dir) if last and one.iteration > last.iteration]
    if last is None or not later:
        return None
    return PassedOver(last.iteration, say("row.list").join(one.checkpoint.name for one in later))


@dataclass(frozen=True)
class StoppedTraining:
    """A training that somebody stopped: ``at`` which of its ``total`` iterations, None where it did not say,
    and the one up to which it is ``kept``, 0 for none."""

    at: int | None
    total: int | None
    kept: int

    @property
    def key(self) -> str:
        """The sentence in ``locales/`` that says so, which takes the fields."""
        if self.at is None or not self.total:
            return f"train.stopped.{'before' if self.kept else 'nothing'}"
        if self.kept >= self.at:
            return f"train.stopped.{'whole' if self.kept else 'nothing'}"
        return f"train.stopped.{'partly' if self.kept else 'lost'}"


def stopped(run: RunPaths) -> StoppedTraining | None:
    """What is kept of the run's training, where it was stopped last; None where it was not."""
    job, last = run.job("train"), resumable(run)
    if state_of(job) is not State.stopped:
        return None
    now = job_progress(job)
    at, total = (now.done, now.total) if now else (None, None)
    return StoppedTraining(at, total, last.iteration if last else 0)
