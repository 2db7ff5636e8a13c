"""A profile: how one kind of work is asked of Slurm. It lies in the workspace, and everything is an argument
of ``sbatch``; nothing of it is a shell's line."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, with_config

from core.errors import DamagedFile, InvalidProfile, NoSuchProfile, NotWritable
from core.machine import Gpu, Machine
from core.slurm.partitions import Partition, seconds_of
from core.wording import did_you_mean, say
from core.workspace.files import read_object, write_json
from core.workspace.paths import PROJECT, Workspace

BATCH = PROJECT / "core" / "slurm" / "batch.sh"
# Slurm's own names: what no option and no list of options can begin with or hold.
_NAME = re.compile(r"[\w][\w.@+-]*", re.ASCII)
_MEMORY = re.compile(r"[1-9]\d{0,9}[KMGT]?", re.ASCII)
MOST_NODES, MOST_GPUS, MOST_CPUS = 4096, 64, 4096
CONTAINERS = ("apptainer", "singularity")


@with_config(extra="forbid")
@dataclass(frozen=True)
class Profile:
    """``gpus``, ``cpus`` and ``memory`` (``64G``) are of each node; empty or 0 leaves it to the cluster.

    ``time`` is the longest a job may take, as Slurm writes it (``2:00:00``, ``1-00:00:00``). ``python`` is
    the Python of a venv that the nodes see, by default this one's own; with a ``container`` (an Apptainer
    image) the Python in it. ``workspace``: where the nodes see this workspace, where that is another path
    than here; only a container can give it this one's.
    """

    name: str
    partition: str = ""
    account: str = ""
    qos: str = ""
    nodes: int = 1
    gpus: int = 0
    gpu_type: str = ""
    cpus: int = 0
    memory: str = ""
    time: str = ""
    python: str = ""
    container: str = ""
    workspace: str = ""

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class ProfileProblem:
    """What is wrong with one ``field``; ``key`` is its sentence, at ``slurm.wrong.``."""

    field: str
    key: str
    values: tuple[tuple[str, object], ...] = ()

    def text(self) -> str:
        return say(f"slurm.wrong.{self.key}", **dict(self.values))


def problems(profile: Profile, offered: Iterable[Partition] = ()) -> list[ProfileProblem]:
    """Everything that is wrong with a profile, also for a cluster that offers these partitions."""
    too_much = _too_much(profile, {one.name: one for one in offered})
    return [*_misspelled(profile), *_not_paths(profile), *too_much]


def _misspelled(profile: Profile) -> Iterator[ProfileProblem]:
    if not profile.name.strip():
        yield _problem("name", "no_name")
    for field in ("partition", "account", "qos", "gpu_type"):
        if (value := getattr(profile, field)) and not _NAME.fullmatch(value):
            yield _problem(field, "name", value=value)
    for field, least, most in (("nodes", 1, MOST_NODES), ("gpus", 0, MOST_GPUS), ("cpus", 0, MOST_CPUS)):
        if not least <= getattr(profile, field) <= most:
            yield _problem(field, "number", value=getattr(profile, field), low=least, high=most)
    if profile.memory and not _MEMORY.fullmatch(profile.memory):
        yield _problem("memory", "memory", value=profile.memory)
    if profile.time and not seconds_of(profile.time):
        yield _problem("time", "time", value=profile.time)
    if profile.gpu_type and not profile.gpus:
        yield _problem("gpu_type", "no_gpus", value=profile.gpu_type)


def _not_paths(profile: Profile) -> Iterator[ProfileProblem]:
    for field in ("python", "container", "workspace"):
        value = getattr(profile, field)
        if value and not (field == "python" and profile.container) and not _is_path(value):
            yield _problem(field, "path", value=value)
    if profile.workspace and not profile.container:
        yield _problem("workspace", "workspace", value=profile.workspace)


def _too_much(profile: Profile, offered: dict[str, Partition]) -> Iterator[ProfileProblem]:
    if not offered:
        return
    default = next((name for name, one in offered.items() if one.default), "")
    name = profile.partition or default
    if (there := offered.get(name)) is None:
        if name:
            yield _problem("partition", "partition", value=name, known=say("row.list").join(offered))
        return
    for field, most in (("nodes", there.nodes), ("gpus", there.gpus)):
        if (value := getattr(profile, field)) > most:
            yield _problem(field, f"most_{field}", value=value, partition=name, most=most)
    if profile.gpu_type and there.gpu_types and profile.gpu_type not in there.gpu_types:
        known = say("row.list").join(there.gpu_types)
        yield _problem("gpu_type", "gpu_type", value=profile.gpu_type, partition=name, known=known)
    asked, limit = seconds_of(profile.time), seconds_of(there.limit)
    if asked and limit and asked > limit:
        yield _problem("time", "limit", value=profile.time, partition=name, limit=there.limit)


def _is_path(value: str) -> bool:
    return Path(value).is_absolute() and value.isprintable()


def _problem(field: str, key: str, **values: object) -> ProfileProblem:
    return ProfileProblem(field, key, tuple(values.items()))


def invalid(profile: Profile, found: Iterable[ProfileProblem]) -> InvalidProfile:
    """The error that carries these problems, one a line."""
    return InvalidProfile(profile=profile.name, problems="\n".join(f"  - {one.text()}" for one in found))


def save(workspace: Workspace, profile: Profile, offered: Iterable[Partition] = ()) -> Path:
    """Keep a profile under its name. Raises InvalidProfile with all problems, NotWritable."""
    if found := problems(profile, offered):
        raise invalid(profile, found)
    path = workspace.profile(profile.name)
    try:
        write_json(path, profile.as_json())
    except OSError as error:
        raise NotWritable(folder=path.parent, reason=error.strerror or str(error)) from error
    return path


def profiles(workspace: Workspace) -> list[Profile]:
    """Every profile that can be read, by name."""
    found = (_read(path) for path in sorted(workspace.profiles.glob("*.json")))
    return [one for one in found if one is not None]


def read_profile(workspace: Workspace, name: str) -> Profile:
    """The profile of that name. Raises NoSuchProfile, DamagedFile, InvalidProfile."""
    known = {path.stem: path for path in sorted(workspace.profiles.glob("*.json"))}
    path = workspace.profile(name)
    if path.stem not in known:
        near = did_you_mean(name, dict.fromkeys(known, ()))
        raise NoSuchProfile(profile=name, workspace=workspace.root, near=near)
    if (profile := _read(path)) is None:
        raise DamagedFile(path=path)
    if found := problems(profile):
        raise invalid(profile, found)
    return profile


def of_json(found: object) -> Profile:
    """A profile as :meth:`Profile.as_json` gives it. Raises ValueError."""
    return _PROFILE.validate_json(json.dumps(found), strict=True)


def _read(path: Path) -> Profile | None:
    try:
        return of_json(read_object(path))
    except (ValueError, DamagedFile):
        return None


def offered_first(partition: Partition, name: str = "") -> Profile:
    """A profile filled from what a partition offers: one node with its cards, as long as jobs may take."""
    return Profile(
        name or partition.name,
        partition.name,
        gpus=min(partition.gpus, 1),
        gpu_type=partition.gpu_types[0] if len(partition.gpu_types) == 1 and partition.gpus else "",
        time=partition.limit,
    )


def changed(profile: Profile, values: Mapping[str, Any]) -> Profile:
    """The profile with those of its fields among ``values`` that are not None. Without GPUs none of its kind
    is left."""
    known = {field.name for field in fields(profile)}
    given = {key: value for key, value in values.items() if key in known and value is not None}
    if given.get("gpus") == 0:
        given = {"gpu_type": "", **given}
    return replace(profile, **given)


def sbatch(profile: Profile, title: str, log: str, array: str = "") -> list[str]:
    """The arguments of ``sbatch`` up to what it is to run: a job of one process on its first node, that is
    begun anew on another one when its node fails or it has to make room. ``log`` is a path in which Slurm
    fills its own ``%``-words in; ``array`` is ``0-7%4``."""
    given = {
        "job-name": title,
        "chdir": str(PROJECT),
        "output": log,
        "open-mode": "append",
        "partition": profile.partition,
        "account": profile.account,
        "qos": profile.qos,
        "nodes": str(profile.nodes),
        "ntasks-per-node": "1",
        "gpus-per-node": _gpus(profile),
        "cpus-per-task": str(profile.cpus or ""),
        "mem": profile.memory,
        "time": profile.time,
        "array": array,
    }
    options = [f"--{name}={value}" for name, value in given.items() if value]
    return ["sbatch", "--parsable", "--requeue", *options, str(BATCH)]


def machine_of(profile: Profile, here: Machine) -> Machine:
    """What a job of this profile finds on its node, as far as the profile says it: of the rest nobody knows
    more than that it is like the machine ``here``."""
    cards = (Gpu(index, profile.gpu_type, 0, 0) for index in range(profile.gpus))
    return replace(here, gpus=tuple(cards))


def _gpus(profile: Profile) -> str:
    if not profile.gpus:
        return ""
    return f"{profile.gpu_type}:{profile.gpus}" if profile.gpu_type else str(profile.gpus)


def within(profile: Profile, workspace: Path, command: Iterable[str]) -> list[str]:
    """A command as the nodes run it: in the profile's container, where it has one, in which project and
    workspace have the paths that they have here."""
    if not profile.container:
        return [*command]
    binds = [f"{PROJECT}:{PROJECT}", f"{profile.workspace or workspace}:{workspace}"]
    options = [f"--bind={bind}" for bind in binds]
    card = ["--nv"] if profile.gpus else []
    return [CONTAINERS[0], "exec", *card, *options, f"--pwd={PROJECT}", profile.container, *command]


_PROFILE: TypeAdapter[Profile] = TypeAdapter(Profile)
