"""One measured point of a training run, from a line of XTuner's log or of its scalars.json."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.workspace.files import ODD

# What a float holds exactly.
MOST_ITERATIONS = 1 << 53
_COUNT = r"\[\s*(?P<iter>\d{1,15})/(?P<total>\d{1,15})\]"
_PROGRESS = re.compile(
    rf"(?:Iter\(train\) |Epoch\(train\)\s*\[\s*(?P<epoch>\d{{1,9}})\]){_COUNT}(?P<values>.*)"
)
_NUMBER = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)"
_VALUE = re.compile(rf"(\w+): ({_NUMBER})(?![\w.:])", re.IGNORECASE)
_VALIDATION = re.compile(r"(?:Iter|Epoch)\(val\)")
# mmengine 0.10.7 adds up a validation's losses under this name; one named "loss" stands beside it.
_VALIDATION_LOSS = "val_loss"


@dataclass(frozen=True)
class Point:
    """Numbers of one iteration; None where the line has no such number, NaN where the run had none.

    ``time`` and ``data_time`` are seconds an iteration, ``memory`` is MB at its highest.
    The fast path also says how many tokens a second it trains, without padding, and the share of padding.
    XTuner's ThroughputHook says tokens a second of one GPU, with padding, and ``tflops`` by its own formula.
    ``learned``: the share of identity questions answered with the name meanwhile (core.engine.learning).
    ``total_iters`` is the length of the run, which a line of an epoch does not say.
    """

    iter: int
    loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    time: float | None = None
    data_time: float | None = None
    memory: float | None = None
    total_iters: int | None = None
    tokens_per_second: float | None = None
    padding: float | None = None
    tflops: float | None = None
    learned: float | None = None


# What a line holds as plain numbers.
VALUES = (
    "loss",
    "lr",
    "grad_norm",
    "time",
    "data_time",
    "memory",
    "tokens_per_second",
    "padding",
    "tflops",
    "learned",
)
# What XTuner 0.2.0 calls one of them.
_OTHER_NAMES = {"tokens_per_second": "tokens_per_sec"}
# What says the same as another number, or where the line stands.
_BESIDE = {*_OTHER_NAMES.values(), "iter", "step", "epoch", "base_lr", "momentum", "base_momentum"}


def parse_log_line(line: str) -> Point | None:
    """The point of a progress line, ``Iter(train) [ 10/160] …`` or ``Epoch(train) [2][10/160] …``.

    Iterations are counted from the start of the run in both forms. None for any other line.
    """
    if "(train)" not in line or not (match := _PROGRESS.search(line)):
        return None
    values = {name: float(number) for name, number in _VALUE.findall(match["values"])}
    count, total, epoch = int(match["iter"]), int(match["total"]), match["epoch"]
    if epoch is None:
        return _point(count, values, total)
    return _point((int(epoch) - 1) * total + count, values)


def parse_scalars_line(line: str) -> Point | None:
    """The point of a line of scalars.json; None for an evaluation's, an empty or a broken one."""
    try:
        found = json.loads(line)  # Python's reader takes the bare NaN and Infinity that mmengine writes
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "loss" not in found or _VALIDATION_LOSS in found:
        return None
    count = found.get("iter", found.get("step"))
    if not isinstance(count, int) or not 0 <= count < MOST_ITERATIONS:
        return None
    return _point(count, {name: _number(found.get(name)) for name in (*VALUES, *_OTHER_NAMES.values())})


def other_names(line: str) -> list[str]:
    """The numbers in a point's line, of either file, that no :class:`Point` holds: parts of a loss."""
    if "(train)" in line and (match := _PROGRESS.search(line)):
        names = [name for name, _ in _VALUE.findall(match["values"])]
    elif parse_scalars_line(line):
        names = [name for name, value in json.loads(line).items() if _number(value) is not None]
    else:
        return []
    return [name for name in names if name not in VALUES and name not in _BESIDE]


def parse_validation_line(line: str) -> tuple[int, float] | None:
    """Where a validation stood and its loss, from a line of either file; None for any other line.

    Where is an iteration, or an epoch where a config logs by epochs, or 0: the log does not say it.
    """
    if _VALIDATION_LOSS not in line:
        return None
    if _VALIDATION.search(line):
        values = {name: float(number) for name, number in _VALUE.findall(line)}
        return (0, values[_VALIDATION_LOSS]) if _VALIDATION_LOSS in values else None
    try:
        found = json.loads(line)
        return int(found.get("step", 0)), float(found[_VALIDATION_LOSS])
    except ODD:
        return None


def _point(count: int, values: Mapping[str, float | None], total: int | None = None) -> Point:
    found = {name: values.get(name) for name in VALUES}
    for name, other in _OTHER_NAMES.items():
        found[name] = values.get(other) if found[name] is None else found[name]
    return Point(count, **found, total_iters=total)


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return math.inf
