"""Why a job failed: the cause by key (``cause.<key>`` in ``locales/``) and the log's own error line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.jobs.ending import Reason
from core.jobs.status import State, Status

# What names a cause wherever it stands in the log, even when another error is the last word.
_ANYWHERE = (
    ("cuda_out_of_memory", re.compile(r"CUDA out of memory|CUDA error: out of memory")),
    ("disk_full", re.compile(r"No space left on device|Disk quota exceeded")),
    ("killed_out_of_memory", re.compile(r"DataLoader worker .* is killed by signal: Killed")),
    # torch 2.13's own words go on with how to load it all the same, which nobody should.
    ("foreign_checkpoint", re.compile(r"WeightsUnpickler error: Unsupported \w+: (?P<said>\w+ [\w.]+)")),
)
# What names a cause only as the error itself: in passing, warnings speak of missing modules and files too.
_AS_THE_ERROR = (
    ("nan_loss", re.compile(r"FloatingPointError")),
    ("killed_out_of_memory", re.compile(r"MemoryError|not enough memory|Cannot allocate memory")),
    ("module_missing", re.compile(r"ModuleNotFoundError|No module named")),
    ("port_in_use", re.compile(r"Address already in use|EADDRINUSE")),
    ("permission", re.compile(r"PermissionError|Permission denied|Read-only file system")),
    (
        "dataset_empty",
        re.compile(
            r"num_samples should be a positive|num_samples=0|empty dataset|dataset is empty|Column .* not in"
        ),
    ),
    ("file_missing", re.compile(r"FileNotFoundError|No such file or directory")),
    ("config_error", re.compile(r"SyntaxError|IndentationError|ConfigParsingError|is not in the .*regist")),
)
_NAN = re.compile(r"\b(?:loss|grad_norm): (?:nan|inf)\b")
_RANK = r"(?:\[rank\d+\]: ?)?"
_TRACEBACK = re.compile(_RANK + r"Traceback \(most recent call last\)")
_FRAME = re.compile(r"(?:\[rank\d+\]:)?(?:\s{2}|\t|$)")
_ERROR = re.compile(_RANK + r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit)\b")
# What a launcher says about a worker that has already said why.
_SECOND_HAND = re.compile(r"ChildFailedError|ProcessExitedException|CalledProcessError")


@dataclass(frozen=True)
class Cause:
    """A cause and the log's line that says so; the line may be empty."""

    key: str
    line: str


def explain(tail: Sequence[str], status: Status) -> Cause | None:
    """The cause of a job's failure from its log's last lines; None for a job that has not failed."""
    line = error_line(tail)
    if status.state is State.lost:
        return Cause("lost", line)
    if status.state is not State.failed:
        return None
    if status.reason == Reason.not_started:
        return Cause("not_started", line)
    return _named(tail, line) or _silent(tail, status, line) or Cause("unknown", line)


def error_line(tail: Sequence[str]) -> str:
    """The last exception's line, else the last line that is not blank."""
    errors = [line.strip() for line in _errors(tail)]
    first_hand = [line for line in errors if not _SECOND_HAND.search(line)]
    lines = [line.strip() for line in tail if line.strip()]
    return (first_hand or errors or lines or [""])[-1]


def _named(tail: Sequence[str], error: str) -> Cause | None:
    for key, pattern in _ANYWHERE:
        for line in reversed(tail):
            if match := pattern.search(line):
                return Cause(key, match.groupdict().get("said") or line.strip())
    return next((Cause(key, error) for key, pattern in _AS_THE_ERROR if pattern.search(error)), None)


def _silent(tail: Sequence[str], status: Status, error: str) -> Cause | None:
    """Causes that end a program without a word of their own."""
    if status.reason == Reason.disk_full:
        return Cause("disk_full", error)
    if status.reason == Reason.out_of_memory or status.signal == "SIGKILL" or status.code == 137:
        return Cause("killed_out_of_memory", error)
    if found := next((line for line in reversed(tail) if _NAN.search(line)), None):
        return Cause("nan_loss", found.strip())
    return None


def _errors(tail: Sequence[str]) -> Iterator[str]:
    """The line after each traceback, whatever the exception is called, and lines that look like one."""
    in_traceback = False
    for line in tail:
        if _TRACEBACK.match(line):
            in_traceback = True
        elif in_traceback and _FRAME.match(line):
            continue
        elif in_traceback or _ERROR.match(line):
            in_traceback = False
            yield line
