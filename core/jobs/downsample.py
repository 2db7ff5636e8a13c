"""A curve of any length as the few points a screen can show: peaks kept, the mean drawn beside them."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from tsdownsample import MinMaxLTTBDownsampler

# Two screens' width of line; a chart of six traces is then 40 kB.
POINTS = 800
# How far the smoothed line looks back: a share of its shown points, and at least so many. What TensorBoard
# calls its weight is then 0.85 or more: losses of batches that mix what is taught with what is replayed
# differ tenfold from one to the next.
MEMORY, LEAST_MEMORY = 0.05, 12.0

Floats: TypeAlias = npt.NDArray[np.float64]
Trace: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


def shown(iterations: Floats, values: Floats, points: int = POINTS) -> Trace:
    """At most ``points`` points of a curve that look like all of them (MinMaxLTTB); NaN stays a gap.

    float32 and int32 are half the size on the wire and exact for what a screen shows.
    """
    if len(values) > points:
        kept = MinMaxLTTBDownsampler().downsample(np.ascontiguousarray(values), n_out=points)
        iterations, values = iterations[kept], values[kept]
    return iterations.astype(np.int32), values.astype(np.float32)


def smoothed(iterations: Floats, values: Floats, points: int = POINTS // 2) -> Trace:
    """The curve's exponential moving average over bucket means, its start unbiased (as Adam's moments are).

    Numbers that are none are left out of the mean, so that one NaN does not end the line.
    """
    iterations, means = _bucket_means(iterations, values, points)
    weight = 2.0 / (1.0 + max(LEAST_MEMORY, MEMORY * len(means)))
    line = np.empty_like(means)
    total = share = 0.0
    for place, value in enumerate(means):
        if np.isfinite(value):
            total += weight * (value - total)
            share += weight * (1.0 - share)
        line[place] = total / share if share else np.nan
    return iterations.astype(np.int32), line.astype(np.float32)


def _bucket_means(iterations: Floats, values: Floats, buckets: int) -> tuple[Floats, Floats]:
    """The mean of each of at most ``buckets`` equal pieces, each at its last iteration."""
    if len(values) <= buckets:
        return iterations, values
    starts = np.linspace(0, len(values), buckets, endpoint=False).astype(np.int64)
    finite = np.isfinite(values)
    sums = np.add.reduceat(np.where(finite, values, 0.0), starts)
    counts = np.add.reduceat(finite.astype(np.float64), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
    return iterations[np.append(starts[1:], len(values)) - 1], means
