"""Questions to base and tuned model, asked by the command line in a job: one's own, or the whole proof."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import with_config

from core.jobs.job import JobPaths, JobSpec, tries
from core.jobs.tail import last_lines
from core.steps import merge, prepare
from core.steps.step import call_job
from core.workspace.paths import RunPaths, Workspace

LONGEST = 2000
MOST = 20
# The job of a person's own questions with the two that it starts: none of them takes the proof's place.
OWN = "own"
OWN_BASE, OWN_TUNED = "own_base", "own_ask"


@with_config(extra="forbid")
@dataclass(frozen=True)
class AskRequest:
    """Questions to base and tuned model; none asks the whole proof."""

    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """One question and what both models say."""

    question: str
    base: str
    tuned: str


def lines(text: str) -> list[str]:
    """The questions in a text, one a line: at most 20, of at most 2,000 characters, each once."""
    asked = [" ".join(line.replace("\0", "").split())[:LONGEST] for line in text.splitlines()]
    return list(dict.fromkeys(question for question in asked if question))[:MOST]


def plan(workspace: Workspace, run: RunPaths, questions: Sequence[str]) -> JobSpec:
    """The job that asks, in its folder ``own``.

    Raises NoSuchModel, NotAModel, NoSuchFile when one of the two models is not there.
    """
    prepare.model_of(run)
    merge.read(run)
    return call_job(run.job(OWN), "ask", workspace.root, AskRequest(tuple(questions)), run.id)


def read(run: RunPaths) -> list[Pair]:
    """Every answer so far, the newest first; of a question asked again the newest answer."""
    found: dict[str, Pair] = {}
    for folder in tries(run.job(OWN)):
        for pair in _pairs(folder):
            found.setdefault(pair.question, pair)
    return list(found.values())


def _pairs(folder: Path) -> Iterator[Pair]:
    """The command's last line is its result; what else it said stands before."""
    for line in reversed(last_lines(JobPaths(folder).log, 1)):
        with suppress(ValueError, KeyError, TypeError):
            for row in json.loads(line)["answers"]:
                yield Pair(row["question"], row["base"], row["tuned"])
