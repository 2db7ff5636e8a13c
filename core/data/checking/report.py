"""What a check found, as the command line prints it and the page shows it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.data.findings import Finding

# Of one kind of finding; all of them are counted.
MOST_LISTED = 10_000


@dataclass
class Findings:
    """Every finding is counted, the first ``most`` of each code are kept."""

    listed: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    most: int = MOST_LISTED

    def add(self, found: Iterable[Finding]) -> None:
        for finding in found:
            self.counts[finding.code] += 1
            if self.counts[finding.code] <= self.most:
                self.listed.append(finding)

    def add_many(self, code: str, found: Iterable[Finding], count: int) -> None:
        """``count`` findings of one code, of which ``found`` need not go on for long."""
        left = self.most - self.counts[code]
        self.listed += [finding for _, finding in zip(range(max(0, left)), found, strict=False)]
        if count:
            self.counts[code] += count


@dataclass(frozen=True)
class Report:
    """A checked data set. Tokens: of usable rows, in their template; ``seconds``: how long it took.

    ``unread``: how many rows have each key that nobody reads, and the first one's value; ``harmless``: keys
    that need no reading.
    """

    format: str
    container: str
    encoding: str
    sha256: str
    rows: int
    usable: int
    findings: Findings
    tokens: int
    answer_tokens: int
    max_length: int
    truncated_rows: int
    answer_tokens_lost: int
    duplicates: int
    languages: Mapping[str, int]
    histogram: Mapping[str, list[int]]
    seconds: float
    unread: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    harmless: Sequence[str] = ()

    def called(self, name: str) -> "Report":
        """The same of a format by another name."""
        return replace(self, format=name)

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "format": self.format,
            "rows": self.rows,
            "usable": self.usable,
            "problems": [finding.as_json() for finding in self.findings.listed],
            "counts": dict(self.findings.counts),
            "tokens": self.tokens,
            "answer_tokens": self.answer_tokens,
            "max_length": self.max_length,
            "truncated_rows": self.truncated_rows,
            "answer_tokens_lost": self.answer_tokens_lost,
            "duplicates": self.duplicates,
            "languages": dict(self.languages),
            "histogram": dict(self.histogram),
            "seconds": self.seconds,
            "harmless": list(self.harmless),
        }

    def as_record(self) -> dict[str, Any]:
        """The whole report, in no language, for :meth:`of_record`."""
        listed = [
            {"row": one.row, "field": one.field, "code": one.code, "values": dict(one.values)}
            for one in self.findings.listed
        ]
        kept = {name: value for name, value in vars(self).items() if name != "findings"}
        return {**kept, "listed": listed, "counts": dict(self.findings.counts)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Report":
        """The report that :meth:`as_record` wrote. Raises KeyError or TypeError for anything else."""
        kept = dict(record)
        found = Findings([Finding(**one) for one in kept.pop("listed")], Counter(kept.pop("counts")))
        return cls(**kept, findings=found)
