"""What a model answered while it trained: the ``Sample output:`` blocks of XTuner's EvaluateChatHook."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.jobs.points import parse_log_line

# On the terminal mmengine writes 11/24 11:49:21, in its file 2026/11/24 11:49:21.
_RECORD = re.compile(r"(?:\d{4}/)?\d\d/\d\d \d\d:\d\d:\d\d - \w+ - [A-Z]+ - (.*)", re.DOTALL)
_MOMENT = re.compile(r"(before_train|after_train_iter|after_train|after_val) in EvaluateChatHook")
_RESUMED = re.compile(r"resumed epoch: \d+, iter: (\d{1,15})")
_SAVED = re.compile(r"Saving checkpoint at (\d{1,15}) iterations")
_SAMPLE = "Sample output:"


@dataclass(frozen=True)
class Sample:
    """One question with its answer as the model saw and wrote it, special tokens included.

    ``iter`` is the iteration it was asked at, as near as the log says it.
    """

    iter: int
    text: str


class SampleReader:
    """Collects samples from log lines, given in any number of pieces.

    mmengine 0.10.7 calls its hooks by priority: LoggerHook (60) names an iteration, EvaluateChatHook of
    XTuner 0.2.0 (70) answers, CheckpointHook (90) saves. So the iteration is that of the progress line before
    the answers, exact when the logging interval divides the evaluation's; where a checkpoint is saved right
    behind them, its iteration is theirs. Before training it is 0, or where a resumed run goes on.
    """

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._open: list[str] | None = None
        self._moment = "before_train"
        self._last = 0
        self._asked_from = 0  # the first sample since the hook last spoke

    def feed(self, lines: Iterable[str]) -> None:
        """Read on."""
        for line in lines:
            if record := _RECORD.match(line):
                self._close()
                self._record(record[1])
            elif self._open is not None:
                self._open.append(line)

    @property
    def samples(self) -> list[Sample]:
        """All samples in order. The last one may still grow: only the next log line ends it."""
        return [*self._samples, *self._unfinished()]

    def _record(self, text: str) -> None:
        if text.startswith(_SAMPLE):
            self._open = [text.removeprefix(_SAMPLE)]
        elif moment := _MOMENT.match(text):
            self._moment, self._asked_from = moment[1], len(self._samples)
        elif point := parse_log_line(text):
            self._last, self._asked_from = point.iter, len(self._samples)
        elif resumed := _RESUMED.match(text):
            self._last = int(resumed[1])
        elif saved := _SAVED.match(text):
            self._saved_at(int(saved[1]))

    def _close(self) -> None:
        self._samples += self._unfinished()
        self._open = None

    def _unfinished(self) -> list[Sample]:
        if self._open is None:
            return []
        return [Sample(self._last, "\n".join(self._open).strip())]

    def _saved_at(self, iteration: int) -> None:
        """A checkpoint names the iteration of the answers given in it, also between two progress lines."""
        self._last = iteration
        if self._moment == "after_train_iter":
            just_asked = [replace(sample, iter=iteration) for sample in self._samples[self._asked_from :]]
            self._samples[self._asked_from :] = just_asked
            self._asked_from = len(self._samples)


def read_samples(lines: Iterable[str]) -> list[Sample]:
    """The samples of a whole log."""
    reader = SampleReader()
    reader.feed(lines)
    return reader.samples
