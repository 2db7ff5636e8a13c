"""Loss curves from what XTuner writes while it trains.

The numbers are in ``<work_dir>/<time>/vis_data/scalars.json``, one JSON object a line, and again, rounded, in
``<work_dir>/<time>/<time>.log``. Resuming opens a new time folder: a curve is all of them in order, and from
where a later run begins the earlier one's rest is an abandoned branch. An old or foreign run may have only
one of the two files; one such folder, or one such file, by itself is a work_dir too.

A folder's name is local time, which goes back an hour once a year, and further where a clock is set: of two
starts the one that goes on from the other is the later one, whatever they are called.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from core.jobs.points import (
    VALUES,
    Point,
    other_names,
    parse_log_line,
    parse_scalars_line,
    parse_validation_line,
)
from core.jobs.samples import Sample, SampleReader
from core.jobs.tail import LogTail

FIELDS = ("iter", *VALUES)
Floats: TypeAlias = npt.NDArray[np.float64]
Columns: TypeAlias = dict[str, Floats]

_EPOCH_SAVED = re.compile(r"Saving checkpoint at (\d+) epochs")
_TIME_FOLDER = re.compile(r"\d{8}_\d{6}")


@dataclass(frozen=True)
class Curve:
    """A whole run's points, ordered by iteration, each once; ``total_iters`` as far as the log says."""

    points: tuple[Point, ...]
    total_iters: int | None


def read_curve(work_dir: Path) -> Curve:
    """The curve of a work_dir as it stands now; empty when there is none."""
    reader = CurveReader(work_dir)
    reader.poll()
    rows = zip(*(reader.columns()[field].tolist() for field in FIELDS), strict=True)
    return Curve(tuple(_point(row, reader.total_iters) for row in rows), reader.total_iters)


class CurveReader:
    """The curve of a work_dir as it grows. ``poll`` reads only what was added since the last call.

    A point takes 80 bytes; a million points 80 MB.
    """

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = work_dir
        self._folders: dict[str, _TimeFolder] = {}
        self._columns: Columns | None = None

    def poll(self, seconds: float = math.inf) -> bool:
        """Read what is new; whether the points changed. A start whose folder is gone counts no more.

        After ``seconds`` it ends in the middle, and is ``behind``: the next one goes on there.
        """
        until = time.monotonic() + seconds
        gone = [name for name, folder in self._folders.items() if not folder.path.exists()]
        for name in gone:
            del self._folders[name]
        for folder in _starts(self.work_dir):
            if folder.name not in self._folders:
                self._folders[folder.name] = _TimeFolder(folder)
        changed = [folder.poll(until) for folder in self._in_order()]
        if gone or any(changed):
            self._columns = None
        return bool(gone) or any(changed)

    @property
    def behind(self) -> bool:
        """Whether the last look ended before the files did."""
        return any(folder.behind for folder in self._folders.values())

    def columns(self) -> Columns:
        """Arrays of equal length by :data:`FIELDS`, ordered by iteration, each iteration once. NaN where a
        line had no such number; units as in :class:`~core.jobs.points.Point`."""
        if self._columns is None:
            table = _joined([folder.best for folder in self._in_order()])
            self._columns = dict(zip(FIELDS, table, strict=True))
        return self._columns

    @property
    def validation(self) -> tuple[Floats, Floats]:
        """The iterations at which the run was validated, and its losses there; empty for most runs.

        What an earlier start measured beyond a later one's beginning is of weights that are gone.
        """
        kept: list[tuple[int, float]] = []
        begin = math.inf
        for folder in reversed(self._in_order()):
            kept[:0] = [found for found in folder.validation if found[0] < begin]
            begin = min([begin, *folder.best[0][:1]])
        iterations, losses = np.array(kept, np.float64).reshape(-1, 2).T
        return iterations, losses

    @property
    def not_drawn(self) -> list[str]:
        """The names of the numbers in the logs that are no column here."""
        return list(dict.fromkeys(name for folder in self._in_order() for name in folder.not_drawn))

    @property
    def total_iters(self) -> int | None:
        """The run's length that the newest log names."""
        return next((f.total_iters for f in reversed(self._in_order()) if f.total_iters), None)

    @property
    def samples(self) -> list[Sample]:
        """The evaluation's questions and answers, oldest first; a resumed run answers again."""
        return [sample for folder in self._in_order() for sample in folder.samples.samples]

    def _in_order(self) -> list["_TimeFolder"]:
        waiting, placed = [folder for _, folder in sorted(self._folders.items())], list[_TimeFolder]()
        while waiting:
            ready = (one for one in waiting if _may_come_next(one, waiting, placed))
            following = next(ready, waiting[0])
            waiting.remove(following)
            placed.append(following)
        return placed


class _Table:
    """A column for each of :data:`FIELDS`, ordered by iteration, that grow without being copied each time.

    Each column is contiguous: reading one of a million points out of rows would take 20 ms.
    """

    def __init__(self) -> None:
        self._columns: Floats = np.empty((len(FIELDS), 1024))
        self._length = 0

    def add(self, points: Sequence[Point]) -> None:
        if not points:
            return
        new = np.array([_row(point) for point in points]).T
        # One file may hold several starts, as a terminal's output does: each begins where it goes back.
        for part in np.split(new, np.flatnonzero(np.diff(new[0]) <= 0) + 1, axis=1):
            self._append(part)

    def _append(self, new: Floats) -> None:
        # A file that was replaced is read from its start again.
        self._length = int(np.searchsorted(self.columns[0], new[0, 0]))
        while self._length + new.shape[1] > self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.empty_like(self._columns)], axis=1)
        self._columns[:, self._length : self._length + new.shape[1]] = new
        self._length += new.shape[1]

    @property
    def length(self) -> int:
        return self._length

    @property
    def columns(self) -> Floats:
        return self._columns[:, : self._length]


class _TimeFolder:
    """One start of XTuner: its two files, read on as they grow."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        scalars, log = _files(folder)
        self._scalars, self._log = LogTail(scalars), LogTail(log)
        self._from_scalars, self._from_log = _Table(), _Table()
        self._validated_in_scalars, self._validated_in_log = _Validations(), _Validations()
        self.samples = SampleReader()
        self.not_drawn: dict[str, None] = {}
        self.total_iters: int | None = None
        self.behind = False

    def poll(self, until: float = math.inf) -> bool:
        before = self._from_scalars.length, self._from_log.length
        self.behind = not (
            self._fed(self._scalars, self._read_scalars, until)
            and self._fed(self._log, self._read_log, until)
        )
        return before != (self._from_scalars.length, self._from_log.length)

    @staticmethod
    def _fed(tail: LogTail, read: Callable[[list[str]], None], until: float) -> bool:
        """Whether the file was read to its end in time; at least a block of it is read."""
        for lines in tail.blocks():
            read(lines)
            if time.monotonic() > until:
                return False
        return True

    def _read_scalars(self, lines: list[str]) -> None:
        self._name_others(lines)
        self._from_scalars.add(_parsed(lines, parse_scalars_line))
        self._validated_in_scalars.feed(lines, parse_scalars_line)

    @property
    def best(self) -> Floats:
        """scalars.json has every digit; the log stands in where it knows more points."""
        scalars, log = self._from_scalars, self._from_log
        return scalars.columns if scalars.length >= log.length else log.columns

    @property
    def validation(self) -> list[tuple[int, float]]:
        """Of the same file as the points where both tell: a log's numbers are rounded."""
        return max(self._validated_in_scalars.found, self._validated_in_log.found, key=len)

    def goes_on_from(self, other: "_TimeFolder") -> bool:
        """Whether the other start came as far as where this one begins, which is not the beginning."""
        mine, before = self.best[0], other.best[0]
        if not len(mine) or not len(before):
            return False
        begins, ended = float(mine[0]), float(before[-1])
        return max(_spacing(mine), float(before[0])) < begins <= ended + _spacing(mine, before)

    def _name_others(self, lines: list[str]) -> None:
        """By a block's last point: every line of a run has the same names."""
        self.not_drawn |= dict.fromkeys(next(filter(None, map(other_names, reversed(lines[-50:]))), []))

    def _read_log(self, lines: list[str]) -> None:
        self._name_others(lines)
        self.samples.feed(lines)
        points = _parsed(lines, parse_log_line)
        self._validated_in_log.feed(lines, parse_log_line)
        self._from_log.add(points)
        if points:
            self.total_iters = points[-1].total_iters or self.total_iters


def _spacing(*starts: Floats) -> float:
    """The most iterations between the first two points of these starts."""
    return max((float(one[1] - one[0]) for one in starts if len(one) > 1), default=0.0)


class _Validations:
    """A file's validations, each at the training's iteration before it, whatever its own line counts."""

    def __init__(self) -> None:
        self.found: list[tuple[int, float]] = []
        self._iteration = 0

    def feed(self, lines: Iterable[str], parse: Callable[[str], Point | None]) -> None:
        lines = list(lines)
        if not any("val_loss" in line for line in lines):
            self._iteration = _last_iteration(lines, parse) or self._iteration
            return
        for line in lines:
            if found := parse_validation_line(line):
                self.found.append((max(found[0], self._iteration), found[1]))
            elif point := parse(line):
                self._iteration = point.iter


def _last_iteration(lines: list[str], parse: Callable[[str], Point | None]) -> int:
    return next((point.iter for line in reversed(lines) if (point := parse(line))), 0)


def _may_come_next(start: _TimeFolder, waiting: Sequence[_TimeFolder], placed: Sequence[_TimeFolder]) -> bool:
    """Whether what a start goes on from is there already, or nowhere."""
    return not any(map(start.goes_on_from, waiting)) or any(map(start.goes_on_from, placed))


def _parsed(lines: Iterable[str], parse: Callable[[str], Point | None]) -> list[Point]:
    return [point for line in lines if (point := parse(line)) is not None]


def _joined(tables: Sequence[Floats]) -> Floats:
    """The tables of successive starts as one: each ends where a later one begins. One alone is not copied."""
    kept: list[Floats] = []
    begin = math.inf
    for table in reversed(tables):
        iterations = table[0]
        kept.append(table[:, : int(np.searchsorted(iterations, begin))])
        begin = min([begin, *iterations[:1]])
    if len(kept) == 1:
        return kept[0]
    return np.concatenate([np.empty((len(FIELDS), 0)), *reversed(kept)], axis=1)


def _row(point: Point) -> tuple[float, ...]:
    values = (getattr(point, name) for name in VALUES)
    return (float(point.iter), *(math.nan if value is None else value for value in values))


def _point(row: tuple[float, ...], total_iters: int | None) -> Point:
    """A table has NaN for a missing number too; the loss is never missing, and NaN where it was that."""
    iteration, loss, *others = row
    values = {n: None if math.isnan(v) else v for n, v in zip(VALUES[1:], others, strict=True)}
    return Point(int(iteration), loss, **values, total_iters=total_iters)


def not_numbers(columns: Columns) -> tuple[int, int] | None:
    """How many losses are NaN or infinite, and the iteration of the first; None where every one is a number.

    An infinite gradient is no such sign: half precision has one whenever its loss scale is lowered.
    """
    places = np.flatnonzero(~np.isfinite(columns["loss"]))
    return (len(places), int(columns["iter"][places[0]])) if len(places) else None


def epoch_ends(work_dir: Path) -> dict[int, int]:
    """The last logged iteration before each epoch's checkpoint was written, as far as the logs tell."""
    found: dict[int, int] = {}
    for folder in sorted(_starts(work_dir)):
        iteration = 0
        for line in chain.from_iterable(LogTail(_files(folder)[1]).blocks()):
            if point := parse_log_line(line):
                iteration = point.iter
            elif iteration and (match := _EPOCH_SAVED.search(line)):
                found[int(match[1])] = iteration
    return found


def time_folders(work_dir: Path) -> list[Path]:
    """What each start of XTuner logged into its work_dir, a folder each, named after its time."""
    if not work_dir.is_dir():
        return []
    return [path for path in work_dir.iterdir() if _TIME_FOLDER.fullmatch(path.name) and path.is_dir()]


def _starts(work_dir: Path) -> list[Path]:
    """The time folders of a work_dir; the folder, or the file, that somebody kept alone."""
    if work_dir.is_file():
        return [work_dir]
    found = time_folders(work_dir)
    alone = not found and any(file.is_file() for file in _files(work_dir))
    return [work_dir] if alone else found


def _files(folder: Path) -> tuple[Path, Path]:
    """The numbers and the log of one start, also where they were moved together or the folder renamed.

    A file by itself is read as both: no line of one is a line of the other.
    """
    if folder.is_file():
        return folder, folder
    numbers = [folder / "vis_data" / "scalars.json", folder / "scalars.json"]
    logs = [folder / f"{folder.name}.log", *sorted(folder.glob("*.log"))]
    return tuple(next((file for file in files if file.is_file()), files[0]) for files in (numbers, logs))  # type: ignore[return-value]
