"""A real Slurm on this machine: munged, slurmctld and two nodes, in a folder and on ports of their own.

The nodes are two slurmd. The second has a name and a table of processes of its own, where the kernel lets it:
what runs there is as invisible as on another machine, which shares nothing but the disk.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from core.jobs.process import descendants, kill_group

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
# Seconds that a daemon may take on a machine that has other work.
PATIENCE = 60.0


def why_not() -> str:
    """Why no cluster can be made here; empty where one can."""
    if missing := [name for name in PROGRAMS if _program(name) is None]:
        return f"no {', '.join(missing)} here: apt-get install slurm-wlm munge"
    return "" if os.getuid() == 0 else "only root can run a cluster's daemons"


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Cluster:
    """``configuration`` is what SLURM_CONF is to name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Bring all of it up. Raises RuntimeError with what the daemons said."""
        self._write()
        munge = self.folder / "munge"
        places = {
            "key-file": "key",
            "socket": "socket",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        options = [f"--{option}={munge / name}" for option, name in places.items()]
        self._daemon("munged", ["munged", "--foreground", "--force", *options])
        self._wait("munged", lambda: (munge / "socket").exists())
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self._wait("the nodes", lambda: self.nodes("idle") == len(NODES))

    def start_controller(self) -> None:
        self._daemon("slurmctld", ["slurmctld", "-D", "-f", str(self.configuration)])
        self._wait("slurmctld", lambda: self._says(["scontrol", "ping"], "UP"))

    def stop_controller(self) -> None:
        """As an administrator does, so that it writes down what it knows. One that is killed forgets its last
        jobs and gives their numbers away again, which a node refuses."""
        controller = self._daemons.pop("slurmctld")
        controller.terminate()
        controller.wait(PATIENCE)

    def start_node(self, node: str) -> None:
        (self.folder / f"spool.{node}").mkdir(exist_ok=True)
        command = ["slurmd", "-D", "-N", node, "-f", str(self.configuration)]
        if node != NODES[0] and _can_be_apart():
            command = [*_APART, "sh", "-c", 'hostname "$0" && exec "$@"', node, *command]
        self._daemon(node, command)

    def kill(self, name: str) -> None:
        """SIGKILL to a daemon and all below it: a node that is gone, with what ran on it."""
        daemon = self._daemons.pop(name)
        for pid in self._stopped(name, daemon.pid):
            _signal(pid, signal.SIGKILL)
        kill_group(daemon.pid, ancestor=daemon.pid)
        daemon.wait()

    def _stopped(self, name: str, daemon: int) -> set[int]:
        """All processes of a node, of which none can act any more: a node's end is one moment, in which no
        supervisor sees its tool end, and nothing is started."""
        stopped: set[int] = set()
        while new := {daemon, *(entry.pid for entry in descendants(daemon)), *self._steps(name)} - stopped:
            for pid in new:
                _signal(pid, signal.SIGSTOP)
            self._wait(f"the end of {name}", lambda new=new: all(map(_stands_still, new)))
            stopped |= new
        return stopped

    def _steps(self, node: str) -> set[int]:
        """What slurmd has started leaves its process tree; its environment says whose it is. Of slurmstepd,
        which writes its title over that, what it has started does."""
        found, mark = set[int](), f"SLURMD_NODENAME={node}".encode()
        ours = f"SLURM_CONF={self.configuration}".encode()
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                said = entry.read_bytes().split(b"\0")
                if mark in said and ours in said:
                    found |= {int(entry.parent.name), *_stepd_of(int(entry.parent.name))}
        return found

    def nodes(self, state: str) -> int:
        """How many nodes are in a state."""
        return len(self._in(state))

    def _in(self, state: str) -> list[str]:
        return self._run(["sinfo", "-h", "-N", "-p", "short", "-t", state, "-o", "%N"]).stdout.split()

    def state(self, job: str) -> str:
        """A job's state in Slurm's words; empty for one that it does not know."""
        return self._run(["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"]).stdout.strip()

    def node(self, job: str) -> str:
        """Where a job runs, or ran last."""
        return self._run(["squeue", "-h", "-t", "all", "-j", job, "-o", "%N"]).stdout.strip()

    def settle(self) -> None:
        """Whatever was done to it: no job is left, every daemon runs, and both nodes wait for work. Raises
        RuntimeError with what Slurm says of them."""
        for name, start in {"slurmctld": self.start_controller, **_each(self.start_node)}.items():
            if name in self._daemons and self._daemons[name].poll() is not None:
                del self._daemons[name]
            if name not in self._daemons:
                start()
        self._run(["scancel", "--user=root"])
        self._wait("both nodes", self._is_at_rest)

    def _is_at_rest(self) -> bool:
        """A node that was drained or taken for dead is told to go on."""
        if self._run(["squeue", "-h"]).stdout.strip():
            return False
        for node in self._in("drain,down"):
            self._run(["scontrol", "update", f"nodename={node}", "state=resume"])
        return self.nodes("idle") == len(NODES)

    def story(self) -> str:
        """What Slurm and its daemons say, for whoever waited in vain."""
        asked = (["sinfo", "-N", "-l"], ["squeue", "-t", "all"], ["scontrol", "show", "node"])
        answers = [
            f"$ {' '.join(command)}\n{done.stdout}{done.stderr}"
            for command in asked
            if (done := self._run(command))
        ]
        logs = sorted([*self.folder.glob("*.out"), *self.folder.glob("*.log")])
        said = [f"{log.name}:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}" for log in logs]
        return "\n".join([*answers, *said])

    def control(self, *words: str) -> None:
        """``scontrol`` as an administrator. Raises AssertionError."""
        done = self._run(["scontrol", *words])
        assert done.returncode == 0, done.stderr

    def end(self) -> None:
        """Take everything down, jobs included."""
        self._run(["scancel", "--user=root"])
        for name in [name for name in self._daemons if name in NODES] + ["slurmctld", "munged"]:
            if name in self._daemons:
                self.kill(name)

    def _write(self) -> None:
        munge = self.folder / "munge"
        munge.mkdir(mode=0o700)
        key = munge / "key"
        key.touch(mode=0o400)
        key.chmod(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        for number in range(2):
            (self.folder / f"gpu{number}").touch()
        controller, *ports = _free_ports(1 + len(NODES))
        host = socket.gethostname()
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=4000"
            " Gres=gpu:tiny:2"
            for node, port in zip(NODES, ports, strict=True)
        )
        text = _CONFIGURATION.format(folder=self.folder, host=host, port=controller, nodes=nodes)
        self.configuration.write_text(text, encoding="utf-8")
        cards = f"AutoDetect=off\nNodeName=n[1-2] Name=gpu Type=tiny File={self.folder}/gpu[0-1]\n"
        self.configuration.with_name("gres.conf").write_text(cards, encoding="utf-8")

    def _daemon(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                [_program(command[0]) or command[0], *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment(),
                start_new_session=True,
            )

    def environment(self) -> dict[str, str]:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        return {**os.environ, "PATH": path, "SLURM_CONF": str(self.configuration)}

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, capture_output=True, text=True, env=self.environment(), timeout=PATIENCE, check=False
        )

    def _says(self, command: list[str], word: str) -> bool:
        return word in self._run(command).stdout

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > until:
                raise RuntimeError(f"{what} did not come up:\n{self.story()}")
            time.sleep(0.1)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _stepd_of(pid: int) -> Iterator[int]:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid).parent()
        if parent is not None and parent.name() == "slurmstepd":
            yield parent.pid


def _stands_still(pid: int) -> bool:
    """Whether none of its threads does anything any more. A signal to stop is one that is on its way first,
    and slurmstepd would tell meanwhile how its task has ended."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    return True


def _each(start: Callable[[str], None]) -> dict[str, Callable[[], None]]:
    return {node: partial(start, node) for node in NODES}


_APART = ["unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
_CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=15
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdParameters=config_overrides
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SlurmdTimeout=20
SlurmctldTimeout=5
KillWait=5
UnkillableStepTimeout=30
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
{nodes}
PartitionName=short Nodes=n1,n2 Default=YES MaxTime=60 State=UP
PartitionName=long Nodes=n1,n2 MaxTime=INFINITE State=UP
"""


def _can_be_apart() -> bool:
    return subprocess.run([*_APART, "true"], capture_output=True, check=False).returncode == 0


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster until the block ends. In CI one that cannot be made is a failure; on a developer's machine a
    test is skipped, and says what it needs."""
    if why := why_not():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    # A socket's path is short; the folder's own name is part of it.
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        made = Cluster(Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.end()
