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
from core.proof.asking import Answer, Ask, GivenAnswer, Likelihood
from core.steps.step import engine_job, run_job
from core.steps.watch import Update, answered
from core.workspace.files import locked, read_json, read_record, write_json
from core.workspace.paths import Workspace

ANSWERS, LIKELIHOODS = "answers.json", "likelihoods.json"


Answers = dict[Ask, Answer]
Likelihoods = dict[GivenAnswer, Likelihood]


@dataclass(frozen=True)
class PromptFormat:
    """How a model is spoken to: the training's template and system prompt, and its number format."""

    template: str
    system: str
    precision: str


def plan(
    job: Path,
    model: Path,
    prompt_format: PromptFormat,
    asks: Sequence[Ask],
    device: str,
    given: Sequence[GivenAnswer] = (),
) -> JobSpec:
    """The job that asks, in the folder ``job``, and says how likely the model finds what is ``given``."""
    request = {
        "model": str(model),
        "template": prompt_format.template,
        "system": prompt_format.system,
        "precision": prompt_format.precision,
        "questions": [asdict(ask) for ask in asks],
        **({"texts": [text_of(one) for one in given]} if given else {}),
    }
    env = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    results = (ANSWERS, LIKELIHOODS) if given else (ANSWERS,)
    spec = engine_job("answer", JobPaths(job).request, *(job / name for name in results), env=env)
    return replace(spec, request=request, results=results)


def text_of(given: GivenAnswer) -> dict[str, Any]:
    """A given answer as a request has it."""
    asked = {name: value for name, value in asdict(given.ask).items() if name != "tokens"}
    answer = given.answer
    return {**asked, "said": answer.earlier, "answer": answer.text, "finished": answer.finished}


def read(job: Path, asks: Sequence[Ask]) -> Answers:
    """The answers to what a job was asked. Raises MissingArtefact."""
    rows = _rows(job, ANSWERS, len(asks))
    return {asked: Answer.of(row) for asked, row in zip(asks, rows, strict=True)}


def read_likelihoods(job: Path, given: Sequence[GivenAnswer]) -> Likelihoods:
    """How likely the model found what it was given. Raises MissingArtefact."""
    rows = _rows(job, LIKELIHOODS, len(given))
    return {one: Likelihood(**row) for one, row in zip(given, rows, strict=True)}


def _rows(job: Path, name: str, count: int) -> list[dict[str, Any]]:
    found = read_json(job / name)
    if found is None or len(found) != count:
        raise MissingArtefact(what=name, where=job, step="ask")
    return list(found)


def ask(
    job: Path, model: Path, prompt_format: PromptFormat, asks: Sequence[Ask], device: str, update: Update
) -> Answers:
    """Ask a model in a job of its own and wait for the answers. Raises StepFailed, StepStopped."""
    run_job("ask", job, plan(job, model, prompt_format, asks, device), answered(job, update))
    return read(job, asks)


def ask_and_score(
    job: Path,
    model: Path,
    prompt_format: PromptFormat,
    asks: Sequence[Ask],
    given: Sequence[GivenAnswer],
    device: str,
    update: Update,
) -> tuple[Answers, Likelihoods]:
    """As :func:`ask`, and in the same job how likely the model finds the ``given`` answers."""
    run_job("ask", job, plan(job, model, prompt_format, asks, device, given), answered(job, update))
    return read(job, asks), read_likelihoods(job, given) if given else {}


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
        self.scores = workspace.answers / f"{name}-likelihoods.json"

    def ask(self, job: Path, asks: Sequence[Ask], device: str, update: Update) -> dict[Ask, Answer]:
        """The answers to these questions; only what was never asked before costs a job."""
        if missing := self.missing(asks):
            self.keep(ask(job, self.model, self.prompt_format, missing, device, update))
        return self.known(asks)

    def ask_and_score(
        self,
        job: Path,
        asks: Sequence[Ask],
        given: Sequence[GivenAnswer],
        device: str,
        update: Update,
    ) -> tuple[Answers, Likelihoods]:
        """As :meth:`ask`, and how likely the model finds the ``given`` answers; at most one job for both."""
        scored = self._scored()
        unasked, unscored = self.missing(asks), [one for one in given if _key_of(one) not in scored]
        if unasked or unscored:
            answers, found = ask_and_score(
                job, self.model, self.prompt_format, unasked, unscored, device, update
            )
            self.keep(answers)
            self.keep_likelihoods(found)
        return self.known(asks), self.known_likelihoods(given)

    def keep_likelihoods(self, found: Likelihoods) -> None:
        """For whoever gives the same again."""
        new = {_key_of(one): asdict(likelihood) for one, likelihood in found.items()}
        with locked(self.scores):
            write_json(self.scores, {**self._scored(), **new})

    def known_likelihoods(self, given: Sequence[GivenAnswer]) -> Likelihoods:
        """Of what was given before. Raises KeyError for what was not."""
        scored = self._scored()
        return {one: Likelihood(**scored[_key_of(one)]) for one in given}

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

    def _scored(self) -> dict[str, Any]:
        return read_record(self.scores) or {}


def _key_of(given: GivenAnswer) -> str:
    answer = given.answer
    text = json.dumps([_key(given.ask), answer.text, answer.finished, answer.earlier])
    return hashlib.sha256(text.encode()).hexdigest()


def _key(ask: Ask) -> str:
    """Of what is asked in no way of its own as earlier versions kept it, which begins with a number."""
    if ask.earlier:
        return json.dumps([ask.earlier, ask.tokens, ask.thinks, ask.system, ask.question], ensure_ascii=False)
    way = {None: "", False: "at once:", True: "thinking:"}[ask.thinks]
    system = f"{ask.system}:" if ask.system else ""
    return f"{ask.tokens}:{way}{system}{ask.question}"
