"""What the kernel does in control groups of version 2, to real processes in real groups.

Where memory is still version 1's, or no group can be made, all of it runs on a machine that is booted for it
(:mod:`tests.user_mode_linux`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.container import counted, groups
from core.jobs.failure import why_failed
from core.jobs.status import LIVE, State, read_status
from core.wording import say
from core.workspace.paths import PROJECT
from tests import user_mode_linux
from tests.conftest import RecordFault
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MIB = 1 << 20
TOP = Path("/sys/fs/cgroup")
CONTROLLERS = "+memory +cpu +pids"
SAYS = """
import json
from core.container import cpu_limit, memory_limit, memory_used, oom_kills
from core.machine import this_machine
print(json.dumps([cpu_limit(), memory_limit(), memory_used(), oom_kills(), this_machine().cores]))
"""
TAKES = f"bytearray(b'x') * {200 * MIB}"
THREADS = """
import threading
end = threading.Event()
for _ in range(99):
    threading.Thread(target=end.wait, daemon=True).start()
"""
# A job in the group of whoever starts it.
STARTS = """
import sys
from pathlib import Path
from core.jobs.job import JobSpec
from core.jobs.launch import launch
launch(Path(sys.argv[1]), JobSpec((sys.executable, "-c", sys.argv[2]), Path.cwd()))
"""
# As a container does it: what lies above its own group is out of sight.
OUT_OF_SIGHT = (
    *("unshare", "--cgroup", "--mount", "sh", "-c"),
    'mount --make-rprivate / && umount /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"',
    "sh",
)
# Root without the right to pass over what a folder allows.
HEEDS_MODES = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@dataclass(frozen=True)
class Group:
    folder: Path

    def below(self, name: str, **limits: str) -> "Group":
        """A group in this one, with limits by their files' names, "_" for the dot. Raises OSError."""
        (self.folder / "cgroup.subtree_control").write_text(CONTROLLERS, encoding="ascii")
        made = Group(self.folder / name)
        made.folder.mkdir()
        made.limit(**limits)
        return made

    def limit(self, **limits: str) -> None:
        for file, value in limits.items():
            (self.folder / file.replace("_", ".")).write_text(value, encoding="ascii")

    def run(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        return subprocess.run(
            ["/bin/sh", "-c", enter, str(self.folder), *command], cwd=PROJECT, capture_output=True, text=True
        )

    def says(self, *before: str) -> list[Any]:
        """What a process in it says of the limits: cores' time, memory, used of that, kills, cores."""
        said = self.run([*before, sys.executable, "-c", SAYS])
        assert said.returncode == 0, said.stderr
        found: list[Any] = json.loads(said.stdout)
        return found

    def remove(self) -> None:
        for one in self.folder.iterdir():
            if one.is_dir():
                Group(one).remove()
        self.limit(cgroup_kill="1")
        until(lambda: not (self.folder / "cgroup.procs").read_text(encoding="ascii"))
        self.folder.rmdir()


def of_this_machine() -> Group | None:
    """A group of version 2 with everything that these tests need; None where none can be made."""
    if {group.version for group in groups("memory")} != {2}:
        return None
    made = TOP / f"tuneboard-{os.getpid()}"
    try:
        return Group(TOP).below(made.name, pids_max="max", memory_max="max", cpu_max="max 100000")
    except OSError:
        with suppress(OSError):
            made.rmdir()
        return None


@pytest.fixture
def group() -> Iterator[Group]:
    made = of_this_machine()
    if made is None:
        pytest.skip("no groups of version 2 here: test_on_a_machine_of_its_own has run it, or said why not")
    yield made
    made.remove()


def test_on_a_machine_of_its_own(tmp_path: Path) -> None:
    """All of this, what :mod:`tests.test_container` asks a real group, and out of memory in whole chains."""
    if here := of_this_machine():
        here.remove()
        pytest.skip("this machine has groups of version 2: the others have run here")
    if why := user_mode_linux.why_not():
        pytest.skip(f"control groups of version 2 were not tried: {why}")
    tests = (
        "test_control_groups.py",
        "test_container.py",
        "faults/test_memory.py::test_the_kernel_kills_one_of_a_chain",
    )
    code, said = user_mode_linux.run_tests([f"tests/{one}" for one in tests], tmp_path, 540)
    if code is None:
        pytest.skip(
            f"control groups of version 2 were not tried: {user_mode_linux.PROGRAM} said {said[-2000:]}"
        )
    assert code == 0 and " 1 skipped" in said, said


def test_each_limit_above_counts(group: Group) -> None:
    group.limit(memory_max=str(700 * MIB), cpu_max="50000 100000")
    inner = group.below("a b", memory_max="max", cpu_max="150000 100000").below("工作")
    cores, memory, used, kills, threads = inner.says()
    assert (cores, memory, kills, threads) == (0.5, 700 * MIB, 0, 1) and 0 < used < memory


def test_where_the_kernel_lets_nobody_get_on_is_a_limit(group: Group) -> None:
    """It does not kill there: what takes more stands still, more or less."""
    group.limit(memory_max=str(700 * MIB), memory_high=str(300 * MIB))
    assert group.says()[1] == 300 * MIB


def test_a_container_that_sees_its_own_group_alone(group: Group) -> None:
    group.limit(memory_max=str(700 * MIB))
    inner = group.below("docker", memory_max=str(400 * MIB), cpu_max="200000 100000")
    cores, memory, _, _, _ = inner.says(*OUT_OF_SIGHT)
    assert (cores, memory) == (2.0, 400 * MIB)


def test_a_group_that_may_not_be_read(group: Group) -> None:
    group.limit(memory_max=str(700 * MIB))
    hidden = group.below("hidden", memory_max=str(300 * MIB))
    inner = hidden.below("own")
    assert inner.says()[1] == 300 * MIB
    hidden.folder.chmod(0)
    assert inner.says(*HEEDS_MODES)[1] == 700 * MIB


def test_a_kill_is_counted_in_its_group_and_in_those_above(group: Group) -> None:
    full, other = group.below("full", memory_max=str(60 * MIB)), group.below("other")
    assert full.run([sys.executable, "-c", TAKES]).returncode == -9
    assert other.run([sys.executable, "-c", TAKES]).returncode == 0
    assert [one.says()[3] for one in (full, other)] == [1, 0]
    assert counted(group.folder / "memory.events", "oom_kill") == 1


def test_the_kernel_kills_all_of_a_group(group: Group, tmp_path: Path, record_fault: RecordFault) -> None:
    """As it does in a container of Kubernetes' (memory.oom.group), and systemd-oomd at a desktop: the job's
    supervisor is killed with it, and nobody is left to write how it ended."""
    full = group.below("full", memory_max=str(180 * MIB), memory_oom_group="1")
    job = tmp_path / "job"
    full.run([sys.executable, "-c", STARTS, str(job), TAKES])
    until(lambda: read_status(job).state not in LIVE)
    status = read_status(job)
    failed = why_failed(job, status)
    assert status.state is State.lost and failed and failed.cause == "lost"
    record_fault(
        "the kernel kills everything of a container for memory (control group, version 2)",
        *("", ""),
        f"{status.state}, “{failed.text('en')}”",
    )


def test_no_more_threads_are_allowed(group: Group, tmp_path: Path, record_fault: RecordFault) -> None:
    job = tmp_path / "job"
    few = group.below("few", pids_max="20")
    assert few.run([sys.executable, "-c", STARTS, str(job), THREADS]).returncode == 0
    until(lambda: read_status(job).state not in LIVE)
    failed = why_failed(job, read_status(job))
    assert failed and failed.cause == "too_many_threads"
    record_fault(
        "a container allows no more threads (control group, version 2)",
        *("", ""),
        f"failed, “{failed.text('en')}”",
    )


# How many processes there may be: whoever starts the job alone; its supervisor too, but neither the thread
# that waits for it, nor its tool as long as the first is there; one more.
@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_processes_are_allowed(group: Group, tmp_path: Path, most: int) -> None:
    job = tmp_path / "job"
    started = group.below("few", pids_max=str(most)).run([sys.executable, "-c", STARTS, str(job), "pass"])
    if most == 1:
        assert started.returncode == 1 and say("file.EAGAIN", "en") in started.stderr
        return
    assert started.returncode == 0, started.stderr
    until(lambda: read_status(job).state not in LIVE)
    if (status := read_status(job)).state is not State.finished:
        failed = why_failed(job, status)
        assert failed and failed.cause == "too_many_threads"
