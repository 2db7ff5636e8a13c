"""Why a job ended without its result: asked here by every step, command and page."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core import errors
from core.errors import DamagedFile, NoSuchJob, StepFailed, TuneboardError
from core.jobs.explain import Cause, explain
from core.jobs.job import JobPaths, read_spec
from core.jobs.ranks import DeadRank, dead_rank, misses_another, of_rank, rank_logs
from core.jobs.status import State, Status
from core.jobs.tail import last_lines
from core.wording import Language, say
from core.workspace.files import read_record, write_json

LOG_LINES = 200
# What is shown of the log of a failure that no rule knows.
LAST_LINES = 40
# Exit codes of a command that has said why in a sentence.
SENTENCE_CODES = (1, 2)


@dataclass(frozen=True)
class Failure:
    """``cause`` is the key of its sentence (``cause.<key>`` in ``locales/``), ``line`` the log's line that
    shows it, perhaps empty, ``reason`` the status's own. ``said`` is the tool's own error, where it knew why
    it gave up; ``words`` are a command's last ones, where an earlier version left nothing else. ``code`` and
    ``signal`` are the tool's, as far as they are known. ``rank``: of a tool in several processes the one that
    it was."""

    cause: str
    line: str
    log: Path
    reason: str = ""
    said: TuneboardError | None = None
    words: str = ""
    code: int | None = None
    signal: str | None = None
    rank: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether the sentence says why; else there are only the log's last lines."""
        return bool(self.said or self.words) or self.cause != "unknown"

    def last(self) -> list[str]:
        """The log's last lines, to be shown where nothing else says why."""
        return last_lines(self.log, LAST_LINES)

    def ended(self, language: Language | None = None) -> str:
        """How the program ended: its exit code, or the signal that ended it; empty where nobody saw it."""
        if self.signal:
            return say("ended.signal", language, signal=self.signal, code=self.code)
        return say("ended.code", language, code=self.code) if self.code is not None else ""

    def text(self, language: Language | None = None) -> str:
        """Why, in a sentence or two."""
        if self.said:
            return self.said.text(language)
        why = self.words or say(f"cause.{self.cause}", language)
        return why if self.rank is None else say("ended.rank", language, rank=self.rank, why=why)

    def error(self, step: str) -> TuneboardError:
        """The error that ends whoever waited for the job: the tool's own, else that ``step`` failed."""
        error = self.said or StepFailed(
            step=step, reason=self.text(), line=self.line or self.reason, log=self.log
        )
        error.job = self.log.parent
        return error


def why_failed(folder: Path, status: Status) -> Failure | None:
    """Why the job in ``folder`` failed or was lost; None for one that did not, or that somebody stopped."""
    if status.state not in {State.failed, State.lost}:
        return None
    if (dead := dead_rank(folder)) and not JobPaths(folder).refusal.exists():
        return _of_ranks(folder, status, dead)
    log = JobPaths(folder).log
    cause = explain(last_lines(log, LOG_LINES), status) or Cause("unknown", "")
    reason = status.reason or ""
    said, words = _said(folder), _last_words(folder, status)
    return Failure(cause.key, cause.line, log, reason, said, words, status.code, status.signal)


def _of_ranks(folder: Path, status: Status, dead: DeadRank) -> Failure:
    """Of a tool in several processes. The logs of all are searched, that of the one which ended first before
    the others; whoever only missed another one is not asked."""
    logs = {0: [JobPaths(folder).log], **rank_logs(folder)}
    of_dead = of_rank(status, dead)
    known: list[Failure] = []
    for rank in sorted({*logs, dead.rank}, key=lambda rank: rank != dead.rank):
        tails = {log: last_lines(log, LOG_LINES) for log in logs.get(rank, [])}
        lines = [line for tail in tails.values() for line in tail if not misses_another(line)]
        how = of_dead if rank == dead.rank else replace(status, code=None, signal=None)
        cause = explain(lines, how) or Cause("unknown", "")
        log = next(
            (log for log, tail in tails.items() if cause.line in (line.strip() for line in tail)), None
        )
        log = log or next(iter(tails), JobPaths(folder).log)
        reason = status.reason or ""
        known.append(Failure(cause.key, cause.line, log, reason, code=how.code, signal=how.signal, rank=rank))
        if cause.key != "unknown":
            return known[-1]
    return known[0]


def leave_refusal(folder: Path, error: TuneboardError) -> None:
    """Leave a tool's own error for whoever asks why its job failed. A full disk costs no more than that; no
    folder is made for it."""
    if not folder.is_dir():
        return
    values = {name: value if isinstance(value, int) else str(value) for name, value in error.values.items()}
    with suppress(OSError):
        write_json(JobPaths(folder).refusal, {"error": type(error).__name__, "values": values})


def _said(folder: Path) -> TuneboardError | None:
    """None as well where a version with other errors left it: their sentence lacks a value."""
    found = read_record(JobPaths(folder).refusal) or {}
    kind, values = getattr(errors, str(found.get("error")), None), found.get("values")
    if isinstance(kind, type) and issubclass(kind, TuneboardError) and isinstance(values, dict):
        with suppress(KeyError, AttributeError, ValueError):
            error = kind(**values)
            error.text()
            return error
    return None


def _last_words(folder: Path, status: Status) -> str:
    """Of a command without a request.json, which an earlier version started."""
    paths = JobPaths(folder)
    if status.code not in SENTENCE_CODES or paths.request.exists():
        return ""
    with suppress(NoSuchJob, DamagedFile):
        if read_spec(folder).command[1:3] == ("-m", "core"):
            return " ".join(last_lines(paths.log, 1))
    return ""
