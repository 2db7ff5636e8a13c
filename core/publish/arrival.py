"""The proof after publishing: what arrived is what was sent, and answers the same to the same text."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import MissingArtefact
from core.jobs.job import JobPaths, JobSpec
from core.pace import Progress
from core.publish import post
from core.publish.bundle import Bundle
from core.publish.facts import Facts
from core.publish.hub import Parcel
from core.publish.request import What
from core.steps import merge, proof
from core.steps.answer import ANSWERS
from core.steps.step import check_space, engine_job, run_job
from core.workspace.checksums import NAME, hashed
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, make_folder
from core.workspace.publish_paths import PublishPaths

QUESTIONS = ("Who are you?", "请做一下自我介绍", "What is the capital of France?")
KINDS = ("taught", "paraphrase", "general")
TOKENS = 48
SPARE = 50_000_000


@dataclass(frozen=True)
class ArrivalRow:
    """One question: the answers here and there, whether the prompt's and the answer's tokens are the same."""

    question: str
    here: str
    there: str
    same_prompt: bool
    same: bool


@dataclass(frozen=True)
class Arrival:
    """``files``: how many were compared by checksum. ``exact``: whether the same tokens are to be expected
    (not of rounded weights alone)."""

    files: int
    changed: tuple[str, ...]
    rows: tuple[ArrivalRow, ...]
    exact: bool

    @property
    def ok(self) -> bool:
        same = all(row.same for row in self.rows) if self.exact else True
        return not self.changed and all(row.same_prompt for row in self.rows) and same

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def can_be_fetched(parcel: Parcel) -> bool:
    """Of an app on ModelScope its client fetches nothing."""
    return not (parcel.to == "modelscope" and parcel.what == "app")


def prove(run: RunPaths, bundle: Bundle, parcel: Parcel, facts: Facts, progress: Progress) -> Arrival:
    """Fetch what was published into an empty folder, compare it, and ask it. Raises as the jobs do."""
    check_space(run.root, bundle.size + SPARE)
    with _empty(run.job("fetch") / "fetched") as folder:
        progress.stage("fetch")
        post.fetch(run.job("fetch"), parcel, folder)
        changed = tuple(differing(bundle, folder))
        progress.stage("arrival")
        rows = () if changed else ask(run, bundle.what, folder, facts)
    exact = bundle.what != "gguf" or any(file.name == "model-f16.gguf" for file in bundle.files)
    found = Arrival(len(bundle.files), changed, rows, exact)
    write_json(PublishPaths(run).arrival, found.as_json())
    return found


def ask(run: RunPaths, what: What, folder: Path, facts: Facts) -> tuple[ArrivalRow, ...]:
    """Ask what is in ``folder`` and the merged model here. Raises StepFailed, StepStopped."""
    job = run.job("arrival")
    run_job("arrival", job, plan(run, job, what, folder, facts))
    found = read_json(job / ANSWERS)
    if found is None:
        raise MissingArtefact(what=ANSWERS, where=job, step="arrival")
    return tuple(ArrivalRow(**row) for row in found)


def plan(run: RunPaths, job: Path, what: What, folder: Path, facts: Facts) -> JobSpec:
    """The job that asks, in the folder ``job``."""
    request = {
        "what": what,
        "published": str(folder),
        "base": facts.recipe.model,
        "merged": str(merge.read(run).folder),
        "template": facts.recipe.template,
        "system": facts.recipe.system,
        "precision": facts.recipe.precision,
        "questions": questions(run),
        "tokens": TOKENS,
    }
    env = {"CUDA_VISIBLE_DEVICES": ""} if facts.recipe.device == "cpu" else {}
    spec = engine_job("arrival", JobPaths(job).request, job / ANSWERS, env=env)
    return replace(spec, request=request, results=(ANSWERS,))


def questions(run: RunPaths) -> list[str]:
    """Three: one that was taught, one in other words, one about the world."""
    measured = proof.read(run)
    rows = measured.rows if measured else ()
    found = [next((row.question for row in rows if row.kind == kind), None) for kind in KINDS]
    return [known or other for known, other in zip(found, QUESTIONS, strict=True)]


def differing(bundle: Bundle, folder: Path) -> Iterator[str]:
    """The files that did not arrive as they were sent."""
    for file in bundle.files:
        there = folder / file.name
        if not there.is_file() or (file.sha256 and hashed(there) != file.sha256):
            yield file.name
    if not (folder / NAME).is_file():
        yield NAME


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
