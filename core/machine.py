"""What this machine has: cores, memory, processor features and GPUs, asked without loading torch."""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pynvml


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU; memory in bytes."""

    index: int
    name: str
    memory: int
    free: int


@dataclass(frozen=True)
class Machine:
    """Memory in bytes. ``bf16`` says whether the processor multiplies bfloat16 in hardware."""

    cores: int
    memory: int
    bf16: bool
    gpus: tuple[Gpu, ...]

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"


@cache
def this_machine() -> Machine:
    """Look once a process: none of this changes while a command runs, except free GPU memory."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory=psutil.virtual_memory().total,
        bf16=_processor_has_bf16(),
        gpus=gpus(),
    )


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use (``CUDA_VISIBLE_DEVICES`` respected); none without a driver."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return ()
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            return tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))
        finally:
            pynvml.nvmlShutdown()
    return ()


@dataclass(frozen=True)
class Meters:
    """What is in use now: shares from 0 to 1, memory in bytes; ``gpus`` is (share, memory) by index."""

    cpu: float
    memory: int
    gpus: tuple[tuple[float, int], ...]


def meters() -> Meters:
    """Look at the machine's load; the processor's is the mean since the last look of this process."""
    return Meters(psutil.cpu_percent() / 100, psutil.virtual_memory().used, _gpu_loads())


def _gpu_loads() -> tuple[tuple[float, int], ...]:
    if not this_machine().gpus:
        return ()
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(gpu.index) for gpu in this_machine().gpus]
            return tuple(
                (
                    pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
                    int(pynvml.nvmlDeviceGetMemoryInfo(handle).used),
                )
                for handle in handles
            )
        finally:
            pynvml.nvmlShutdown()
    return ()


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(index, str(pynvml.nvmlDeviceGetName(handle)), int(memory.total), int(memory.free))


def _processor_has_bf16() -> bool:
    with suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False
