"""Export: convert and merge as one job, and what they have made so far."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import with_config

from core.errors import InputError, MissingArtefact, NoWholeCheckpoint
from core.jobs.job import JobSpec
from core.recipe.disk import merged_bytes
from core.steps import chosen, convert, merge, prepare, resuming, train
from core.steps.checkpoints import Trained, checkpoints, content_hash, is_whole
from core.steps.step import call_job, module_job
from core.workspace.checksums import File, read_checksums
from core.workspace.paths import RunPaths, Workspace

Kind = Literal["adapter", "merged"]
KINDS: tuple[Kind, ...] = ("adapter", "merged")
EXPORT = "export"


@with_config(extra="forbid")
@dataclass(frozen=True)
class ExportRequest:
    """Convert and merge; there is nothing to choose."""


@dataclass(frozen=True)
class Artefact:
    """A folder that a run has made. ``stale``: what it was made from has changed since."""

    kind: Kind
    folder: Path
    files: tuple[File, ...]
    stale: bool

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def checked(self) -> bool:
        """Whether every file has its checksum."""
        return all(file.sha256 for file in self.files)


@dataclass(frozen=True)
class Space:
    """Bytes: what merging will take, and what is free on the run's disk."""

    needed: int
    free: int

    @property
    def enough(self) -> bool:
        return self.free >= self.needed


def plan(workspace: Workspace, run: RunPaths) -> JobSpec:
    """The job that converts and then merges. Raises MissingArtefact when nothing was trained."""
    train.read(run)
    return call_job(run.job(EXPORT), EXPORT, workspace.root, ExportRequest(), run.id)


def plan_checksums(found: Artefact) -> JobSpec:
    """The job that reads every file of an artefact that came without checksums."""
    return module_job("core.workspace.checksums", found.folder)


def kinds_of(run: RunPaths) -> tuple[Kind, ...]:
    """What a whole run has made: a full fine-tune has no adapter."""
    return KINDS if convert.makes_adapter(run) else ("merged",)


def artefacts(run: RunPaths) -> list[Artefact]:
    """What the run has made, the adapter first."""
    return list(_artefacts(run))


def artefact(run: RunPaths, kind: str) -> Path:
    """The folder of one artefact. Raises MissingArtefact, NoAdapter, NotAModel, NoSuchModel."""
    return convert.read(run) if kind == "adapter" else merge.read(run).folder


def space(run: RunPaths) -> Space:
    """Raises NoSuchModel, NotAModel when the base model is gone."""
    return Space(merged_bytes(prepare.model_of(run)), shutil.disk_usage(run.root).free)


def made_at(folder: Path) -> float:
    """When the weights in a folder were written, in seconds since the epoch; 0 for a folder without any.

    The folder's own time says less: a file put beside them changes it.
    """
    return max((file.stat().st_mtime for file in folder.glob("*.safetensors")), default=0.0)


def _made_of_another(run: RunPaths, used: Trained) -> bool:
    """Whether what converting made was made of another checkpoint than is used. Where nobody can say it was
    made of the last. One that was damaged after it was converted has nothing better to give."""
    made_of = convert.made_of(run)
    if made_of is None:
        return used != resuming.resumable(run)
    if made_of.content == content_hash(used.checkpoint):
        return False
    kept = {one.checkpoint for one in checkpoints(run.work_dir)}
    lost = made_of.checkpoint in kept and not is_whole(made_of.checkpoint)
    return not (lost and chosen.read(run) is None)


def _artefacts(run: RunPaths) -> Iterator[Artefact]:
    used = None
    with suppress(MissingArtefact, NoWholeCheckpoint):
        used = chosen.used(run)
    source = used.checkpoint.stat().st_mtime if used else 0.0
    other = used is not None and _made_of_another(run, used)
    for kind in kinds_of(run):
        try:
            folder = artefact(run, kind)
        except InputError:
            continue
        made = made_at(folder)
        yield Artefact(kind, folder, tuple(read_checksums(folder)), stale=other or made < source)
        source = max(source, made)
