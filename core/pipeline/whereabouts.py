"""Where a run is at work, or waits to be: on which devices of this machine, on another one that shares the
workspace, or in a cluster."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.jobs.elsewhere import is_elsewhere, of_slurm
from core.jobs.job import JobPaths, profile_of
from core.jobs.process import read_identity
from core.jobs.status import LIVE, State, is_live, read_status
from core.jobs.turn import line_in
from core.runs import CHAIN, COMMANDS, STEPS
from core.wording import say
from core.workspace.paths import RunPaths, Workspace

# Slurm's word for what it does not know.
UNKNOWN = "N/A"


@dataclass(frozen=True)
class Whereabouts:
    """``key`` is its sentence in ``locales/``, which takes the ``values``."""

    key: str
    values: Mapping[str, str]


def place_of(workspace: Workspace, run: RunPaths) -> Whereabouts | None:
    """Where a run is; None of one at which nothing is at work, unless Slurm says how it has ended."""
    if place := _in_slurm(run.job(CHAIN)):
        return place
    for folder in _live(run):
        identity = read_identity(JobPaths(folder).supervisor)
        if identity is not None and is_elsewhere(identity):
            return Whereabouts("where.elsewhere", {"host": identity.host})
    return _here(workspace, run)


def waits_in_slurm(run: RunPaths) -> bool:
    """Whether Slurm has not begun the run's chain."""
    folder = run.job(CHAIN)
    return bool(of_slurm(folder)) and read_status(folder).state is State.waiting


def jobs_in_slurm(workspace: Workspace, newest: int | None = None) -> Iterator[dict[str, Any]]:
    """The jobs of runs that were handed to Slurm, the newest run first, as long as Slurm knows them or they
    are at work; of so many of the ``newest`` runs, by default of all."""
    for folder in sorted(workspace.run_folders(newest), reverse=True):
        for file in sorted(folder.glob("*/slurm.json")):
            if found := of_slurm(file.parent):
                profile = profile_of(file.parent)
                state = read_status(file.parent).state
                if state in LIVE or found["slurm"]:
                    job = {"run": folder.name, "step": file.parent.name, "state": str(state), **found}
                    yield {**job, "profile": profile.name if profile else None}


def _live(run: RunPaths) -> Iterator[Path]:
    return (folder for folder in map(run.job, (*COMMANDS, *STEPS)) if is_live(folder))


def _here(workspace: Workspace, run: RunPaths) -> Whereabouts | None:
    """By the devices that it holds; of what is not in line nobody knows them."""
    for entry in line_in(workspace.root).entries():
        if entry.job.parent == run.root and entry.devices:
            cards = [name.removeprefix("gpu:") for name in entry.devices if name.startswith("gpu:")]
            if not cards:
                return Whereabouts("where.cpu", {})
            return Whereabouts("where.gpu", {"cards": say("row.list").join(cards)})
    return None


def _in_slurm(folder: Path) -> Whereabouts | None:
    if not (found := of_slurm(folder)):
        return None
    profile = profile_of(folder)
    values = {
        "job": str(found["job"]),
        "profile": profile.name if profile else "–",
        "partition": found["partition"] or (profile.partition if profile else "") or "–",
        "state": found["slurm"] or "–",
    }
    if not is_live(folder):
        return Whereabouts("where.slurm.ended", values) if found["slurm"] else None
    if found["nodes"]:
        return Whereabouts("where.slurm.nodes", {**values, "nodes": found["nodes"]})
    reason, start = ("" if found[name] == UNKNOWN else found[name] for name in ("reason", "start"))
    if reason and start:
        return Whereabouts(
            "where.slurm.begins", {**values, "reason": reason, "start": start.replace("T", " ")}
        )
    return Whereabouts("where.slurm.waits", {**values, "reason": reason or "–"})
