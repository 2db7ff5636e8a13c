"""A growing curve that several sessions look at: read once, made small once, given to all."""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.jobs.curves import Columns, CurveReader, Floats, not_numbers
from core.jobs.downsample import Trace, shown, smoothed
from core.jobs.samples import Sample

# The curves of a training, in the order of their charts; ``memory`` is absent on a processor, and what comes
# after it without the fast path or XTuner's ThroughputHook.
CURVES = ("loss", "learned", "lr", "grad_norm", "time", "memory", "tokens_per_second", "padding", "tflops")
# A first look at a long log takes seconds; a page waits this long for it and then says that it is read.
PATIENCE = 0.25
NOT_VALIDATED = (np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Snapshot:
    """A curve at one moment: the last ``iteration`` logged, the run's length in ``total``.

    ``points`` counts what was logged; ``traces`` and ``smooth`` are what is shown of it.
    """

    points: int
    iteration: int
    total: int | None
    last: Mapping[str, float]
    traces: Mapping[str, Trace]
    smooth: Trace
    samples: tuple[Sample, ...]
    not_numbers: tuple[int, int] | None = None  # how many losses are none, and at which iteration they begin
    validation: tuple[Floats, Floats] = NOT_VALIDATED  # at which iterations, and the losses there

    @property
    def share(self) -> float:
        """How far the training is, from 0 to 1; 0 when its length is not known."""
        return min(1.0, self.iteration / self.total) if self.total else 0.0


class LiveCurve:
    """The curve of a work_dir for any number of threads."""

    def __init__(self, work_dir: Path) -> None:
        self._reader = CurveReader(work_dir)
        self._lock, self._beginning = threading.Lock(), threading.Lock()
        self._read_once = threading.Event()
        self._latest: Snapshot | None = None
        self._begun = False

    def snapshot(self) -> Snapshot | None:
        """The curve as it stands now; None while a long log is read for the first time. After that what one
        look could not read in time is read by the next."""
        if self._read_once.is_set():
            if self._lock.acquire(timeout=PATIENCE):  # else another session is at it
                try:
                    self._look(PATIENCE)
                finally:
                    self._lock.release()
            return self._latest
        with self._beginning:
            begin, self._begun = not self._begun, True
        if begin:
            threading.Thread(target=self._first_look, daemon=True, name="read a curve").start()
        self._read_once.wait(PATIENCE)
        return self._latest

    def _first_look(self) -> None:
        try:
            with self._lock:
                self._look(math.inf)
        finally:
            self._read_once.set()

    def _look(self, seconds: float) -> None:
        changed = self._reader.poll(seconds)
        samples = self._reader.samples
        if changed or self._latest is None or tuple(samples) != self._latest.samples:
            self._latest = _snapshot(self._reader, samples)


def _snapshot(reader: CurveReader, samples: list[Sample]) -> Snapshot:
    columns = reader.columns()
    iterations = columns["iter"]
    drawn = [name for name in CURVES if _any(columns, name)]
    return Snapshot(
        points=len(iterations),
        iteration=int(iterations[-1]) if len(iterations) else 0,
        total=reader.total_iters,
        last={name: float(columns[name][-1]) for name in drawn},
        traces={name: shown(iterations, columns[name]) for name in drawn},
        smooth=smoothed(iterations, columns["loss"]),
        samples=tuple(samples),
        not_numbers=not_numbers(columns),
        validation=reader.validation,
    )


def _any(columns: Columns, name: str) -> bool:
    """Whether there is a number to draw; the end is looked at first, where there almost always is one."""
    values = columns[name]
    return bool(len(values)) and bool(np.isfinite(values[-1]) or np.isfinite(values).any())
