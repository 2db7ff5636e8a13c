"""Slurm's own commands: lists of arguments, bounded in time, their failures in words.

Not through submitit, which hands over what it runs as a pickle, and asks only sacct, which knows nothing
where no accounting database is kept (docs/decisions.md).
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from core.errors import NoSlurm, SlurmFailed
from core.wording import say

# Seconds that a controller may take; one that is down is not waited for longer. Taking a job in takes most.
PATIENCE, SUBMIT_PATIENCE = 10.0, 60.0


def is_here() -> bool:
    """Whether this machine can hand work to a Slurm."""
    return shutil.which("sbatch") is not None


def ask(
    command: Sequence[str], patience: float = PATIENCE, environment: Mapping[str, str] | None = None
) -> str:
    """What a command of Slurm's prints; by default it sees this process's environment.

    Raises NoSlurm where there is no such command, SlurmFailed with its last word.
    """
    if (program := shutil.which(command[0])) is None:
        raise NoSlurm(command=command[0])
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
            encoding="utf-8",
            errors="replace",
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        reason = say("slurm.silent", seconds=f"{patience:.0f}")
        raise SlurmFailed(command=command[0], reason=reason) from error
    except (OSError, ValueError) as error:
        raise SlurmFailed(command=command[0], reason=str(error)) from error
    if done.returncode:
        raise SlurmFailed(command=command[0], reason=_last_word(done.stderr))
    return done.stdout


def _last_word(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "?"
