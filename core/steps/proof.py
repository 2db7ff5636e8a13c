"""The written proof of a run: its numbers, and what each single answer shows."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import with_config

from core.jobs.job import JobSpec
from core.proof.result import ProofRow, rows_of, score_in
from core.proof.score import Score
from core.steps import merge, prepare
from core.steps.export import artefacts, kinds_of, made_at
from core.steps.step import call_job
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace

# The job of the whole proof, which starts those that ask base and merged model.
PROOF = "proof"


@with_config(extra="forbid")
@dataclass(frozen=True)
class ProveRequest:
    """The proof of a run's merged model; ``full``: with all the questions, not the part that the chain
    asks."""

    full: bool = False


@dataclass(frozen=True)
class Proof:
    """``full``: whether all the questions were asked, and not the part that the chain asks; ``stale``: the
    merged model was made after it was asked."""

    score: Score
    rows: tuple[ProofRow, ...]
    stale: bool
    full: bool = False


def plan(workspace: Workspace, run: RunPaths, full: bool = False) -> JobSpec:
    """The job that asks both models and writes the run's result.

    Raises NoSuchModel, NotAModel, NoSuchFile when one of the two models is not there.
    """
    prepare.model_of(run)
    merge.read(run)
    return call_job(run.job(PROOF), "prove", workspace.root, ProveRequest(full), run.id)


def read(run: RunPaths) -> Proof | None:
    """The run's result; None before it was measured."""
    found = read_result(run.result, str((read_object(run.data) or {}).get("name", "")))
    return found and replace(found, stale=_is_stale(run))


def of_newest(run: RunPaths) -> Proof | None:
    """The result of a run's newest model; None before that was measured."""
    found = read(run)
    return None if found is None or found.stale else found


def _is_stale(run: RunPaths) -> bool:
    """Whether the model was made anew after its result."""
    return made_at(run.merged) > run.result.stat().st_mtime


def read_result(file: Path, name: str) -> Proof | None:
    """A written result, whoever it is of, judged by ``name``; None where there is none."""
    result = read_object(file)
    if result is None:
        return None
    rows = rows_of(name, result)
    return Proof(score_in(result, rows), rows, stale=False, full=result.get("full", False))


def missing(run: RunPaths) -> Literal["merge", "compare"] | None:
    """What a trained run still lacks of its newest checkpoint: the merged model, then its proof, whose rows
    are not judged for this. Raises DamagedFile."""
    whole = {artefact.kind for artefact in artefacts(run) if not artefact.stale}
    if whole != set(kinds_of(run)):
        return "merge"
    return "compare" if read_object(run.result) is None or _is_stale(run) else None
