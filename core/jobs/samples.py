"""What a model answered while it trained: the ``Sample output:`` blocks of XTuner's EvaluateChatHook."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# On the terminal mmengine writes 11/24 11:49:21, in its file 2026/11/24 11:49:21.
_RECORD = re.compile(r"(?:\d{4}/)?\d\d/\d\d \d\d:\d\d:\d\d - \w+ - [A-Z]+ - (.*)", re.DOTALL)
_MOMENT = re.compile(r"(before_train|after_train_iter|after_train|after_val) in EvaluateChatHook")
_ITERATION = re.compile(r"(?:Iter\(train\) \[\s*|resumed epoch: \d+, iter: )(\d+)")
_SAMPLE = "Sample output:"


@dataclass(frozen=True)
class Sample:
    """One question with its answer as the model saw and wrote it, special tokens included.

    ``iter`` is None while the log does not yet say at which iteration it was asked.
    """

    iter: int | None
    text: str


class SampleReader:
    """Collects samples from log lines, given in any number of pieces.

    The hook answers after an iteration and before the logger names it: the iteration is that of the next
    progress line, exact when the logging interval divides the evaluation's. Before training it is 0, or
    where a resumed run goes on.
    """

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._open: list[str] | None = None
        self._moment = "before_train"
        self._last = 0

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
            self._moment = moment[1]
        elif iteration := _ITERATION.match(text):
            self._last = int(iteration[1])
            self._samples = [self._dated(sample) for sample in self._samples]

    def _close(self) -> None:
        self._samples += self._unfinished()
        self._open = None

    def _unfinished(self) -> list[Sample]:
        if self._open is None:
            return []
        known = self._moment in {"before_train", "after_train"}
        return [Sample(self._last if known else None, "\n".join(self._open).strip())]

    def _dated(self, sample: Sample) -> Sample:
        return sample if sample.iter is not None else Sample(self._last, sample.text)


def read_samples(lines: Iterable[str]) -> list[Sample]:
    """The samples of a whole log."""
    reader = SampleReader()
    reader.feed(lines)
    return reader.samples
