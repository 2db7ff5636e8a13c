"""The outline of a loss curve in a few points, whatever its length: a long log is only sampled."""

import math
from collections.abc import Iterator
from pathlib import Path

from core.jobs.points import Point, parse_scalars_line

# A file shorter than this is read whole: 64 kB.
SHORT = 1 << 16
# A line of numbers is never as long; a file without line breaks is not read whole, forty times.
LONGEST = 1 << 14


def spark(work_dir: Path, points: int = 40) -> list[float]:
    """At most ``points`` losses of a run, start after start, oldest first; NaN and infinity left out."""
    kept: list[Point] = []
    for file in sorted(file for file in work_dir.glob("*/vis_data/scalars.json") if file.is_file()):
        found = [point for line in _lines(file, points) if (point := parse_scalars_line(line))]
        begin = min((point.iter for point in found), default=math.inf)
        # A resumed run begins where it was resumed: what the earlier start did after that is abandoned.
        kept = [point for point in kept if point.iter < begin] + found
    losses = [point.loss for point in kept if point.loss is not None and math.isfinite(point.loss)]
    return losses[:: max(1, -(-len(losses) // points))]


def _lines(file: Path, count: int) -> Iterator[str]:
    """All lines of a short file; of a long one the line after each of ``count`` evenly spaced places."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= SHORT:
            yield from stream.read().decode("utf-8", errors="replace").splitlines()
            return
        for place in range(0, size, size // count):
            stream.seek(place)
            stream.readline(LONGEST)
            yield stream.readline(LONGEST).decode("utf-8", errors="replace")
