"""The kept checkpoints of a run: every one proved, and the best found and used."""

import time
from dataclasses import dataclass
from typing import Any

from pydantic import with_config

from core.jobs.job import JobSpec
from core.jobs.request import as_record
from core.pace import Progress
from core.pipeline import saying
from core.proof.development import development
from core.proof.judge import judge, score_of
from core.steps import answer_checkpoints, checkpoints_proof, chosen, data, prepare, train
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.checkpoints import Trained, whole
from core.steps.checkpoints_proof import CheckpointProof, CheckpointsProof
from core.steps.step import call_job
from core.workspace.paths import RunPaths, Workspace

# The job of the command line that asks every checkpoint, and the engine's that it starts.
PROVE, CHOOSE = "checkpoints", "choose"


@with_config(extra="forbid")
@dataclass(frozen=True)
class CheckpointsRequest:
    """Ask every kept checkpoint; there is nothing to choose."""


def plan_prove(workspace: Workspace, run: RunPaths) -> JobSpec:
    """The job that asks every kept checkpoint. Raises MissingArtefact, NoSuchModel."""
    train.read(run)
    prepare.model_of(run)
    return call_job(run.job(PROVE), PROVE, workspace.root, CheckpointsRequest(), run.id)


def prove(workspace: Workspace, run: RunPaths, progress: Progress) -> CheckpointsProof:
    """Ask every whole checkpoint the development questions, judge it beside the base, and keep what came of
    it. What was asked before is not asked again.

    Raises MissingArtefact without a checkpoint, NoWholeCheckpoint, NoSuchModel, StepFailed, StepStopped.
    """
    began = time.monotonic()
    train.read(run)
    saying.say_passed_over(run, progress)
    kept = whole(run.work_dir)
    said, recipe = data.read(run), prepare.recipe_of(run)
    asked = development(said.conversations, data.thinking_in(recipe))
    prompt_format = PromptFormat.of(recipe)
    progress.stage("choose")
    base = AnswerCache(workspace, prepare.model_of(run).folder, prompt_format).ask(
        run.job("base"), list(dict.fromkeys(one.base_ask for one in asked)), recipe.device, progress.update
    )
    asks = [one.ask for one in asked]
    found = answer_checkpoints.ask(run, run.job(CHOOSE), kept, prompt_format, asks, progress.update)

    def proof_of(one: Trained) -> CheckpointProof:
        judged = [judge(said.name, q, base[q.base_ask].text, found[one][q.ask].text) for q in asked]
        return CheckpointProof.of(one.iteration, one.checkpoint, score_of(judged))

    proof = CheckpointsProof.of([proof_of(one) for one in kept], round(time.monotonic() - began, 1))
    checkpoints_proof.write(run, proof)
    progress.say("checkpoints.best", iteration=proof.best, count=len(kept))
    return proof


def as_json(run: RunPaths, proof: CheckpointsProof) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {"run": run.id, "used": chosen.used(run).iteration, **as_record(proof)}


def choose(workspace: Workspace, run: RunPaths, progress: Progress) -> None:
    """Use the best checkpoint where the run's recipe asks for it and none was chosen since it was trained."""
    asks = prepare.recipe_of(run).checkpoint == "best"
    if asks and chosen.read(run) is None and len(whole(run.work_dir)) > 1:
        choose_best(workspace, run, progress)


def choose_best(workspace: Workspace, run: RunPaths, progress: Progress) -> Trained:
    """Prove every checkpoint and use the best."""
    return chosen.choose(run, prove(workspace, run, progress).best, by_proof=True)
