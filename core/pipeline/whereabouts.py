"""Where a run is at work, or waits to be: on which devices of this machine, on another one that shares the
workspace, or in a cluster."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.jobs.elsewhere import is_elsewhere, of_slurm
from core.jobs.job import JobPaths, read_spec
from core.jobs.process import read_identity
from core.jobs.status import is_live
from core.jobs.turn import line_in
from core.runs import CHAIN, COMMANDS, STEPS
from core.wording import say
from core.workspace.paths import RunPaths, Workspace

# Slurm's word for what it does not know.
UNKNOWN = "N/A"


@dataclass(frozen=True)
class Place:
    """``key`` is its sentence in ``locales/``, which takes the ``values``."""

    key: str
    values: Mapping[str, str]


def place_of(workspace: Workspace, run: RunPaths) -> Place | None:
    """Where a run is; None of one at which nothing is at work, unless Slurm says how it has ended."""
    if place := _in_slurm(run.job(CHAIN)):
        return place
    for folder in _live(run):
        identity = read_identity(JobPaths(folder).supervisor)
        if identity is not None and is_elsewhere(identity):
            return Place("where.elsewhere", {"host": identity.host})
    return _here(workspace, run)


def _live(run: RunPaths) -> Iterator[Path]:
    return (folder for folder in map(run.job, (*COMMANDS, *STEPS)) if is_live(folder))


def _here(workspace: Workspace, run: RunPaths) -> Place | None:
    """By the devices that it holds; of what is not in line nobody knows them."""
    for entry in line_in(workspace.root).entries():
        if entry.job.parent == run.root and entry.devices:
            cards = [name.removeprefix("gpu:") for name in entry.devices if name.startswith("gpu:")]
            if not cards:
                return Place("where.cpu", {})
            return Place("where.gpu", {"cards": say("row.list").join(cards)})
    return None


def _in_slurm(folder: Path) -> Place | None:
    if not (found := of_slurm(folder)):
        return None
    profile = read_spec(folder).profile
    values = {
        "job": str(found["job"]),
        "profile": profile.name if profile else "–",
        "partition": found["partition"] or (profile.partition if profile else "") or "–",
        "state": found["slurm"] or "–",
    }
    if not is_live(folder):
        return Place("where.slurm.ended", values) if found["slurm"] else None
    if found["nodes"]:
        return Place("where.slurm.nodes", {**values, "nodes": found["nodes"]})
    reason, start = ("" if found[name] == UNKNOWN else found[name] for name in ("reason", "start"))
    if reason and start:
        return Place("where.slurm.begins", {**values, "reason": reason, "start": start.replace("T", " ")})
    return Place("where.slurm.waits", {**values, "reason": reason or "–"})
