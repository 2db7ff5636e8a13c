"""What this machine has, what is missing for a fine-tune, and the one command that fixes it."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.errors import MachineError
from core.jobs.environment import inherited
from core.machine import Gpu, Machine, cards, has_cpu_build, this_machine
from core.models.folder import starter_gguf
from core.pipeline.tune_request import NEEDED_BYTES
from core.steps.prepare import versions
from core.steps.step import megabytes
from core.wording import say
from core.workspace.paths import PROJECT, Workspace

Grade = Literal["good", "note", "bad"]
NEEDED_MEMORY = 4_000_000_000
# core.cli.serve stands above this floor and has the same one (a test compares them).
DASHBOARD_PORT = 8501


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at. ``fix`` is the one command that mends it, where there is one."""

    check: str
    grade: Grade
    text: str
    fix: str = ""


def examine(workspace: Workspace) -> list[Diagnosis]:
    """Look at everything once. Takes some seconds: torch is asked in a process of its own."""
    machine = this_machine()
    return [
        *_versions(),
        _starter(),
        _gpu(machine),
        _memory(machine),
        _disk(workspace),
        _workspace(workspace),
        _port(DASHBOARD_PORT),
    ]


def report(workspace: Workspace) -> dict[str, Any]:
    """The findings and the machine, as ``--json`` prints them."""
    findings = examine(workspace)
    return {
        "ok": not any(finding.grade == "bad" for finding in findings),
        "machine": asdict(this_machine()),
        "versions": versions(),
        "findings": [asdict(finding) for finding in findings],
    }


def _versions() -> Iterator[Diagnosis]:
    missing = [name for name, found in versions().items() if found == "-"]
    if missing:
        text = say("doctor.versions_missing", names=", ".join(missing))
        yield Diagnosis("versions", "bad", text, "scripts/run --reinstall")
    else:
        yield Diagnosis("versions", "good", ", ".join(f"{k} {v}" for k, v in versions().items()))


def _starter() -> Diagnosis:
    try:
        return Diagnosis("starter", "good", starter_gguf().name)
    except MachineError as error:
        return Diagnosis("starter", "bad", str(error), "scripts/run --reinstall")


def _gpu(machine: Machine) -> Diagnosis:
    if has_cpu_build() and (idle := cards()):
        return Diagnosis("gpu", "bad", say("doctor.cpu_build", names=_names(idle)), "scripts/setup --gpu")
    if not machine.gpus:
        kind = "bf16" if machine.bf16 else "fp32"
        key = "doctor.no_gpu.part" if machine.all_cores else "doctor.no_gpu"
        text = say(key, cores=machine.cores, all=machine.all_cores, precision=kind)
        return Diagnosis("gpu", "note", text)
    names = _names(machine.gpus)
    probe = _probe()
    if probe.get("works"):
        return Diagnosis("gpu", "good", names)
    text = say("doctor.gpu_unusable", names=names, reason=probe.get("error", "torch.cuda"))
    return Diagnosis("gpu", "bad", text, "nvidia-smi")


def _names(gpus: tuple[Gpu, ...]) -> str:
    return ", ".join(f"{gpu.name} ({megabytes(gpu.memory)})" for gpu in gpus)


def _probe() -> dict[str, Any]:
    command = [sys.executable, "-m", "core.engine", "probe"]
    try:
        done = subprocess.run(
            command, cwd=PROJECT, env=inherited(), capture_output=True, text=True, timeout=120, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        return {"works": False, "error": type(error).__name__}
    return found


def _memory(machine: Machine) -> Diagnosis:
    grade: Grade = "good" if machine.memory >= NEEDED_MEMORY else "bad"
    key = "doctor.memory.part" if machine.all_memory else "doctor.memory"
    amounts = map(megabytes, (machine.memory, machine.all_memory, NEEDED_MEMORY))
    text = say(key, **dict(zip(("memory", "all", "needed"), amounts, strict=True)))
    return Diagnosis("memory", grade, text)


def _disk(workspace: Workspace) -> Diagnosis:
    there = next(path for path in (workspace.root, *workspace.root.parents) if path.exists())
    free = shutil.disk_usage(there).free
    text = say("doctor.disk", free=megabytes(free), needed=megabytes(NEEDED_BYTES), folder=there)
    return Diagnosis(
        "disk", "good" if free >= NEEDED_BYTES else "bad", text, "" if free >= NEEDED_BYTES else "df -h"
    )


def _workspace(workspace: Workspace) -> Diagnosis:
    try:
        workspace.prepare()
    except MachineError as error:
        return Diagnosis("workspace", "bad", str(error), "scripts/run doctor --workspace ~/tuneboard")
    return Diagnosis("workspace", "good", str(workspace.root))


def _port(port: int) -> Diagnosis:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        return Diagnosis("port", "note", say("doctor.port_taken", port=port), f"ss -ltnp sport = :{port}")
    return Diagnosis("port", "good", say("doctor.port_free", port=port))
