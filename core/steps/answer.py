"""Answer: many questions asked of one model in one job, and what a base model said remembered.

A base model is asked the same question once: its answers are kept by the model's fingerprint and how it was
spoken to, so that a second run on the same base starts where the first one had to work.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from core.data.encoder import Encoder, TokenRow
from core.data.mix import with_system
from core.data.own_encoder import encoder_of
from core.data.replay import replayed, turns
from core.data.teacher import Teacher, key_of, read_teacher, said_at, write_teacher
from core.errors import MissingArtefact, RowRefused
from core.jobs.job import JobPaths, JobSpec
from core.models.folder import fingerprint
from core.proof.asking import Answer, Ask, GivenAnswer, Likelihood
from core.recipe.own_template import template_of
from core.recipe.recipe import Recipe
from core.steps.shipped import ShippedAnswers, ShippedPaths, read_shipped
from core.steps.step import engine_job, run_job
from core.steps.watch import Update, answered
from core.workspace.files import locked, read_json, read_record, write_json
from core.workspace.paths import STARTER_ANSWERS, Workspace

ANSWERS, LIKELIHOODS = "answers.json", "likelihoods.json"
# What the model would say at each place of those answers that are to be replayed.
TEACHER = "teacher.safetensors"

Answers = dict[Ask, Answer]
Likelihoods = dict[GivenAnswer, Likelihood]


@dataclass(frozen=True)
class PromptFormat:
    """How a model is spoken to: the training's template and system prompt, and its number format."""

    template: str
    system: str
    precision: str

    @classmethod
    def of(cls, recipe: Recipe) -> "PromptFormat":
        """How a settled recipe's model is spoken to, before, during and after training."""
        return cls(recipe.template, recipe.system, recipe.precision)


def token_row(encoder: Encoder, ask: Ask, answer: Answer, system: str) -> TokenRow | None:
    """An answer as a row that is trained, after all that came before it, where ``system`` is the recipe's
    prompt; None where nothing was said, or what the template refuses."""
    before = turns(ask.earlier, answer.earlier)
    rows = replayed(ask.question, answer.text, ask.system, ask.thinks, before)
    found: list[TokenRow] = []
    with suppress(RowRefused):
        found += [row for each in rows for row in encoder.rows(with_system(each, system))]
    return next((row for row in reversed(found) if said_at(row.trained)), None)


def plan(
    job: Path,
    model: Path,
    prompt_format: PromptFormat,
    asks: Sequence[Ask],
    device: str,
    given: Sequence[GivenAnswer] = (),
    replayed: Collection[Ask] = (),
) -> JobSpec:
    """The job that asks, in the folder ``job``, and says how likely the model finds what is ``given``, and
    what else it would have said where its answers are to be ``replayed``."""
    request = {
        "model": str(model),
        "template": prompt_format.template,
        "system": prompt_format.system,
        "precision": prompt_format.precision,
        "questions": [asdict(ask) for ask in asks],
        **({"texts": [text_of(one) for one in given]} if given else {}),
        "replayed": [number for number, ask in enumerate(asks) if ask in replayed],
        "teacher": str(job / TEACHER),
    }
    env = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    results = (ANSWERS, LIKELIHOODS) if given else (ANSWERS,)
    spec = engine_job("answer", JobPaths(job).request, *(job / name for name in results), env=env)
    return replace(spec, request=request, results=(*results, TEACHER))


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
    job: Path,
    model: Path,
    prompt_format: PromptFormat,
    asks: Sequence[Ask],
    device: str,
    update: Update,
    replayed: Collection[Ask] = (),
) -> Answers:
    """Ask a model in a job of its own and wait for the answers. Raises StepFailed, StepStopped."""
    run_job("ask", job, plan(job, model, prompt_format, asks, device, (), replayed), answered(job, update))
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
        self._asked_of = (fingerprint(model), prompt_format.template, prompt_format.system, trained)
        self.path = workspace.answers / f"{name}.json"
        self.scores = workspace.answers / f"{name}-likelihoods.json"
        self._teacher = workspace.answers / f"{name}.safetensors"

    def ask(
        self,
        job: Path,
        asks: Sequence[Ask],
        device: str,
        update: Update,
        replayed: Collection[Ask] = (),
        begins: Callable[[], object] = lambda: None,
    ) -> dict[Ask, Answer]:
        """The answers to these questions; only what was never asked before costs a job, before which
        ``begins`` is called. Of those that are to be ``replayed``, :attr:`teacher` then has what else the
        model would have said."""
        untold = frozenset(self._untold(replayed))
        if missing := list(dict.fromkeys([*self.missing(asks), *untold])):
            begins()
            answers = ask(job, self.model, self.prompt_format, missing, device, update, untold)
            self.keep(answers, read_teacher(job / TEACHER) if untold else {})
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
        unasked, unscored = self.missing(asks), [one for one in given if key_of_given(one) not in scored]
        if unasked or unscored:
            answers, found = ask_and_score(
                job, self.model, self.prompt_format, unasked, unscored, device, update
            )
            self.keep(answers)
            self.keep_likelihoods(found)
        return self.known(asks), self.known_likelihoods(given)

    def shipped_of(self, asks: Sequence[Ask]) -> dict[str, Any] | None:
        """Of how many of these questions the answer came with the program, when and with what it was made;
        None where all were asked here."""
        own, about = self._own(), self.shipped.about
        keys = {key_of_ask(one) for one in asks}
        if not (count := len(keys & self.shipped.answers.keys() - own.keys())):
            return None
        return {"count": count, **{name: about[name] for name in ("made", "device", "precision", "versions")}}

    def keep_likelihoods(self, found: Likelihoods) -> None:
        """For whoever gives the same again."""
        new = {key_of_given(one): asdict(likelihood) for one, likelihood in found.items()}
        with locked(self.scores):
            write_json(self.scores, {**(read_record(self.scores) or {}), **new})

    def known_likelihoods(self, given: Sequence[GivenAnswer]) -> Likelihoods:
        """Of what was given before. Raises KeyError for what was not."""
        scored = self._scored()
        return {one: Likelihood(**scored[key_of_given(one)]) for one in given}

    @property
    def teacher(self) -> Teacher:
        """What the model would say in its own answers that were to be replayed."""
        return {**self.shipped.teacher, **read_teacher(self._teacher)}

    @cached_property
    def shipped(self) -> ShippedAnswers:
        """What came with the program of this model's answers."""
        *model, trained = self._asked_of
        return ShippedAnswers() if trained else read_shipped(ShippedPaths(STARTER_ANSWERS), *model)

    def missing(self, asks: Sequence[Ask]) -> list[Ask]:
        """What was never asked before."""
        known = self._all()
        return [ask for ask in asks if key_of_ask(ask) not in known]

    def keep(self, answers: Mapping[Ask, Answer], teacher: Teacher | None = None) -> None:
        """For whoever asks the same again."""
        new = {key_of_ask(one): as_kept(answer) for one, answer in answers.items()}
        with locked(self.path):
            write_json(self.path, {**self._own(), **new})
            if teacher:
                write_teacher(self._teacher, {**read_teacher(self._teacher), **teacher})

    def _untold(self, replayed: Collection[Ask]) -> list[Ask]:
        """Of what is to be replayed, what was never asked or only answered."""
        if not replayed:
            return []
        known, teacher = self._all(), self.teacher
        encoder = self.encoder()

        def told(one: Ask) -> bool:
            if (answer := known.get(key_of_ask(one))) is None:
                return False
            row = token_row(encoder, one, Answer.of(answer), self.prompt_format.system)
            return row is None or key_of(row.ids, row.trained) in teacher

        return [one for one in replayed if not told(one)]

    def encoder(self) -> Encoder:
        """What encodes its answers as they are trained. Raises NotAModel."""
        template = template_of(self.prompt_format.template, self.model)
        return encoder_of(self.model / "tokenizer.json", template)

    def known(self, asks: Sequence[Ask]) -> dict[Ask, Answer]:
        """The answers to what was asked before. Raises KeyError for what was not."""
        known = self._all()
        return {one: Answer.of(known[key_of_ask(one)]) for one in asks}

    def _all(self) -> dict[str, Any]:
        return {**self.shipped.answers, **self._own()}

    def _own(self) -> dict[str, Any]:
        return read_record(self.path) or {}  # a damaged file only costs asking again

    def _scored(self) -> dict[str, Any]:
        return {**self.shipped.likelihoods, **(read_record(self.scores) or {})}


def not_shipped(asks: Sequence[Ask]) -> list[Ask]:
    """Which of these questions came without the starter's answer; it need not be unpacked."""
    known = read_record(ShippedPaths(STARTER_ANSWERS).answers) or {}
    return [ask for ask in asks if key_of_ask(ask) not in known]


def key_of_given(given: GivenAnswer) -> str:
    answer = given.answer
    text = json.dumps([key_of_ask(given.ask), answer.text, answer.finished, answer.earlier])
    return hashlib.sha256(text.encode()).hexdigest()


def as_kept(answer: Answer) -> dict[str, Any]:
    """An answer as the memory has it."""
    return asdict(answer)


def key_of_ask(ask: Ask) -> str:
    """Of what is asked in no way of its own as earlier versions kept it, which begins with a number."""
    if ask.earlier:
        return json.dumps([ask.earlier, ask.tokens, ask.thinks, ask.system, ask.question], ensure_ascii=False)
    way = {None: "", False: "at once:", True: "thinking:"}[ask.thinks]
    system = f"{ask.system}:" if ask.system else ""
    return f"{ask.tokens}:{way}{system}{ask.question}"
