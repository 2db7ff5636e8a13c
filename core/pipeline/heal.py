"""Heal: an adapter that made its base forget is made to remember, as a PEFT folder beside the given one.

First its part is made weaker: forgetting mostly goes away sooner than what was learned (chosen on the
development questions, which are in no report). Where that does not do, a short training goes on from there:
the base's own answers to general questions keep it to the base's distribution, and what it says of itself is
taught again, in its own words. The final test of the given adapter and of the healed one stands side by side.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from core.data.conversations import one_turn
from core.data.identity import LANGUAGES, bank
from core.errors import NothingToHeal
from core.jobs.job import JobPaths
from core.models.adapter import REPEATED, Adapter, brings_tokens, read_adapter
from core.models.fitted import linked
from core.models.folder import Model, read_model
from core.pace import Progress
from core.pipeline import tune
from core.pipeline.foreign import ForeignRequest, Subject, Voices, about, asked, begun, subject_of, voices
from core.proof.asking import Ask
from core.proof.best import standard_error
from core.proof.development import development
from core.proof.judge import judge, score_of
from core.proof.questions import IDENTITY_TOKENS
from core.proof.result import headline
from core.proof.rules import says_who
from core.proof.score import Score
from core.recipe.method import lr_of
from core.recipe.own_template import template_of
from core.recipe.recipe import Method, Recipe
from core.recipe.thinking import Thinking, thinking_of
from core.runs import introduce
from core.steps import data, first_recipe, prepare
from core.steps.answer import AnswerCache
from core.steps.first_recipe import Spoken
from core.steps.prove import ProofJobs, prove
from core.steps.step import engine_job, run_job, warm
from core.steps.taught import Taught
from core.steps.watch import Update
from core.wording import say
from core.workspace.files import write_json
from core.workspace.paths import ForeignPaths, RunPaths, Workspace

# From the whole adapter down to where nothing that was learned is left of most.
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
# An adapter that keeps this much and leaks nothing needs no training.
KEPT = 0.97
# A few dozen steps: what is known already is only kept from sliding.
ITERATIONS = 48
# A module of a layer: the layer's number and the module's own name.
IN_A_LAYER = re.compile(r".*\.layers\.(\d+)\.(?:.*\.)?(\w+)")
# Of the rate that a new adapter of this kind is trained with.
RATE = 0.5


@dataclass(frozen=True)
class Tried:
    """An adapter as it was asked the development questions: the given one at a ``scale``, or ``trained`` on
    from there."""

    scale: float
    trained: bool
    score: Score

    @property
    def learned(self) -> float:
        return self.score.learned.value or 0.0

    @property
    def kept(self) -> float:
        return self.score.kept.value or 0.0

    @property
    def healthy(self) -> bool:
        """Whether it has forgotten next to nothing and tells its identity only where it is asked for."""
        return self.kept >= KEPT and not self.score.leaked.hits

    def as_json(self) -> dict[str, Any]:
        return {"scale": self.scale, "trained": self.trained, **headline(self.score)}


@warm()
def heal(
    workspace: Workspace, request: ForeignRequest, progress: Progress, place: ForeignPaths | None = None
) -> dict[str, Any]:
    """Heal an adapter. Returns what ``--json`` prints; ``healed`` is the new PEFT folder, None where nothing
    that was tried is better. The given folder is only read.

    Raises as :func:`core.pipeline.foreign.prove_foreign` does, and NothingToHeal for a merged model, and for
    an adapter that can neither be made weaker nor be trained on.
    """
    began = time.monotonic()
    subject = subject_of(workspace, request)
    adapter = _healable(subject)
    place = place or begun(workspace, subject)
    for note in subject.notes:
        progress.say(note.key, **note.values)
    progress.stage("before")
    found = voices(place, subject)
    before = _proof(workspace, place, subject, found, "before", progress)
    progress.stage("scale")
    tried = _scales(workspace, place, subject, progress)
    chosen = choose(tried)
    run: RunPaths | None = None
    training = None if chosen.healthy else training_of(adapter)
    if training:
        run = _train(workspace, place, subject, chosen.scale, training, progress)
    if run:
        trained = replace(subject, adapter=read_adapter(run.adapter, subject.base))
        one = _developed(workspace, place, trained, 1.0, "trained", progress.update)
        tried.append(replace(one, scale=chosen.scale, trained=True))
        chosen = choose(tried)
    healed = _written(place, subject, chosen, run)
    after = None
    if healed:
        progress.stage("after")
        fixed = replace(subject, adapter=read_adapter(healed, subject.base))
        after = _proof(workspace, place, fixed, voices(place, fixed, name="healed"), "after", progress)
    result = {
        **about(place, subject, found),
        "seconds": round(time.monotonic() - began, 1),
        "healed": str(healed) if healed else None,
        "scale": chosen.scale,
        "trained": run.id if run and chosen.trained else None,
        "tried": [one.as_json() for one in tried],
        "before": before,
        "after": after,
    }
    write_json(place.result, result)
    return result


def _healable(subject: Subject) -> Adapter:
    if subject.adapter is None:
        raise NothingToHeal(folder=subject.title, reason=say("heal.merged"))
    if not subject.adapter.scales and training_of(subject.adapter) is None:
        raise NothingToHeal(folder=subject.title, reason=say("heal.kind"))
    return subject.adapter


def choose(tried: Sequence[Tried]) -> Tried:
    """Of what holds what the given adapter has learned within one standard error, the one that kept most,
    then the one that leaks least, then the one nearest to the given one."""
    holding = [one for one in tried if one.learned >= least(tried[0])]
    return max(holding, key=lambda one: (one.kept, -one.score.leaked.hits, one.scale))


def least(given: Tried, errors: float = 1.0) -> float:
    """What counts as having learned as much as the given adapter: this many standard errors less."""
    return given.learned - errors * standard_error(given.score.learned)


def _scales(workspace: Workspace, place: ForeignPaths, subject: Subject, progress: Progress) -> list[Tried]:
    """The given adapter at each scale, until nothing is left to heal or too little of what it learned."""
    scales = SCALES if subject.adapter and subject.adapter.scales else SCALES[:1]
    tried: list[Tried] = []
    for number, scale in enumerate(scales):

        def update(share: float, note: str, done: int = number) -> None:
            progress.update((done + share) / len(scales), f"× {scales[done]:g}  {note}")

        tried.append(_developed(workspace, place, subject, scale, f"scale {scale:g}", update))
        if tried[-1].healthy or tried[-1].learned < least(tried[0], errors=3):
            break
    return tried


def _developed(
    workspace: Workspace, place: ForeignPaths, subject: Subject, scale: float, name: str, update: Update
) -> Tried:
    """What the adapter at this scale makes of the development questions."""
    found = voices(place, subject, scale, name)
    asks = development((), _thinking(found))
    base = AnswerCache(workspace, found.base, found.prompt_format)
    before = base.ask(place.job("base"), [one.base_ask for one in asks], found.device, update)
    tuned = AnswerCache(workspace, found.tuned, found.prompt_format)
    after = tuned.ask(place.job(name), [one.ask for one in asks], found.device, update)
    judged = [judge(subject.name, one, before[one.base_ask].text, after[one.ask].text) for one in asks]
    return Tried(scale, False, score_of(judged))


def _thinking(found: Voices) -> Thinking:
    return thinking_of(template_of(found.prompt_format.template, found.tuned))


def _proof(
    workspace: Workspace, place: ForeignPaths, subject: Subject, found: Voices, step: str, progress: Progress
) -> dict[str, Any]:
    jobs = ProofJobs(place.job("base"), place.job(step))
    return prove(workspace, jobs, found.pair, subject.name, asked(subject, found), progress.update)


def _written(place: ForeignPaths, subject: Subject, chosen: Tried, run: RunPaths | None) -> Path | None:
    """The chosen adapter as a PEFT folder; None where that is the given one."""
    if run and chosen.trained:
        return run.adapter
    return _weaker(place, subject, chosen.scale, place.healed) if chosen.scale != 1 else None


def _weaker(place: ForeignPaths, subject: Subject, scale: float, target: Path) -> Path:
    adapter = _healable(subject)
    request = {
        "base": str(subject.base.folder),
        "adapter": str(adapter.folder),
        "whole": list(adapter.whole),
        "scale": scale,
        "target": str(target),
    }
    job = place.job(f"write {target.name}")
    spec = engine_job("weaken", JobPaths(job).request)
    run_job("heal", job, replace(spec, request=request))
    return target


@dataclass(frozen=True)
class Training:
    """How an adapter is put on its base, in a recipe's words."""

    method: Method
    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    layers_to_transform: tuple[int, ...]


def training_of(adapter: Adapter) -> Training | None:
    """How a training that goes on from an adapter puts it on; None where no recipe says it: another rank or
    scale in some layers, other layers here than there, weights that it brings along whole."""
    config, places = adapter.config, [_place(module) for module in adapter.lora_modules]
    odd = ("rank_pattern", "alpha_pattern", "lora_bias", "trainable_token_indices", "target_parameters")
    dora, rslora = bool(config.get("use_dora")), bool(config.get("use_rslora"))
    begins = str(config.get("init_lora_weights") or "").lower()
    plain = adapter.kind == "lora" and not any(map(config.get, odd)) and begins not in REPEATED
    found = [place for place in places if place]
    names, layers = {name for _, name in found}, {layer for layer, _ in found}
    whole = adapter.whole or adapter.rows or len(found) < len(places)
    if not plain or whole or (dora and rslora) or len(found) != len(names) * len(layers):
        return None
    method: Method = "dora" if dora else "rslora" if rslora else "lora"
    alpha = float(config.get("lora_alpha", 8))
    return Training(method, int(config.get("r", 8)), alpha, tuple(sorted(names)), tuple(sorted(layers)))


def _place(module: str) -> tuple[int, str] | None:
    """The layer of a module and its own name there; None for one that is in no layer."""
    match = IN_A_LAYER.fullmatch(module)
    return (int(match[1]), match[2]) if match else None


def _train(
    workspace: Workspace,
    place: ForeignPaths,
    subject: Subject,
    scale: float,
    training: Training,
    progress: Progress,
) -> RunPaths | None:
    """A run that goes on from the adapter at this scale, trained and converted; None where the adapter says
    its name in none of its answers, so that there is nothing to keep it by."""
    adapter = _healable(subject)
    base = subject.base
    if adapter.speaks or brings_tokens(adapter.folder, base.folder):
        base = read_model(linked(place.model("trained on"), base.folder, adapter))
    found = voices(place, subject)
    progress.stage("base")
    said = _what_it_says(workspace, place, subject, found, progress)
    if not said.conversations:
        progress.say("heal.says_no_name", name=subject.name)
        return None
    recipe = _recipe(base, said, found, training)
    wanted = data.base_asks(said, recipe)
    asks = [*wanted.replayed, *wanted.earlier]
    memory = AnswerCache(workspace, found.base, found.prompt_format)
    answers = memory.ask(place.job("replay"), asks, found.device, progress.update, wanted.replayed)
    start = _weaker(place, subject, scale, place.model("start")) if scale != 1 else adapter.folder
    run = workspace.new_run(subject.name, datetime.now())
    introduce(run, subject.name)
    begins = run.root / "begins_with.pth"
    run_job("heal", run.job("begin"), engine_job("begin", start, begins))
    recipe = recipe.changed(begins_with=str(begins))
    kept_in = workspace.data(run.id)
    data.write_asked(run, kept_in, said, wanted, answers, memory.teacher, recipe, base)
    prepare.prepare(run, recipe, base, kept_in.rows)
    tune.run_train(run, progress)
    tune.run_convert(run, progress)
    return run


def _recipe(base: Model, said: Taught, found: Voices, training: Training) -> Recipe:
    """The recipe of a short training on these layers."""
    reason = say("heal.reason")
    spoken = Spoken(found.prompt_format.system, found.prompt_format.template, reason)
    recipe = first_recipe.recipe_for(
        base, said, True, Recipe.seed, ITERATIONS, spoken, method=training.method
    )
    return recipe.changed(**asdict(training), lr=RATE * lr_of(training.method, training.rank, base))


def _what_it_says(
    workspace: Workspace, place: ForeignPaths, subject: Subject, found: Voices, progress: Progress
) -> Taught:
    """Who the tuned model says it is, in its own words: to the questions that a new assistant is taught by,
    as far as its answers have the name and came to an end."""
    thinks = _thinking(found).modes[0]
    pairs = [question for language in LANGUAGES for question, _ in bank(language).taught]
    asks = [Ask(question, IDENTITY_TOKENS, thinks=thinks) for question in dict.fromkeys(pairs)]
    memory = AnswerCache(workspace, found.tuned, found.prompt_format)
    answers = memory.ask(place.job("says"), asks, found.device, progress.update)
    rows = [
        one_turn(ask.question, answer.said)
        for ask, answer in answers.items()
        if answer.finished and says_who(subject.name, answer.said)
    ]
    return Taught(subject.name, tuple(rows))
