"""What a cluster offers, as ``sinfo`` and ``sacctmgr`` say it: what a profile is filled from."""

import getpass
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.errors import NoSlurm, SlurmFailed
from core.slurm.commands import ask

# Partition, up or down, time limit, nodes, processors and MB a node, generic resources.
FIELDS = "%P|%a|%l|%D|%c|%m|%G"
_GPU = re.compile(r"\bgpu(?::([\w.-]+))?:(\d+)")
_UNLIMITED = "infinite"


@dataclass(frozen=True)
class Partition:
    """``limit`` is the longest time of a job as Slurm writes it (``1-00:00:00``), empty for none; ``cpus``
    and ``memory`` (MB) are those of its smallest node, ``gpus`` those of its largest, ``gpu_types`` what its
    cards are called."""

    name: str
    default: bool
    up: bool
    limit: str
    nodes: int
    cpus: int
    memory: int
    gpus: int
    gpu_types: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "gpu_types": list(self.gpu_types)}


def partitions() -> list[Partition]:
    """The partitions that this user sees, the default first. Raises NoSlurm, SlurmFailed."""
    return read_partitions(ask(["sinfo", "--noheader", f"--format={FIELDS}"]))


def read_partitions(text: str) -> list[Partition]:
    """The lines of ``sinfo``: several of one partition where its nodes differ, which are put together."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 7:
            one = _partition(*parts)
            known = found.get(one.name)
            found[one.name] = _together(known, one) if known else one
    return sorted(found.values(), key=lambda one: not one.default)


def accounts() -> list[str]:
    """The accounts this user may charge; none where the cluster keeps no account of it."""
    user = getpass.getuser()
    with suppress(NoSlurm, SlurmFailed):
        said = ask(["sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=account"])
        return list(dict.fromkeys(filter(None, map(str.strip, said.splitlines()))))
    return []


def seconds_of(limit: str) -> int | None:
    """A time as Slurm writes it (``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``,
    ``days-hours[:minutes[:seconds]]``) in seconds; None for what is none."""
    match = re.fullmatch(r"(?:(\d{1,6})-)?(\d{1,9})(?::(\d{1,2}))?(?::(\d{1,2}))?", limit)
    if match is None:
        return None
    days, first, second, third = (None if part is None else int(part) for part in match.groups())
    if days is not None:
        return ((days * 24 + (first or 0)) * 60 + (second or 0)) * 60 + (third or 0)
    if third is not None:
        return ((first or 0) * 60 + (second or 0)) * 60 + third
    return (first or 0) * 60 + (second or 0)


def _partition(name: str, up: str, limit: str, nodes: str, cpus: str, memory: str, gres: str) -> Partition:
    cards = _GPU.findall(gres)
    return Partition(
        name=name.removesuffix("*"),
        default=name.endswith("*"),
        up=up == "up",
        limit="" if limit == _UNLIMITED else limit,
        nodes=_number(nodes),
        cpus=_number(cpus),
        memory=_number(memory),
        gpus=sum(int(count) for _, count in cards),
        gpu_types=tuple(sorted({kind for kind, _ in cards if kind})),
    )


def _together(one: Partition, other: Partition) -> Partition:
    return replace(
        one,
        nodes=one.nodes + other.nodes,
        cpus=min(one.cpus, other.cpus),
        memory=min(one.memory, other.memory),
        gpus=max(one.gpus, other.gpus),
        gpu_types=tuple(sorted({*one.gpu_types, *other.gpu_types})),
    )


def _number(text: str) -> int:
    """``4+`` where nodes differ: the least of them."""
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0
