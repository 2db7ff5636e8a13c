"""Slurm: what the cluster offers, the profiles by which it is asked, and what it does with this workspace's
jobs."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.arguments import whole_number
from core.cli.room import Commands, Options, Result
from core.jobs.elsewhere import of_slurm
from core.jobs.status import read_status
from core.pipeline import chain
from core.pipeline.whereabouts import jobs_in_slurm
from core.slurm.partitions import accounts, partitions
from core.slurm.profile import (
    MOST_CPUS,
    MOST_GPUS,
    MOST_NODES,
    Profile,
    changed,
    offered_first,
    profiles,
    save,
)
from core.sweep import job as sweep
from core.sweep.study import read_trials
from core.workspace.paths import Workspace
from core.workspace.user import user_name


def in_slurm(folder: Path) -> dict[str, Any]:
    """What a job of Slurm's does, in our words and in Slurm's own."""
    return {"state": str(read_status(folder).state), **of_slurm(folder)}


def _partitions(_: argparse.Namespace, __: Workspace) -> Result:
    return {"partitions": [one.as_json() for one in partitions()], "accounts": accounts()}


def _profiles(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"profiles": [one.as_json() for one in profiles(workspace)]}


def _profile(options: argparse.Namespace, workspace: Workspace) -> Result:
    """Make a profile, or change one: what is not said stays as it was, or is as the partition offers it."""
    offered = partitions()
    named = options.partition or next((one.name for one in offered if one.default), "")
    there = next((one for one in offered if one.name == named), None)
    before = next((one for one in profiles(workspace) if one.name == options.profile_name), None)
    start = before or (offered_first(there, options.profile_name) if there else Profile(options.profile_name))
    given = {**vars(options), "name": options.profile_name, "workspace": options.seen_at}
    wanted = changed(start, given)
    path = save(workspace, wanted, offered)
    return {"path": str(path), "profile": wanted.as_json()}


def _show(_: argparse.Namespace, workspace: Workspace) -> Result:
    return {"jobs": list(jobs_in_slurm(workspace))}


def _cancel(options: argparse.Namespace, workspace: Workspace) -> Result:
    """Stop a run, or a sweep with all that it has handed over."""
    place = next((one for one in workspace.sweep_folders() if one.id == options.run), None)
    if place:
        sweep.stop(place, user_name())
        runs = {trial.run for trial in read_trials(place)}
    else:
        run = workspace.run(options.run)
        chain.halt(run, user_name())
        runs = {run.id}
    return {"run": options.run, "jobs": [job for job in jobs_in_slurm(workspace) if job["run"] in runs]}


OPTIONS: Options = {
    "PROFILE_NAME": {"metavar": "NAME"},
    "--partition": {"metavar": "PARTITION"},
    "--account": {"metavar": "ACCOUNT"},
    "--qos": {"metavar": "QOS"},
    "--nodes": {"type": whole_number(1, MOST_NODES), "metavar": "N"},
    "--gpus": {"type": whole_number(0, MOST_GPUS), "metavar": "N"},
    "--gpu-type": {"metavar": "TYPE"},
    "--cpus": {"type": whole_number(0, MOST_CPUS), "metavar": "N"},
    "--memory": {"metavar": "64G"},
    "--time": {"metavar": "1-00:00:00"},
    "--python": {"metavar": "FILE"},
    "--container": {"metavar": "IMAGE"},
    "--seen-at": {"metavar": "DIR"},
}
_FIELDS = (
    "--partition",
    "--account",
    "--qos",
    "--nodes",
    "--gpus",
    "--gpu-type",
    "--cpus",
    "--memory",
    "--time",
)
COMMANDS: Commands = {
    "slurm partitions": (_partitions, ()),
    "slurm profiles": (_profiles, ()),
    "slurm profile": (_profile, ("PROFILE_NAME", *_FIELDS, "--python", "--container", "--seen-at")),
    "slurm show": (_show, ()),
    "slurm cancel": (_cancel, ("RUN",)),
}
