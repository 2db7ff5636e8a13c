"""A training in several processes, by torchrun: ``python -m core.engine ranks TORCHRUN'S OPTIONS -m …``.

It is torchrun itself, but for what a job needs of it:

- a process that dies takes the others along within seconds (torch 2.13 gives those that wait for it in vain
  half a minute), and which one it was stands in the job's folder;
- a stop is handed on once and waited for, for a checkpoint takes as long as it takes, and of several
  processes one alone may have it to write: whoever asked for the stop ends what does not end. Only who waits
  for one that has died is not waited for;
- what has come to its end when a stop comes has finished;
- the logs of all processes but the first stand in ``ranks/NODE/attempt_0/RANK/`` of the job's folder.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil

from core.engine.refusal import refusing
from core.engine.stopping import end_as_asked
from core.errors import NoRendezvous
from core.jobs.done import leave_done
from core.jobs.progress import JOB_VARIABLE
from core.jobs.ranks import DeadRank, leave_dead

# Seconds that the others get once one of them has ended before its time.
LEFT_BEHIND = 10.0
# How a process ends that has nothing more to do, and one that was asked to stop.
AS_ASKED = (0, -signal.SIGTERM)
LOOK = 0.1
# torchrun's own variable for where the machines of one training meet.
MEET_VARIABLE = "PET_MASTER_ADDR"
GLOO_VARIABLE = "GLOO_SOCKET_IFNAME"
NODE_VARIABLES = ("PET_NODE_RANK", "SLURM_NODEID")


def main(arguments: list[str]) -> None:
    """Run torchrun with ``arguments``; ends as the process that failed first, or by the signal that asked
    for it."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    folder, options = os.environ.get(JOB_VARIABLE, ""), _of_this_node(arguments)
    if "--nnodes" in arguments:
        if MEET_VARIABLE not in os.environ:
            with refusing(Path(folder)):
                raise NoRendezvous(nodes=arguments[arguments.index("--nnodes") + 1])
        if network := network_to(os.environ[MEET_VARIABLE]):
            os.environ.setdefault(GLOO_VARIABLE, network)
    ended = _end_together()
    try:
        run.run(run.parse_args(options))
    except SignalException:
        if not ended.well:
            end_as_asked()
    except ChildFailedError as failed:
        all_of_them = [(rank, one.exitcode) for rank, one in failed.failures.items()]
        _end_as(DeadRank.first(ended.first or all_of_them), folder)
    if folder and _node() == 0:
        leave_done(Path(folder))


def network_to(address: str) -> str | None:
    """The network interface by which this machine reaches ``address``; None where nobody can tell. gloo takes
    the one that the machine's own name leads to, which many systems say is the loopback's: no other machine
    can reach that."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect((address, 9))  # nothing is sent
        own = asked.getsockname()[0]
        return next(
            (name for name, found in psutil.net_if_addrs().items() if own in {one.address for one in found}),
            None,
        )
    return None


def _of_this_node(arguments: list[str]) -> list[str]:
    """Of several machines only the first one's first process writes where torchrun does; and the first one in
    the cluster's order has the first ranks, for its log is the curve's."""
    node = _node()
    numbered = ["--node-rank", str(node), *arguments] if "--nnodes" in arguments else arguments
    if node == 0:
        return numbered
    place = numbered.index("-m")
    return [*numbered[:place], "--redirects", "3", *numbered[place:]]


def _node() -> int:
    return next((int(os.environ[name]) for name in NODE_VARIABLES if os.environ.get(name)), 0)


def _end_as(dead: DeadRank, folder: str) -> NoReturn:
    """With the first one's exit code; 128 + N of one that signal N ended, as in a shell."""
    if folder:
        leave_dead(Path(folder), dead)
    print(f"rank {dead.rank} ended with exit code {dead.code}: the others were ended too", flush=True)
    sys.exit(dead.code)


@dataclass
class Ended:
    """How the processes of this one have ended: ``first`` are the number and exit code of those that failed
    first, ``codes`` the exit codes of all, once they were ended together."""

    first: list[tuple[int, int]] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether each has done all it had to, whatever it was asked meanwhile."""
        return bool(self.codes) and not any(self.codes) and None not in self.codes


def _end_together() -> Ended:
    """From here on the processes of this one end together, and their logs stand where they are looked for.
    Returns how they have ended, once they have."""
    from torch.distributed.elastic.multiprocessing import api

    ended = Ended()
    own_close = api.SubprocessContext._close

    def close(self: Any, death_sig: signal.Signals, timeout: int = 30) -> None:
        if not ended.first:  # later ones were ended from here
            ended.first += [
                (int(self.envs[one]["RANK"]), each.exitcode) for one, each in self._failures.items()
            ]
        handlers = [*self.subprocess_handlers.values()]
        for handler in handlers:
            if handler.proc.poll() is None:
                handler.close(death_sig=death_sig)
        _await(handlers, () if ended.first else AS_ASKED)
        own_close(self, signal.SIGKILL, timeout)
        ended.codes = [handler.proc.poll() for handler in handlers]

    def log_folder(_: Any, place: str | None, __: str) -> str:
        folder = Path(place or ".") / str(_node())
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    api.SubprocessContext._close = close
    api.DefaultLogsSpecs._make_log_dir = log_folder
    return ended


def _await(handlers: list[Any], as_asked: Sequence[int]) -> None:
    """Until all have ended, or some have, in another way than ``as_asked``, and the others did not follow."""
    one_died: float | None = None
    while None in (codes := [handler.proc.poll() for handler in handlers]):
        if any(code is not None and code not in as_asked for code in codes):
            one_died = one_died or time.monotonic()
            if time.monotonic() - one_died > LEFT_BEHIND:
                return
        time.sleep(LOOK)
