"""One command on every node of an allocation, whose processes find each other: ``srun`` and torchrun."""

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

# Each job has a port of its own on its first node: two of one node do not meet.
PORTS = range(20000, 30000)


def over_nodes(
    command: Sequence[str], nodes: int, environment: Mapping[str, str] = os.environ
) -> tuple[list[str], dict[str, str]]:
    """The command that runs ``command``, a torchrun, once on each node of the allocation that this process is
    on the first node of, and the variables by which torchrun meets there: as many machines as were asked for
    or none, each with the number that Slurm gives it (``SLURM_NODEID``). On one node, or outside of an
    allocation, it stays as it is: there somebody starts it on each machine.

    One that fails ends all (``--kill-on-bad-exit``). The first node's output comes first; torchrun keeps the
    other ranks' in files.
    """
    job = environment.get("SLURM_JOB_ID", "")
    if nodes == 1 or not job.isdigit():
        return [*command], {}
    each = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    port = PORTS[int(job) % len(PORTS)]
    return ["srun", *each, "--unbuffered", *command], {
        "PET_NNODES": str(nodes),
        "PET_MASTER_ADDR": _address(),
        "PET_MASTER_PORT": str(port),
    }


def _address() -> str:
    """How the other nodes reach this one: by the number it has on its way out, which none of them has to look
    up; on a network without such a way by its name."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))  # nothing is sent: it says by which way it would be (RFC 5737)
        return str(asked.getsockname()[0])
    return socket.gethostname()
