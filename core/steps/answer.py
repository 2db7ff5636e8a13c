"""Answer: many questions asked of one model in one job, and what a base model said remembered.

A base model is asked the same question once: its answers are kept by the model's fingerprint and how it was
spoken to, so that a second run on the same base starts where the first one had to work.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import MissingArtefact
from core.jobs.job import JobPaths, JobSpec
from core.models.folder import fingerprint
from core.proof.asking import Answer, Ask
from core.steps.step import engine_job, run_job
from core.steps.watch import Update, answered
from core.workspace.files import locked, read_json, read_record, write_json
from core.workspace.paths import Workspace

ANSWERS = "answers.json"


@dataclass(frozen=True)
class PromptFormat:
    """How a model is spoken to: the training's template and system prompt, and its number format."""

    template: str
    system: str
    precision: str


def plan(job: Path, model: Path, prompt_format: PromptFormat, asks: Sequence[Ask], device: str) -> JobSpec:
    """The job that asks, in the folder ``job``."""
    request = {
        "model": str(model),
        "template": prompt_format.template,
        "system": prompt_format.system,
        "precision": prompt_format.precision,
        "questions": [asdict(ask) for ask in asks],
    }
    env = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    spec = engine_job("answer", JobPaths(job).request, job / ANSWERS, env=env)
    return replace(spec, request=request, results=(ANSWERS,))


def read(job: Path, asks: Sequence[Ask]) -> dict[Ask, Answer]:
    """The answers to what a job was asked. Raises MissingArtefact."""
    found = read_json(job / ANSWERS)
    if found is None or len(found) != len(asks):
        raise MissingArtefact(what=ANSWERS, where=job, step="ask")
    return {asked: Answer.of(row) for asked, row in zip(asks, found, strict=True)}


def ask(
    job: Path, model: Path, prompt_format: PromptFormat, asks: Sequence[Ask], device: str, update: Update
) -> dict[Ask, Answer]:
    """Ask a model in a job of its own and wait for the answers. Raises StepFailed, StepStopped."""
    run_job("ask", job, plan(job, model, prompt_format, asks, device), answered(job, update))
    return read(job, asks)


class AnswerCache:
    """What one model has said before, in one file of the workspace: a base model, or what ``trained`` made of
    it, a hash of what was trained."""

    def __init__(
        self, workspace: Workspace, model: Path, prompt_format: PromptFormat, trained: str = ""
    ) -> None:
        self.model, self.prompt_format = model, prompt_format
        spoken = hashlib.sha256(json.dumps(asdict(prompt_format)).encode()).hexdigest()[:8]
        name = "-".join(filter(None, (fingerprint(model), trained, spoken)))
        self.path = workspace.answers / f"{name}.json"

    def ask(self, job: Path, asks: Sequence[Ask], device: str, update: Update) -> dict[Ask, Answer]:
        """The answers to these questions; only what was never asked before costs a job."""
        if missing := self.missing(asks):
            self.keep(ask(job, self.model, self.prompt_format, missing, device, update))
        return self.known(asks)

    def missing(self, asks: Sequence[Ask]) -> list[Ask]:
        """What was never asked before."""
        known = self._all()
        return [ask for ask in asks if _key(ask) not in known]

    def keep(self, answers: Mapping[Ask, Answer]) -> None:
        """For whoever asks the same again."""
        new = {_key(one): asdict(answer) for one, answer in answers.items()}
        with locked(self.path):
            write_json(self.path, {**self._all(), **new})

    def known(self, asks: Sequence[Ask]) -> dict[Ask, Answer]:
        """The answers to what was asked before. Raises KeyError for what was not."""
        known = self._all()
        return {one: Answer.of(known[_key(one)]) for one in asks}

    def _all(self) -> dict[str, Any]:
        return read_record(self.path) or {}  # a damaged file only costs asking again


def _key(ask: Ask) -> str:
    """Of what is asked in no way of its own as earlier versions kept it, which begins with a number."""
    if ask.earlier:
        return json.dumps([ask.earlier, ask.tokens, ask.thinks, ask.system, ask.question], ensure_ascii=False)
    way = {None: "", False: "at once:", True: "thinking:"}[ask.thinks]
    system = f"{ask.system}:" if ask.system else ""
    return f"{ask.tokens}:{way}{system}{ask.question}"
