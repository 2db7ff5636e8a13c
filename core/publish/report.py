"""A report of a failed job for whoever helps: versions, machine, recipe and the log's end, as text.

It may be posted where everybody reads it. So what the last look before publishing looks for (paths, names,
keys) is replaced by what it is, and every line that holds a piece of what the run is trained on, or of what
the model said meanwhile, is left out.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from core import __version__
from core.errors import TuneboardError
from core.jobs.environment import is_secret
from core.jobs.failure import why_failed
from core.jobs.job import JobPaths
from core.jobs.status import Status, read_status
from core.jobs.tail import last_lines
from core.machine import this_machine
from core.publish import tokens
from core.publish.personal import hidden
from core.steps.prepare import recipe_of, versions
from core.steps.step import megabytes
from core.workspace.files import read_object, read_record
from core.workspace.paths import PROJECT, RunPaths, Workspace

LINES = 200
# What of a recipe a person may have written: it is said whether there is any.
OF_A_PERSON = ("system", "evaluation_questions", "template_reason")
# Of what is trained on: a line that shares so many letters with it, in alphabets and in scripts of words, is
# left out. What a row begins with counts whole.
PIECE, PIECE_OF_WORDS = 16, 6
LEAST_PHRASE = 6
MOST_OF_ROWS = 16_000_000
LEAST_SECRET = 6
ROWS, SAID, NAME = "<rows>", "<answer>", "<name>"
_RECORD = re.compile(r"(?:\d{4}/)?\d\d/\d\d \d\d:\d\d:\d\d - \w+ - [A-Z]+ - ")
_SAMPLE = "Sample output:"
_SAYS_NOTHING = re.compile(r'log:$|.*Iter\(train\)|Traceback| +File "|[\w.]*(?:Error|Exception)\b(?!.)')
# Folders of jobs that read a person's texts without a run: what was checked, and made sets.
_WITH_TEXTS = frozenset({"checks", "sets"})
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_WORDS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def report(workspace: Workspace, job: Path) -> str:
    """The report of the job in ``job``, of a run or not. Raises NoSuchJob."""
    status, run = read_status(job), run_of(workspace, job)
    about = (read_record(run.data) or {}) if run else {}
    parts = [*_head(job, status), *_machine(), *(_recipe(run) if run else ())]
    text = "\n".join([*parts, "", *_cause_and_log(job, status, run, about)])
    return _without_what_is_private(text, workspace, run, about)


def run_of(workspace: Workspace, job: Path) -> RunPaths | None:
    """The run that a job's folder belongs to."""
    return RunPaths(job.parent) if job.parent.parent == workspace.runs else None


def _head(job: Path, status: Status) -> Iterator[str]:
    yield f"tuneboard {__version__}: {job.name} {status.state}"
    took = f", {status.ended - status.started:.0f} s" if status.ended and status.started else ""
    yield f"ended: code {status.code}, signal {status.signal}, reason {status.reason}{took}"


def _machine() -> Iterator[str]:
    machine = this_machine()
    yield "versions: " + ", ".join(f"{name} {found}" for name, found in versions().items())
    yield f"system: {platform.system()} {platform.release()} {platform.machine()}"
    yield f"machine: {machine.cores} cores, {megabytes(machine.memory)}, bf16 {machine.bf16}"
    for gpu in machine.gpus:
        yield f"gpu {gpu.index}: {gpu.name}, {megabytes(gpu.memory)}, {megabytes(gpu.free)} free"


def _recipe(run: RunPaths) -> Iterator[str]:
    yield ""
    yield "recipe:"
    try:
        told = asdict(recipe_of(run))
    except TuneboardError as error:
        yield f"  {type(error).__name__}"
        return
    for name, value in told.items():
        if name in OF_A_PERSON and value:
            told[name] = "<left out>"
        elif isinstance(value, tuple):
            told[name] = list(value)
    told |= {"model": Path(told["model"]).name, "data": Path(told["data"]).name}
    yield from (
        f"  {line}" for line in yaml.safe_dump(told, allow_unicode=True, sort_keys=False).splitlines()
    )


def _cause_and_log(job: Path, status: Status, run: RunPaths | None, about: dict[str, Any]) -> Iterator[str]:
    """Why it failed, and the log's end; an answer of the model's is one line for all of its own."""
    lines = list(_without_answers(last_lines(JobPaths(job).log, LINES)))
    why = why_failed(job, status)
    yield f"cause: {why.cause if why else '-'}"
    if why:
        lines[:0] = [*why.text("en").splitlines(), why.line, "log:"]
    pieces = _Pieces(lines)
    for text in _texts_of(run, about) if run else ():
        pieces.look(text)
    compared = _is_compared(about) if run else _WITH_TEXTS.isdisjoint(job.parts)
    for place, line in enumerate(lines):
        hidden_line = place in pieces.found or not (compared or _SAYS_NOTHING.match(line))
        yield f"  {ROWS if hidden_line else line}"


def _is_compared(about: dict[str, Any]) -> bool:
    """Whether all that is trained on can be looked for. Where it is too much, or not there any more, only
    lines are told that can hold none of it."""
    rows = Path(str(about.get("path", "")))
    files = [file for file in (rows, Path(str(about.get("source", "")))) if file.is_file()]
    return rows.is_file() and sum(file.stat().st_size for file in files) <= MOST_OF_ROWS


def _without_answers(lines: Sequence[str]) -> Iterator[str]:
    within = False
    for line in lines:
        if _RECORD.match(line):
            within = _SAMPLE in line
            yield line.partition(_SAMPLE)[0] + f"{_SAMPLE} {SAID}" if within else line
        elif not within:
            yield line


def _texts_of(run: RunPaths, about: dict[str, Any]) -> Iterator[str]:
    """The texts of what a run is trained on, and those a person wrote into its recipe."""
    with suppress(TuneboardError):
        recipe = recipe_of(run)
        yield from (recipe.system, recipe.template_reason, *recipe.evaluation_questions)
    read = 0
    for name in ("path", "source"):
        with suppress(OSError, ValueError):
            file = Path(str(about.get(name, "")))
            if file.is_file() and (read := read + file.stat().st_size) <= MOST_OF_ROWS:
                yield from _strings(_parsed(file.read_text(encoding="utf-8")))


def _parsed(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


class _Pieces:
    """Which lines share a piece with a text: every piece of the lines is kept, the text is walked through."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.found: set[int] = set()
        self._read = [_ESCAPED.sub(lambda match: chr(int(match[1], 16)), line) for line in lines]
        self._lines: dict[str, set[int]] = {}
        for place, read in enumerate(self._read):
            for size in (PIECE, PIECE_OF_WORDS):
                for start in range(len(read) - size + 1):
                    piece = read[start : start + size]
                    if size == PIECE or len(_WORDS.findall(piece)) > PIECE_OF_WORDS // 2:
                        self._lines.setdefault(piece, set()).add(place)

    def look(self, text: str) -> None:
        """Find the lines that hold a piece of this one; of a short phrase all of it. A word is nobody's."""
        if LEAST_PHRASE <= len(text) < PIECE and (" " in text or _WORDS.search(text)):
            self.found |= {place for place, read in enumerate(self._read) if text in read}
        for size in (PIECE, PIECE_OF_WORDS):
            for start in range(0, len(text) - size + 1, size // 2):
                self.found |= self._lines.get(text[start : start + size], set())


def _without_what_is_private(
    text: str, workspace: Workspace, run: RunPaths | None, about: dict[str, Any]
) -> str:
    for folder, name in (
        (workspace.root, "<workspace>"),
        (PROJECT, "<tuneboard>"),
        (Path(sys.prefix), "<python>"),
    ):
        for spelled in sorted({str(folder.absolute()), str(folder.resolve())}, key=len, reverse=True):
            text = text.replace(spelled, name)
    own = [workspace.root, *([run.root] if run else [])]
    if run:
        text = text.replace(run.id, "<run>")
        titles = (about.get("name"), (read_object(run.about) or {}).get("title"))
        for name in sorted({str(title) for title in titles if title}, key=len, reverse=True):
            text = text.replace(name, NAME)
    return hidden(text, own, _secrets())


def _secrets() -> Collection[str]:
    """Tokens that are kept, and values of the environment that are to be secret."""
    here = (value for name, value in os.environ.items() if is_secret(name, value))
    return {secret for secret in (*here, *tokens.kept()) if len(secret) >= LEAST_SECRET}
