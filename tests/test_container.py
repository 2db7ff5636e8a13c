"""What a container may use: its groups' limits, in trees as Docker, Kubernetes and systemd make them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from core import doctor, machine
from core.container import cpu_limit, memory_limit, memory_used, oom_kills
from core.machine import Machine, this_machine
from core.workspace.paths import PROJECT

MIB = 1 << 20
V2 = "30 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "32 31 0:29 {base} /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 {base} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
)
V1_LINES = "5:memory:{0}\n4:cpu,cpuacct:{0}\n0::/\n"
UNLIMITED = "9223372036854771712"


def tree(root: Path, membership: str, mounts: str, files: Mapping[str, str]) -> Path:
    """A machine's files below ``root``; those named lie in the folder of groups."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership, encoding="ascii")
    (root / "proc/self/mountinfo").write_text(mounts, encoding="ascii")
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="ascii")
    return root


CASES: dict[str, tuple[str, str, dict[str, str], float | None, int | None]] = {
    "docker, version 2": (
        *("0::/\n", V2, {"cpu.max": "200000 100000", "memory.max": str(512 * MIB)}),
        *(2.0, 512 * MIB),
    ),
    "no limit, version 2": ("0::/\n", V2, {"cpu.max": "max 100000", "memory.max": "max"}, None, None),
    "the machine's own root, which has no such files": ("0::/\n", V2, {}, None, None),
    "a group above has the smaller limit": (
        "0::/kubepods/pod1/main\n",
        V2,
        {
            "kubepods/cpu.max": "800000 100000",
            "kubepods/memory.max": "max",
            "kubepods/pod1/cpu.max": "150000 100000",
            "kubepods/pod1/memory.max": str(2048 * MIB),
            "kubepods/pod1/main/cpu.max": "max 100000",
            "kubepods/pod1/main/memory.max": str(4096 * MIB),
        },
        1.5,
        2048 * MIB,
    ),
    "above a limit that is not the last nobody gets on": (
        *("0::/\n", V2, {"memory.high": str(256 * MIB), "memory.max": str(512 * MIB)}),
        *(None, 256 * MIB),
    ),
    "docker, version 1: the group by its host's path, mounted as the top": (
        V1_LINES.format("/docker/abc"),
        V1.format(base="/docker/abc"),
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": str(256 * MIB),
        },
        0.5,
        256 * MIB,
    ),
    "no limit, version 1": (
        V1_LINES.format("/"),
        V1.format(base="/"),
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": UNLIMITED,
        },
        None,
        None,
    ),
    "a path that the container cannot see": (
        "0::/../../somewhere\n",
        V2,
        {"cpu.max": "300000 100000", "memory.max": str(MIB)},
        3.0,
        MIB,
    ),
    "version 1 for memory beside version 2 (systemd's mixture)": (
        "5:memory:/user\n0::/user\n",
        "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        {"memory/user/memory.limit_in_bytes": str(64 * MIB), "unified/user/cpu.max": "100000 100000"},
        1.0,
        64 * MIB,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_smallest_limit_counts(tmp_path: Path, case: str) -> None:
    membership, mounts, files, cores, memory = CASES[case]
    root = tree(tmp_path, membership, mounts, files)
    assert (cpu_limit(root), memory_limit(root)) == (cores, memory)


@pytest.mark.parametrize("text", ["", "nonsense\n", "0::/\n"])
def test_a_system_without_groups(tmp_path: Path, text: str) -> None:
    assert cpu_limit(tmp_path) is None and memory_used(tmp_path) is None
    root = tree(tmp_path / "broken", text, "nonsense\n", {})
    assert (cpu_limit(root), memory_limit(root)) == (None, None)


def test_what_is_used_is_the_groups_without_what_the_kernel_could_have_back(tmp_path: Path) -> None:
    stat = f"anon 1\ninactive_file {30 * MIB}\nactive_file 7"
    files = {"memory.max": str(512 * MIB), "memory.current": str(100 * MIB), "memory.stat": stat}
    assert memory_used(tree(tmp_path, "0::/\n", V2, files)) == 70 * MIB


KILLS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "docker, version 2": ("0::/\n", V2, {"memory.events": "low 0\noom 5\noom_kill 3\noom_group_kill 0"}, 3),
    "its own group, not the one above": (
        *("0::/user.slice/a b\n", V2),
        {"user.slice/a b/memory.events": "oom_kill 1", "memory.events": "oom_kill 9"},
        1,
    ),
    "its own does not count, the one above does": (
        *("0::/user.slice/a b\n", V2),
        {"user.slice/a b/cgroup.procs": "1", "user.slice/memory.events": "oom_kill 2"},
        2,
    ),
    "docker, version 1: mounted as the top": (
        *(V1_LINES.format("/docker/abc"), V1.format(base="/docker/abc")),
        {"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4"},
        4,
    ),
    "version 1, its path as the host writes it": (
        *(V1_LINES.format("/docker/abc"), V1.format(base="/")),
        {"memory/docker/abc/memory.oom_control": "oom_kill 6", "memory/memory.oom_control": "oom_kill 9"},
        6,
    ),
    "mounted at a place of its own": (
        "0::/a\n",
        "30 23 0:26 / /sys/fs/cgroup/elsewhere ro - cgroup2 cgroup2 rw\n",
        {"elsewhere/a/memory.events": "oom_kill 7", "memory.events": "oom_kill 9"},
        7,
    ),
    "no group counts: the whole machine": (
        *("0::/\n", V2),
        {"../../../proc/vmstat": "pgfault 8\noom_kill 5"},
        5,
    ),
    "nobody counts": ("0::/\n", V2, {}, 0),
}


@pytest.mark.parametrize("case", KILLS)
def test_where_the_kernel_counts_what_it_killed_for_memory(tmp_path: Path, case: str) -> None:
    membership, mounts, files, kills = KILLS[case]
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    assert oom_kills(tree(tmp_path, membership, mounts, files)) == kills


@pytest.fixture
def fresh() -> Iterator[None]:
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


@pytest.mark.parametrize(("limit", "cores"), [(None, 16), (2.0, 2), (2.9, 2), (0.5, 1), (99.0, 16)])
def test_cores_are_those_that_may_be_used(
    limit: float | None, cores: int, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_limit", lambda: limit)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(machine, "memory_limit", lambda: 1 << 30)
    found = this_machine()
    assert (found.cores, found.all_cores) == (cores, 0 if cores == 16 else 16)
    assert found.memory == 1 << 30 and found.all_memory == machine.psutil.virtual_memory().total


def test_the_doctor_says_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    here = Machine(2, 8 << 30, False, (), all_cores=16, all_memory=64 << 30)
    assert "2 of 16 CPU cores (container)" in doctor._gpu(here).text
    assert "8.6 GB of 68.7 GB of memory (container)" in doctor._memory(here).text


# --- a real process in real groups ---

LIMITED = {
    "memory": {"memory.limit_in_bytes": str(700 * MIB), "memory.max": str(700 * MIB)},
    "cpu": {"cpu.cfs_quota_us": "100000", "cpu.max": "100000 100000"},
}
SAYS = """
import json
from core.machine import meters, this_machine
print(json.dumps([this_machine().cores, this_machine().memory, meters().memory]))
"""


@pytest.fixture
def limited() -> Iterator[list[Path]]:
    """Groups of this machine's own with limits, made by root."""
    made = []
    for controller, files in LIMITED.items():
        top = Path("/sys/fs/cgroup") / controller
        folder = (top if top.is_dir() else top.parent) / f"tuneboard-{os.getpid()}"
        try:
            folder.mkdir(exist_ok=True)
            written = [name for name in files if (folder / name).exists()]
            for name in written:
                (folder / name).write_text(files[name], encoding="ascii")
        except OSError as error:
            pytest.skip(f"no group can be made here: {error}")
        made.append(folder)
        if not written:
            folder.rmdir()
            pytest.skip(f"this machine does not limit {controller}")
    yield made
    for folder in set(made):
        folder.rmdir()


def test_a_real_process_in_a_real_group(limited: list[Path]) -> None:
    join = "".join(f"echo $$ > '{folder}/cgroup.procs'; " for folder in dict.fromkeys(limited))
    command = ["sh", "-c", f'set -e; {join}exec "$@"', "sh", sys.executable, "-c", SAYS]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    cores, memory, used = json.loads(said.stdout)
    assert (cores, memory) == (1, 700 * MIB) and 0 < used < memory
