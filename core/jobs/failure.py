"""Why a job ended without its result: asked here by every step, command and page."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core import errors
from core.errors import DamagedFile, StepFailed, TuneboardError
from core.jobs.explain import Cause, explain
from core.jobs.job import JobPaths, read_spec
from core.jobs.status import State, Status
from core.jobs.tail import last_lines
from core.wording import Language, say
from core.workspace.files import read_record, write_json

LOG_LINES = 200
# Exit codes of a command that has said why in a sentence.
SENTENCE_CODES = (1, 2)


@dataclass(frozen=True)
class Failure:
    """``cause`` is the key of its sentence (``cause.<key>`` in ``locales/``), ``line`` the log's line that
    shows it, perhaps empty, ``reason`` the status's own. ``said`` is the tool's own error, where it knew why
    it gave up; ``words`` are a command's last ones, where an earlier version left nothing else."""

    cause: str
    line: str
    log: Path
    reason: str = ""
    said: TuneboardError | None = None
    words: str = ""

    def text(self, language: Language | None = None) -> str:
        """Why, in a sentence or two."""
        if self.said:
            return self.said.text(language)
        return self.words or say(f"cause.{self.cause}", language)

    def error(self, step: str) -> TuneboardError:
        """The error that ends whoever waited for the job: the tool's own, else that ``step`` failed."""
        return self.said or StepFailed(
            step=step, reason=say(f"cause.{self.cause}"), line=self.line or self.reason, log=self.log
        )

    def told(self, step: str) -> str:
        """Which step failed, why, and where its log is."""
        return self.words if self.words and not self.said else self.error(step).text()


def why_failed(folder: Path, status: Status) -> Failure | None:
    """Why the job in ``folder`` failed or was lost; None for one that did not, or that somebody stopped."""
    if status.state not in {State.failed, State.lost}:
        return None
    log = JobPaths(folder).log
    cause = explain(last_lines(log, LOG_LINES), status) or Cause("unknown", "")
    reason = status.reason or ""
    return Failure(cause.key, cause.line, log, reason, _said(folder), _last_words(folder, status))


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
    with suppress(DamagedFile):
        if read_spec(folder).command[1:3] == ("-m", "core"):
            return " ".join(last_lines(paths.log, 1))
    return ""
