"""Whether a step that failed may do better when it goes on by itself."""

from contextlib import suppress

from core.errors import StepFailed, TuneboardError
from core.jobs.failure import why_failed
from core.jobs.status import read_status

# What may have been chance: the next try, from the last checkpoint, may get past it. Any other cause that is
# known would come back.
CHANCE = {
    *("unknown", "lost", "machine_restarted", "killed", "killed_out_of_memory", "worker_killed", "crashed"),
    *("terminated", "cuda_out_of_memory", "cpu_out_of_memory", "nccl_timeout", "gpu_error", "gpu_taken"),
    *("hub_timeout", "hub_out_of_reach", "port_in_use", "disk_error"),
}


def is_crash(error: StepFailed) -> bool:
    """Whether it crashed, and did not fail for what it would meet again."""
    if error.job is None:
        return False
    with suppress(TuneboardError, OSError):
        why = why_failed(error.job, read_status(error.job))
        return why is not None and why.said is None and why.cause in CHANCE
    return False
