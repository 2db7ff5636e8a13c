"""What each kept checkpoint of a run has learned and kept by the development questions: a file of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import with_config

from core.errors import DamagedFile, NoSuchFile
from core.jobs.request import as_record, read_record_of
from core.proof.best import Candidate, best
from core.proof.score import Score, Share
from core.steps.checkpoints import content_hash, whole
from core.workspace.files import write_json
from core.workspace.paths import RunPaths


@with_config(extra="forbid")
@dataclass(frozen=True)
class Hits:
    """So many of so many questions."""

    hits: int
    n: int

    @property
    def share(self) -> Share:
        return Share(self.hits, self.n)


@with_config(extra="forbid")
@dataclass(frozen=True)
class CheckpointProof:
    """What one checkpoint answers: of the identity questions those with the name, of the general ones that
    the base answers rightly those still right, of all general ones those with the identity. ``content``: the
    hash of what it has trained."""

    iteration: int
    checkpoint: str
    content: str
    learned: Hits
    kept: Hits
    leaked: Hits
    drift: float | None = None

    @classmethod
    def of(
        cls, iteration: int, checkpoint: Path, score: Score, drift: float | None = None
    ) -> "CheckpointProof":
        learned, kept, leaked = (Hits(one.hits, one.n) for one in (score.learned, score.kept, score.leaked))
        return cls(iteration, checkpoint.name, content_hash(checkpoint), learned, kept, leaked, drift)

    @property
    def candidate(self) -> Candidate:
        score = Score(self.learned.share, self.kept.share, self.leaked.share)
        return Candidate(self.iteration, score, self.drift)


@with_config(extra="forbid")
@dataclass(frozen=True)
class CheckpointsProof:
    """Every kept checkpoint by iteration, and the best by the rule of :mod:`core.proof.best`."""

    checkpoints: tuple[CheckpointProof, ...]
    best: int
    seconds: float

    @classmethod
    def of(cls, found: Sequence[CheckpointProof], seconds: float) -> "CheckpointsProof":
        chosen = best([one.candidate for one in found]).iteration
        return cls(tuple(found), chosen, seconds)


def write(run: RunPaths, proof: CheckpointsProof) -> None:
    write_json(run.checkpoints_proof, as_record(proof))


def read(run: RunPaths) -> CheckpointsProof | None:
    """What was measured last; None before."""
    try:
        return read_record_of(CheckpointsProof, run.checkpoints_proof)
    except (NoSuchFile, DamagedFile):
        return None


def unproved(run: RunPaths, found: CheckpointsProof | None) -> int:
    """How many of the whole checkpoints were not asked yet."""
    known = {one.content for one in found.checkpoints} if found else set()
    return sum(content_hash(one.checkpoint) not in known for one in whole(run.work_dir))
