"""scripts/setup with pip and uv that only write down what they are asked: which build goes where."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.workspace.paths import PROJECT

# Stands for Python, its venv's Python with pip, and uv; FAKE_TORCH is what pip answers when asked for torch.
FAKE = r"""#!/bin/sh
echo "$(basename "$0") $*" >> "$FAKE_LOG"
bin=$(dirname "$0")
case "$*" in
    -c*) exit 0 ;;
    "-m venv "*) mkdir -p "$3/bin" "$3/lib/python3.11/site-packages" && cp "$0" "$3/bin/python" ;;
    *" uv=="*) cp "$0" "$bin/uv" ;;
    *torch==*)
        case ${FAKE_TORCH:-found} in
            found) mkdir -p "$bin/../lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info" ;;
            absent) echo "ERROR: No matching distribution found for torch" >&2; exit 1 ;;
            full) echo "ERROR: [Errno 28] No space left on device" >&2; exit 1 ;;
        esac ;;
    "pip sync"*)
        [ -z "${FAKE_SYNC:-}" ] || exit 1
        for last in "$@"; do :; done
        cp "$last" "$FAKE_LOG.pins" ;;
    *) ;;
esac
"""


@dataclass(frozen=True)
class Place:
    """A copy of what scripts/setup reads, and the folder whose programs stand before all others."""

    root: Path

    @property
    def mark(self) -> str:
        return (self.root / ".venv/tuneboard-requirements").read_text(encoding="utf-8").rsplit(" ", 2)[0]

    @property
    def pins(self) -> str:
        return (self.root / "log.pins").read_text(encoding="utf-8")

    def asked(self) -> list[str]:
        """What was asked of pip and uv since the last look."""
        log = self.root / "log"
        found = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in found if not line.split(" ", 1)[1].startswith("-c")]

    def put_driver(self) -> None:
        (self.root / "bin/nvidia-smi").touch(0o755)

    def setup(self, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.root / 'bin'}:/usr/bin:/bin"
        env = {"PATH": path, "TUNEBOARD_PYTHON": "fakepython", "FAKE_LOG": str(self.root / "log"), **more}
        command = [str(self.root / "scripts/setup"), *options]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    if shutil.which("nvidia-smi", path="/usr/bin:/bin") or Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    root = tmp_path / "the project"
    (root / "scripts").mkdir(parents=True)
    (root / "bin").mkdir()
    shutil.copy(PROJECT / "scripts/setup", root / "scripts")
    for file in PROJECT.glob("requirements*.txt"):
        shutil.copy(file, root)
    fake = root / "bin/fakepython"
    fake.write_text(FAKE, encoding="utf-8")
    fake.chmod(0o755)
    return Place(root)


def test_without_a_driver_it_is_the_cpu_build(place: Place) -> None:
    done = place.setup()
    assert (done.returncode, place.mark) == (0, "run cpu") and "2.3 GB" in done.stderr
    assert "torch==2.13.0+cpu" in place.pins and "nvidia-cublas" not in place.pins
    assert not any(line.startswith("--") for line in place.pins.splitlines())
    place.asked()
    assert place.setup().returncode == 0 and place.asked() == []


def test_with_a_driver_it_is_the_cuda_build(place: Place) -> None:
    place.put_driver()
    done = place.setup("--dev")
    assert (done.returncode, place.mark) == (0, "dev gpu") and "6 GB" in done.stderr
    assert re.search(r"^torch==[\d.]+ ;", place.pins, re.MULTILINE) and "pytest==" in place.pins


@pytest.mark.parametrize("again", [(), ("--reinstall",), ("--dev",)])
def test_what_was_asked_for_stays(place: Place, again: tuple[str, ...]) -> None:
    place.put_driver()
    place.setup("--cpu")
    place.setup(*again)
    assert place.mark.endswith(" cpu")


def test_the_cpu_build_makes_room_for_the_cuda_build(place: Place) -> None:
    """A resolver takes 2.13.0+cpu for 2.13.0, and would leave it."""
    place.setup()
    place.asked()
    assert place.setup("--gpu").returncode == 0
    assert place.mark == "run gpu"
    verbs = [line.split()[2] for line in place.asked() if line.startswith("uv ")]
    assert verbs == ["uninstall", "sync"]


def test_where_no_source_has_it_the_large_one_comes_and_it_says_so(place: Place) -> None:
    done = place.setup(FAKE_TORCH="absent")
    assert done.returncode == 0 and place.mark == "run cpu"
    assert "nvidia-cublas" in place.pins and "scripts/setup --reinstall --cpu" in done.stderr
    tries = [line for line in place.asked() if "torch==" in line]
    assert ["--find-links" in line for line in tries] == [False, True]
    assert place.setup(FAKE_TORCH="absent").returncode == 0 and place.asked() == []


def test_a_full_disk_is_no_reason_to_take_three_times_as_much(place: Place) -> None:
    done = place.setup(FAKE_TORCH="full")
    assert done.returncode == 1 and "No space left" in done.stderr
    assert not any("sync" in line for line in place.asked())


def test_broken_off_it_goes_on_with_what_was_asked(place: Place) -> None:
    place.put_driver()
    assert place.setup("--cpu", FAKE_SYNC="fails").returncode == 1
    assert place.mark == "unfinished cpu"
    assert place.setup().returncode == 0 and place.mark == "run cpu"


def pins(name: str) -> dict[str, str]:
    """Every line's package, with the rest of it."""
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    matches = (re.match(r"([\w.-]+)==(.+)", line) for line in lines)
    return {f"{found[1]} {found[2].partition(' ; ')[2]}": found[2] for found in matches if found}


def test_both_builds_are_one_set() -> None:
    gpu, cpu = pins("requirements.txt"), pins("requirements-cpu.txt")
    left_out = {name.split()[0] for name in gpu.keys() - cpu.keys()}
    assert all(name.startswith(("nvidia-", "cuda-", "triton")) for name in left_out) and len(left_out) > 15
    assert cpu.keys() <= gpu.keys()
    differing = {name.split()[0] for name in cpu if cpu[name] != gpu[name]}
    assert differing == {"torch"}
    (torch,) = (name for name in cpu if name.startswith("torch "))
    assert cpu[torch].split()[0] == gpu[torch].split()[0] + "+cpu"


def test_the_tests_packages_are_those_of_the_run() -> None:
    run, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert all(dev[name] == run[name] for name in dev.keys() & run.keys())


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-cpu.txt", "requirements-dev.txt"])
def test_both_kinds_of_linux_are_locked(file: str) -> None:
    assert all("'aarch64'" in rest and "'x86_64'" in rest for rest in pins(file).values())
