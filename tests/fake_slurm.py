"""Slurm's commands as small programs that say the same each time: one partition, one job that waits."""

import stat
from pathlib import Path

JOB = "7"
SAID = {
    "sinfo": "gpu*|up|1-00:00:00|2|8|64000|gpu:a100:4",
    "sacctmgr": "lab",
    "sbatch": JOB,
    "squeue": f"{JOB}|PENDING|0|N/A||gpu|Priority|",
    "scancel": "",
}


def put_slurm(folder: Path) -> Path:
    """Make the commands in a folder, which is to stand first in PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, said in SAID.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{said}'\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder
