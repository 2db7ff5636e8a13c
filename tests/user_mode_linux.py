"""A machine of its own for a while (User Mode Linux): it has this one's files, and a kernel of its own, whose
control groups are all of version 2."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.workspace.paths import PROJECT

PROGRAM = "linux.uml"
MEMORY = "4G"
# What becomes the machine's first process. What is written lies in its own memory: its /run.
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
[ -e /dev/null ] || mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mkdir /run/home
mount -t cgroup2 groups /sys/fs/cgroup
ip link set lo up || ifconfig lo up
cd {project}
export HOME=/run/home TMPDIR=/run PATH={path} OMP_NUM_THREADS=1
{command}
echo "ended with $?"
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


def why_not() -> str:
    """Why no such machine can be booted here; empty where its program is there."""
    return "" if shutil.which(PROGRAM) else f"no {PROGRAM} here: apt-get install user-mode-linux"


def run(command: Sequence[str], folder: Path, timeout: float) -> tuple[int | None, str]:
    """Boot, run the command in the project's folder as root, and switch off: its exit code, None where it did
    not come to that, and what the console showed. ``folder`` holds the machine's memory meanwhile. Raises
    subprocess.TimeoutExpired."""
    init = folder / "init"
    init.write_text(
        INIT.format(
            project=shlex.quote(str(PROJECT)),
            path=shlex.quote(f"{os.environ['PATH']}:/usr/sbin:/sbin"),
            command=shlex.join(command),
        ),
        encoding="utf-8",
    )
    init.chmod(0o700)
    machine = subprocess.Popen(
        [
            *(PROGRAM, f"mem={MEMORY}", "rootfstype=hostfs", "rootflags=/", "rw", "quiet"),
            *(f"init={init}", "con=null", "con0=null,fd:1"),
        ],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = machine.communicate(timeout=timeout)[0].decode(errors="replace").replace("\r", "")
    finally:
        if machine.poll() is None:
            os.killpg(machine.pid, signal.SIGKILL)  # its processes are this machine's, in its group
            machine.communicate()
    found = re.search(r"^ended with (\d+)$", said, re.MULTILINE)
    return int(found[1]) if found else None, said


def run_tests(named: Sequence[str], folder: Path, timeout: float) -> tuple[int | None, str]:
    """These tests, named as to pytest, on such a machine."""
    options = (
        "-q",
        "-rs",
        "--color=no",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        f"--timeout={timeout:g}",
    )
    return run([sys.executable, "-m", "pytest", *options, *named], folder, timeout)
