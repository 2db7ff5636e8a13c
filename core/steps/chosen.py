"""Which checkpoint of a run its adapter and its merged model are made of: the last, unless another was
chosen.

A training goes on from the last one whatever was chosen, and whoever trains on chooses anew.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import with_config

from core.errors import DamagedFile, NoSuchCheckpoint, NoSuchFile
from core.jobs.request import as_record, read_record_of
from core.steps import resuming, train
from core.steps.checkpoints import Trained, checkpoints, content_hash, is_whole
from core.wording import say
from core.workspace.files import write_json
from core.workspace.paths import RunPaths


@with_config(extra="forbid")
@dataclass(frozen=True)
class Choice:
    """A checkpoint by its file's name and the hash of what it has trained; ``by_proof``: the best by what the
    development questions showed, not somebody's own wish."""

    checkpoint: str
    content: str
    by_proof: bool = False


def used(run: RunPaths) -> Trained:
    """The checkpoint that is converted: the chosen one, the last whole one where that is not there or was
    damaged since. Raises MissingArtefact where there is none, NoWholeCheckpoint."""
    choice = read(run)
    kept = checkpoints(run.work_dir) if choice else []
    same = (one for one in kept if choice and _is(one.checkpoint, choice) and is_whole(one.checkpoint))
    return next(same, None) or train.read(run)


def choose(run: RunPaths, iteration: int, by_proof: bool = False) -> Trained:
    """From here on the run's model is made of the checkpoint written at this iteration. Raises
    NoSuchCheckpoint, DamagedCheckpoint, MissingArtefact, NoWholeCheckpoint."""
    train.read(run)
    kept = checkpoints(run.work_dir)
    found = next((one for one in kept if one.iteration == iteration), None)
    if found is None:
        there = say("row.list").join(str(one.iteration) for one in kept)
        raise NoSuchCheckpoint(run=run.id, iteration=iteration, there=there)
    resuming.refuse_damaged(run, found)
    write_json(run.chosen, as_record(Choice(found.checkpoint.name, content_hash(found.checkpoint), by_proof)))
    return found


def read(run: RunPaths) -> Choice | None:
    """What was chosen; None where nothing was, or nobody can read it."""
    try:
        return read_record_of(Choice, run.chosen)
    except (NoSuchFile, DamagedFile):
        return None


def _is(checkpoint: Path, choice: Choice) -> bool:
    """A training from the beginning writes other checkpoints under the same names."""
    return checkpoint.name == choice.checkpoint and content_hash(checkpoint) == choice.content
