"""Why a job failed: the cause by key (``cause.<key>`` in ``locales/``) and the log's own error line.

The rules are :mod:`core.jobs.causes`; here is what they are held against.
"""

import math
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.jobs.causes import BY_REASON, BY_SIGNAL, LOST, RULES, Rule
from core.jobs.ending import KILLED, Reason
from core.jobs.status import State, Status

_LOSS = re.compile(r"(?<!\w)loss: +(?P<loss>[\d.e+-]+|nan|inf)")
_NAN = re.compile(r"(?<!\w)(?:loss|grad_norm): +(?:nan|inf)\b")
_RANK = r"(?:\[rank\d+\]: ?)?"
_TRACEBACK = re.compile(_RANK + r"Traceback \(most recent call last\)")
_FRAME = re.compile(r"(?:\[rank\d+\]:)?(?:\s{2}|\t|$)")
_ERROR = re.compile(_RANK + r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit)\b")
_CHAINED = re.compile(r"(?:During handling of the above|The above exception was the direct cause)")
# What a launcher says about a worker that has already said why.
_SECOND_HAND = re.compile(r"ChildFailedError|ProcessExitedException|CalledProcessError")
# Further lines of a message, such as "size mismatch for …", that belong to the error above them.
MESSAGE_LINES = 12
# Why a program that is there could not be started.
NO_MORE_TO_GIVE = ("too_many_threads", "cpu_out_of_memory")
# A loss that has grown by so much from its lowest before it was no number was driven there by the steps.
ROSE = 1.5


@dataclass(frozen=True)
class Cause:
    """A cause and the log's line that says so; the line may be empty."""

    key: str
    line: str


@dataclass(frozen=True)
class LoggedError:
    """An exception in a log: its line, that with the further lines of its message, and its frames.
    ``chained``: the one before it led to it."""

    line: str
    text: str
    frames: str = ""
    chained: bool = False


def explain(tail: Sequence[str], status: Status) -> Cause | None:
    """The cause of a job's failure from its log's last lines; None for a job that has not failed."""
    if status.state not in {State.failed, State.lost}:
        return None
    errors = errors_in(tail)
    line = error_line(errors)
    if status.state is State.lost:
        return _of_lost(tail, status, errors, line)
    if status.reason == Reason.not_started:
        named = _named(tail, errors)
        return named if named and named.key in NO_MORE_TO_GIVE else Cause("not_started", line)
    if status.reason == Reason.memory_limited:  # what the log says is true without a limit
        return Cause("memory_limited", line)
    return _named(tail, errors) or _silent(tail, status, line) or Cause("unknown", line)


def _of_lost(tail: Sequence[str], status: Status, errors: list[LoggedError], line: str) -> Cause:
    """Where it is known why nobody saw its end, that; else its log's last error, which its supervisor could
    not keep either where the disk was gone or read-only."""
    if status.reason and (known := LOST.get(Reason(status.reason))):
        return Cause(known, line)
    return _named(tail, errors) or Cause("lost", line)


def errors_in(tail: Sequence[str]) -> list[LoggedError]:
    """A log's exceptions; where there is none, its last line that is not blank stands for one."""
    lines = [line.strip() for line in tail if line.strip()]
    return list(_errors(tail)) or [LoggedError(line, line) for line in lines[-1:]]


def error_line(errors: Sequence[LoggedError]) -> str:
    """The line of what ended the job; empty for an empty log."""
    return next((error.line for error in _first_hand(errors)), "")


def matches(rule: Rule, tail: Sequence[str], errors: Sequence[LoggedError]) -> str | None:
    """The line by which a rule fits a log; None where it does not."""
    if rule.where == "anywhere":
        found = ((line, rule.says.search(line)) for line in reversed(tail))
        return next((_said(match, line) for line, match in found if match), None)
    for error in _first_hand(errors):
        match = rule.says.search(error.text)
        if match and (rule.within is None or rule.within.search(error.frames)):
            return _said(match, error.line)
    return None


def _said(match: re.Match[str], line: str) -> str:
    return match.groupdict().get("said") or line.strip()


def _named(tail: Sequence[str], errors: Sequence[LoggedError]) -> Cause | None:
    for rule in RULES:
        if (line := matches(rule, tail, errors)) is not None:
            cause = _by_loss(tail) if rule.cause == "nan_loss" else rule.cause
            return Cause(cause, line)
    return None


def _silent(tail: Sequence[str], status: Status, error: str) -> Cause | None:
    """Causes that end a program without a word of their own."""
    if status.reason in BY_REASON:
        return Cause(BY_REASON[Reason(status.reason)], error)
    ended_by = signal.SIGKILL.name if status.code == KILLED else status.signal
    if ended_by in BY_SIGNAL:
        return Cause(BY_SIGNAL[ended_by], error)
    if found := next((line for line in reversed(tail) if _NAN.search(line)), None):
        return Cause(_by_loss(tail), found.strip())
    return None


def _by_loss(tail: Sequence[str]) -> str:
    """Of losses that were no number at last: whether the steps before had driven them up."""
    losses = [float(match["loss"]) for line in tail if (match := _LOSS.search(line))]
    numbers = [loss for loss in losses if math.isfinite(loss)]
    return "lr_too_high" if len(numbers) > 1 and numbers[-1] > ROSE * min(numbers) else "nan_loss"


def _first_hand(errors: Sequence[LoggedError]) -> list[LoggedError]:
    """The last error that is no launcher's word, else the last; then those that led to it."""
    own = [place for place, error in enumerate(errors) if not _SECOND_HAND.search(error.line)]
    place = own[-1] if own else len(errors) - 1
    found: list[LoggedError] = []
    while place >= 0:
        found.append(errors[place])
        place = place - 1 if errors[place].chained else -1
    return found


def _errors(tail: Sequence[str]) -> Iterator[LoggedError]:
    """The line after each traceback, whatever the exception is called, and lines that look like one."""
    in_traceback = chained = False
    frames: list[str] = []
    for place, line in enumerate(tail):
        if _CHAINED.match(line):
            chained = True
        elif _TRACEBACK.match(line):
            in_traceback, frames = True, []
        elif in_traceback and _FRAME.match(line):
            frames.append(line)
        elif in_traceback or _ERROR.match(line):
            text = "\n".join(_message(tail[place : place + MESSAGE_LINES]))
            yield LoggedError(line.strip(), text, "\n".join(frames), chained)
            in_traceback, chained, frames = False, False, []


def _message(lines: Sequence[str]) -> Iterator[str]:
    yield lines[0].strip()
    for line in lines[1:]:
        if _TRACEBACK.match(line) or _ERROR.match(line) or _CHAINED.match(line):
            return
        yield line
