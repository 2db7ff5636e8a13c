"""What this machine has: cores, memory, processor features and GPUs, asked without loading torch."""

import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil
import pynvml

from core.container import cpu_limit, memory_limit, memory_used

# The processor's load is looked at no oftener than once in FRESH_SECONDS; a mean over more than STALE_SECONDS
# says nothing about now, and is taken anew over LOOK_SECONDS.
FRESH_SECONDS, STALE_SECONDS, LOOK_SECONDS = 1.0, 30.0, 0.1
# What other programs take now is a mean over so many seconds: long enough that a page being drawn is none;
# over fewer than the least nothing is said.
NEIGHBOURS_SECONDS, LEAST_SECONDS = 10.0, 2.0
# So long a job that has given its devices back may still be ending, in seconds.
ENDING_SECONDS = 1.0
# Of a machine nobody gets less, for long.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU; memory in bytes."""

    index: int
    name: str
    memory: int
    free: int


@dataclass(frozen=True)
class Machine:
    """Memory in bytes. ``bf16`` says whether the processor trains faster in bfloat16 than in float32,
    ``avx512`` whether it has AVX-512.

    ``cores`` and ``memory`` are what this process may use; ``all_cores`` and ``all_memory`` what the machine
    has where that is more (a container's limits, a cluster's share), else 0.
    """

    cores: int
    memory: int
    bf16: bool
    gpus: tuple[Gpu, ...]
    all_cores: int = 0
    all_memory: int = 0
    avx512: bool = False

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        return "cuda" if self.gpus else "cpu"

    def device_for(self, asked: str) -> str:
        """What a recipe's ``device`` means here."""
        return self.device if asked == "auto" else asked


@cache
def this_machine() -> Machine:
    """Look once a process: none of this changes while a command runs, except free GPU memory."""
    cores, all_cores = usable_cores(), os.cpu_count() or 1
    all_memory = psutil.virtual_memory().total
    memory = min(memory_limit() or all_memory, all_memory)
    flags = _processor_flags()
    return Machine(
        cores=cores,
        memory=memory,
        bf16=_is_faster_in_bf16(flags),
        avx512="avx512f" in flags,
        gpus=gpus(),
        all_cores=all_cores if all_cores > cores else 0,
        all_memory=all_memory if all_memory > memory else 0,
    )


def usable_cores() -> int:
    """As many threads as this process may run at once: of a share of a core no thread is made, for one that
    has to wait for its turn holds up all the others."""
    return max(1, int(min(cpu_limit() or float("inf"), len(os.sched_getaffinity(0)))))


def has_cpu_build() -> bool:
    """Whether the torch that is installed was built without CUDA (``scripts/setup --cpu``)."""
    with suppress(PackageNotFoundError):
        return version("torch").endswith("+cpu")
    return False


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process can train on: :func:`cards`, but none with torch's CPU build."""
    return () if has_cpu_build() else cards()


def cards() -> tuple[Gpu, ...]:
    """The GPUs that the driver shows this process, in the order of ``CUDA_VISIBLE_DEVICES``."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in {"", "-1"}:
        return ()
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            count = int(pynvml.nvmlDeviceGetCount())
            return tuple(_gpu(index) for index in _visible(visible, count))
        finally:
            pynvml.nvmlShutdown()
    return ()


@dataclass(frozen=True)
class Meters:
    """What is in use now: shares from 0 to 1, memory in bytes; ``gpus`` is (share, memory) by index."""

    cpu: float
    memory: int
    gpus: tuple[tuple[float, int], ...]


class Processor:
    """The processor's load, the same to everybody who asks within a second, in whatever thread.

    psutil's own cpu_percent (7.2) gives each thread the mean since that thread's last look: a page whose
    session got a new thread would be told 0 %.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._times = (0.0, 0.0)
        self._share = 0.0

    def share(self) -> float:
        """From 0 to 1. A first look, or one after a long time, takes a tenth of a second."""
        with self._lock:
            since = self.now() - self._looked
            if since >= FRESH_SECONDS:
                if since >= STALE_SECONDS:
                    self._times = _processor_times()
                    time.sleep(LOOK_SECONDS)
                busy, whole = _processor_times()
                if whole > self._times[1]:
                    self._share = (busy - self._times[0]) / (whole - self._times[1])
                self._times = busy, whole
                self._looked = self.now()
            return self._share


def _processor_times() -> tuple[float, float]:
    """Seconds that all cores were busy, and that there were; what a guest had is in the host's already."""
    found = psutil.cpu_times()._asdict()
    whole = sum(found.values()) - found.get("guest", 0.0) - found.get("guest_nice", 0.0)
    return whole - found["idle"] - found.get("iowait", 0.0), whole


@dataclass(frozen=True)
class Look:
    """At one time, in seconds: ``at`` on a clock, what the cores that this process may use were ``busy`` so
    far, and what of that was its ``own``: with that of the processes which it has started (they load rows, or
    compile) and of those which started it (one of them may still import what the next tool needs). What gives
    way to everybody (nice) is left out."""

    at: float
    busy: float
    own: float


def _look() -> Look:
    here, every = os.sched_getaffinity(0), list[Any]()
    with suppress(OSError):  # a machine that does not say is taken for idle: no tool ends by that
        every = psutil.cpu_times(percpu=True)
    found = [core._asdict() for number, core in enumerate(every) if number in here]
    apart = ("idle", "iowait", "nice", "guest", "guest_nice")
    busy = sum(seconds for core in found for name, seconds in core.items() if name not in apart)
    return Look(time.monotonic(), busy, _own())


def _own() -> float:
    """Seconds that this process, those above it and those below it have computed, ended ones among them."""
    found = time.process_time() + sum(os.times()[2:4])
    with suppress(psutil.Error):
        here = psutil.Process()
        for process in here.parents():
            with suppress(psutil.Error):  # it has just ended, or belongs to somebody else
                found += sum(process.cpu_times()[:2])
        for process in here.children(recursive=True):
            with suppress(psutil.Error):
                found += sum(process.cpu_times()[:4])
    return found


class OtherWork:
    """How many of the cores that this process may use other programs keep from it: a mean over ``seconds``,
    or since this was made; before the first so many seconds have passed, over those that have."""

    def __init__(self, seconds: float = 0.0, look: Callable[[], Look] = _look) -> None:
        self.seconds, self._look = seconds, look
        self._before = look()
        self._cores, self._whole = 0.0, False

    @property
    def passed(self) -> float:
        """Seconds since it was made, or since what it says last was looked at."""
        return time.monotonic() - self._before.at

    @property
    def whole(self) -> bool:
        """Whether so many seconds have passed once."""
        return self._whole

    def cores(self) -> float:
        """From 0 to the number of cores."""
        if self.passed < (self.seconds if self._whole else LOOK_SECONDS):
            return self._cores
        now = self._look()
        passed = now.at - self._before.at
        if passed > 0 and (passed >= self.seconds or not self._whole):
            others = (now.busy - self._before.busy) - max(0.0, now.own - self._before.own)
            self._cores = kept_from_here(others / passed)
            if self.seconds and passed >= self.seconds:
                self._before, self._whole = now, True
        return self._cores


def kept_from_here(others: float) -> float:
    """Of a machine of which this process may use a part, others may use the rest."""
    spare = len(os.sched_getaffinity(0)) - usable_cores()
    return min(float(usable_cores()), max(0.0, others - spare))


def free_threads(kept: float, cores: int = 0) -> int:
    """How many threads run at once where other programs keep so many of this process's cores (or of so many
    ``cores``): one that has to wait for its turn holds up all the others. A part of a core that is taken does
    not count: a page being drawn is over in a moment, and a thread too few would be missed to the end."""
    return max(1, math.ceil((cores or usable_cores()) - kept))


def slowdown(kept: float, computing: bool = False) -> float:
    """How many times as long something computes beside other programs that keep so many cores as on a machine
    left alone; ``computing``: they keep them from this process while it takes all that it gets. A GPU's work
    is not slowed."""
    return 1.0 if this_machine().gpus else slowdown_on(usable_cores(), kept, computing)


def slowdown_on(cores: int, kept: float, computing: bool = False) -> float:
    """The same on a processor with so many cores.

    Who computes gets what others leave. Beforehand nobody knows how many threads want the cores that are
    taken: at least as many as there are such cores. With as many as :func:`free_threads` says beside them,
    each is given as much where there are more than cores; in a crowd, and where threads share a cache, it
    turns out to be less.
    """
    if computing:
        return cores / max(cores - kept, LEAST_SHARE * cores)
    threads = free_threads(kept, cores)
    return max(1.0, cores / threads * max(1.0, (threads + kept) / cores))


def still_slower(before: float, kept: float) -> float:
    """How many times as long everything still takes where it was so many times a moment ago, when something
    computed: as much, as far as others still keep the cores."""
    return min(before, slowdown(kept, computing=True))


class Neighbours:
    """How many cores other programs keep from this process now, to everybody who asks, in whatever thread: a
    mean over some seconds, so that it does not change while one page is drawn, and tells a browser that opens
    it from a program that stays."""

    def __init__(self, work: Callable[[], OtherWork] = lambda: OtherWork(NEIGHBOURS_SECONDS)) -> None:
        self._make = work
        self._work: OtherWork | None = None
        self._lock = threading.Lock()

    def cores(self, ours: float = 0.0) -> float:
        """From 0 to the number of cores; 0 until it has looked for some seconds, which it does anew after a
        long time, and after ``ours``: when a job of the workspace computed last, in seconds since the epoch.
        Nobody can tell its load from that of others once it has ended."""
        with self._lock:
            work = self._work
            since = time.time() - ours - ENDING_SECONDS
            if work is None or work.passed > min(STALE_SECONDS, max(0.0, since)):
                self._work = work = self._make()
            return work.cores() if work.whole or work.passed >= LEAST_SECONDS else 0.0


PROCESSOR = Processor()
NEIGHBOURS = Neighbours()


def meters() -> Meters:
    """Look at the machine's load."""
    used = memory_used()
    return Meters(PROCESSOR.share(), psutil.virtual_memory().used if used is None else used, _gpu_loads())


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


@dataclass(frozen=True)
class GpuUse:
    """What one process holds of one GPU, in bytes, as the driver counts it."""

    gpu: int
    pid: int
    memory: int


def gpu_users() -> tuple[GpuUse, ...]:
    """Who computes on this machine's GPUs; none where the driver does not say."""
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            return tuple(use for gpu in this_machine().gpus for use in _users_of(gpu.index))
        finally:
            pynvml.nvmlShutdown()
    return ()


def _users_of(index: int) -> Iterator[GpuUse]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
        # None in a container, and with some drivers.
        yield GpuUse(index, int(process.pid), int(process.usedGpuMemory or 0))


def _visible(named: str | None, count: int) -> Iterator[int]:
    """Indices in the order named; as CUDA reads it, the first entry that names no GPU ends the list."""
    if named is None:
        yield from range(count)
        return
    for entry in map(str.strip, named.split(",")):
        index = int(entry) if entry.isdecimal() else _by_uuid(entry, count)
        if index is None or index >= count:
            return
        yield index


def _by_uuid(entry: str, count: int) -> int | None:
    """The GPU whose UUID begins with ``entry``, or which a MIG slice of that name is a part of."""
    if entry.startswith("MIG-"):
        slice_ = pynvml.nvmlDeviceGetHandleByUUID(entry)
        return int(pynvml.nvmlDeviceGetIndex(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice_)))
    if not entry.startswith("GPU-"):
        return None
    uuids = (str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(i))) for i in range(count))
    return next((index for index, uuid in enumerate(uuids) if uuid.startswith(entry)), None)


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(index, str(pynvml.nvmlDeviceGetName(handle)), int(memory.total), int(memory.free))


def _processor_flags() -> frozenset[str]:
    """What the processor can do, by the kernel's names, and who made it."""
    with suppress(OSError):
        return frozenset(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    return frozenset()


def _is_faster_in_bf16(flags: Collection[str]) -> bool:
    """With AMX. Intel's AVX-512 alone multiplies it too, a training's shapes at 0.54 to 0.65 of float32's
    speed; AMD's was not measured (scripts/bench cpu)."""
    return "amx_bf16" in flags or ("avx512_bf16" in flags and "AuthenticAMD" in flags)
