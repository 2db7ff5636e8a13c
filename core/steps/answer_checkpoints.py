"""Answer for several checkpoints of a run in one job: the base model is loaded once, and what a checkpoint
has said before is not asked again."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from core.errors import MissingArtefact
from core.jobs.job import JobPaths, JobSpec
from core.jobs.tail import last_lines
from core.proof.asking import Answer, Ask
from core.recipe.method import has_adapter
from core.steps import prepare
from core.steps.answer import ANSWERS, AnswerCache, PromptFormat
from core.steps.checkpoints import Trained, content_hash
from core.steps.step import engine_job, run_job
from core.steps.watch import Update, counted_in
from core.workspace.files import read_json
from core.workspace.paths import RunPaths

# What one look at the job's log reads of its end.
LINES = 1000
Said = dict[Trained, dict[Ask, Answer]]


def ask(
    run: RunPaths,
    job: Path,
    kept: Sequence[Trained],
    prompt_format: PromptFormat,
    asks: Sequence[Ask],
    update: Update,
) -> Said:
    """What each of these checkpoints of ``run`` answers; in a job in the folder ``job``, as far as it was
    never asked before. Raises MissingArtefact, NoSuchModel, StepFailed, StepStopped."""
    model = prepare.model_of(run).folder
    caches = {
        one: AnswerCache(run.workspace, model, prompt_format, content_hash(one.checkpoint)) for one in kept
    }
    missing = {one: found for one, cache in caches.items() if (found := cache.missing(asks))}
    if missing:
        spec = plan(run, job, missing, prompt_format)
        try:
            run_job("ask", job, spec, _answered(job, missing, update))
        finally:
            for one, answers in _read(job, missing).items():
                caches[one].keep(answers)
    if any(cache.missing(asks) for cache in caches.values()):
        raise MissingArtefact(what=ANSWERS, where=job, step="ask")
    return {one: cache.known(asks) for one, cache in caches.items()}


def plan(run: RunPaths, job: Path, missing: dict[Trained, list[Ask]], prompt_format: PromptFormat) -> JobSpec:
    """The job that asks each checkpoint what is missing of it, in the folder ``job``."""
    recipe = prepare.recipe_of(run)
    request = {
        "model": recipe.model,
        "template": prompt_format.template,
        "system": prompt_format.system,
        "precision": prompt_format.precision,
        "config": str(run.config) if has_adapter(recipe) else None,
        "checkpoints": [
            {"checkpoint": str(one.checkpoint), "questions": [asdict(ask) for ask in asks]}
            for one, asks in missing.items()
        ],
    }
    env = {"CUDA_VISIBLE_DEVICES": ""} if recipe.device == "cpu" else {}
    spec = engine_job("answer_checkpoints", JobPaths(job).request, job / ANSWERS, env=env)
    return replace(spec, request=request, results=(ANSWERS,))


def _read(job: Path, missing: dict[Trained, list[Ask]]) -> Said:
    """What a job has answered, of which some checkpoints may be missing where it was stopped."""
    found = read_json(job / ANSWERS) or []
    return {
        one: {ask: Answer.of(row) for ask, row in zip(asks, rows, strict=True)}
        for (one, asks), rows in zip(missing.items(), found, strict=False)
    }


def _answered(job: Path, missing: dict[Trained, list[Ask]], update: Update) -> Callable[[], None]:
    """A poll that reports the checkpoint that is asked, and how far all of them are."""

    def poll() -> None:
        place, share = 0, 0.0
        for line in last_lines(JobPaths(job).log, LINES):
            if line.startswith("checkpoint "):
                place, share = int(line.split()[1].partition("/")[0]), 0.0
            elif place and (found := counted_in(line, "answered")):
                share, _ = found
        if place:
            update((place - 1 + share) / len(missing), f"{place}/{len(missing)}")

    return poll
