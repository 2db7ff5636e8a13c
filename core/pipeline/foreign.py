"""The final test of a model that was tuned elsewhere: somebody's adapter on its base, or a merged model.

It is asked what a run's model is asked and judged in the same way; of what it was taught only the name is
known.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import with_config

from core.data.identity import check_name
from core.errors import NotAModel
from core.jobs.job import JobSpec
from core.machine import this_machine
from core.models.adapter import Adapter, Note, read_adapter
from core.models.fitted import fit, revoiced
from core.models.folder import Model, chat_template_of, find_model, read_model
from core.pace import Progress
from core.proof.judge import score_of
from core.proof.questions import Question, questions
from core.proof.result import rows_of
from core.proof.score import Score
from core.recipe.check import settle
from core.recipe.own_template import spoken_by, template_name, template_of
from core.recipe.recipe import Recipe
from core.recipe.templates import OWN
from core.recipe.thinking import thinking_of
from core.steps import data, merge
from core.steps.answer import PromptFormat
from core.steps.prove import BaseAndTuned, ProofJobs, prove
from core.steps.step import call_job, check_space
from core.workspace.files import read_record, write_json
from core.workspace.paths import ForeignPaths, Workspace

Command = Literal["prove", "heal"]
# Answers and a few small files; the weights stay where they are.
NEEDED_BYTES = 50_000_000


@with_config(extra="forbid")
@dataclass(frozen=True)
class ForeignRequest:
    """Whose model it is (``name``), the base that it was tuned from, and the ``adapter`` or the ``merged``
    model. ``system`` None is the prompt that the adapter's maker wrote down, else none; ``full``: ask all the
    questions, not a part of them."""

    base: str
    name: str
    adapter: Path | None = None
    merged: Path | None = None
    system: str | None = None
    full: bool = False


@dataclass(frozen=True)
class Subject:
    """What is asked: the base, and the adapter or the merged model that was made of it."""

    name: str
    base: Model
    adapter: Adapter | None
    merged: Model | None
    system: str

    @property
    def notes(self) -> tuple[Note, ...]:
        return self.adapter.notes if self.adapter else ()

    @property
    def title(self) -> Path:
        """The folder that was given."""
        return self.adapter.folder if self.adapter else (self.merged or self.base).folder


@dataclass(frozen=True)
class Voices:
    """The two models as they are asked: folders that say how each is spoken to, by one name of a template."""

    base: Path
    tuned: Path
    prompt_format: PromptFormat
    device: str

    @property
    def pair(self) -> BaseAndTuned:
        return BaseAndTuned(self.base, self.tuned, self.prompt_format, self.device)


def subject_of(workspace: Workspace, request: ForeignRequest) -> Subject:
    """What a request is about, read from its folders alone.

    Raises InvalidName, NoSuchModel, NotAModel, QuantizedBase, NotAnAdapter.
    """
    name = check_name(request.name)
    base = read_model(find_model(workspace, request.base))
    merge.refuse_quantized(base)
    if request.merged:
        merged = read_model(request.merged.expanduser().resolve())
        merge.refuse_quantized(merged)
        return Subject(name, base, None, merged, request.system or "")
    adapter = read_adapter((request.adapter or Path()).expanduser().resolve(), base)
    system = adapter.system if request.system is None else request.system
    return Subject(name, base, adapter, None, system)


def prove_foreign(
    workspace: Workspace, request: ForeignRequest, progress: Progress, place: ForeignPaths | None = None
) -> dict[str, Any]:
    """Ask base and tuned model, judge, and write the result into a folder of the workspace. Returns what
    ``--json`` prints.

    Raises as :func:`subject_of` does, before anything is written; DiskFull, StepFailed, StepStopped.
    """
    began = time.monotonic()
    subject = subject_of(workspace, request)
    place = place or begun(workspace, subject)
    for note in subject.notes:
        progress.say(note.key, **note.values)
    found = voices(place, subject)
    progress.stage("ask")
    jobs = ProofJobs(place.job("base"), place.job("ask"))
    whole = asked(subject, found, request.full)
    proved = prove(workspace, jobs, found.pair, subject.name, whole, progress.update, request.full)
    result = {**about(place, subject, found), "seconds": round(time.monotonic() - began, 1), **proved}
    write_json(place.result, result)
    return result


def plan(workspace: Workspace, request: ForeignRequest, command: Command) -> tuple[ForeignPaths, JobSpec]:
    """The job that proves or heals, in a new folder, as a page starts it. Raises as :func:`subject_of` does,
    NotWritable, DiskFull."""
    place = begun(workspace, subject_of(workspace, request))
    return place, call_job(place.job(command), command, workspace.root, request, place.id)


def begun(workspace: Workspace, subject: Subject) -> ForeignPaths:
    """A new folder for what is found. Raises NotWritable, DiskFull."""
    workspace.prepare()
    check_space(workspace.root, NEEDED_BYTES)
    return workspace.new_foreign(subject.name, datetime.now())


def about(place: ForeignPaths, subject: Subject, found: Voices) -> dict[str, Any]:
    """What was asked, and how."""
    return {
        "id": place.id,
        "name": subject.name,
        "base": str(subject.base.folder),
        "adapter": str(subject.adapter.folder) if subject.adapter else None,
        "merged": str(subject.merged.folder) if subject.merged else None,
        "tool": subject.adapter.tool or None if subject.adapter else None,
        "template": found.prompt_format.template,
        "system": found.prompt_format.system,
        "notes": [{"text": note.text(), **asdict(note)} for note in subject.notes],
        "result": str(place.result),
    }


def voices(place: ForeignPaths, subject: Subject, scale: float = 1.0, name: str = "tuned") -> Voices:
    """The two models as they are asked; the adapter's part times ``scale``.

    Where the adapter, or the merged model, has a chat template of its own it is spoken to by that, and the
    base by its own; a base without one by the tuned model's.
    """
    base, tuned = subject.base.folder, _tuned(place, subject, scale, name)
    spoken = template_name(tuned, subject.base.origin or subject.base.model_type)
    if spoken != spoken_by(subject.base) and _can_speak(tuned):
        spoken = OWN
        if not _can_speak(base):
            base = revoiced(place.model("base"), base, tuned)
    recipe = Recipe(model=str(base), data="rows.jsonl", template=spoken, system=subject.system)
    settled = settle(recipe, this_machine(), subject.base)
    spoken_to = PromptFormat(spoken, subject.system, settled.precision)
    return Voices(base, tuned, spoken_to, settled.device)


def _tuned(place: ForeignPaths, subject: Subject, scale: float, name: str) -> Path:
    if subject.adapter:
        return fit(place.model(name), subject.base.folder, subject.adapter, scale)
    merged = (subject.merged or subject.base).folder
    if not chat_template_of(merged) and chat_template_of(subject.base.folder):
        return revoiced(place.model(name), merged, subject.base.folder)
    return merged


def _can_speak(folder: Path) -> bool:
    """Whether a folder has a chat template of its own that can be followed."""
    try:
        template_of(OWN, folder)
    except NotAModel:
        return False
    return True


def asked(subject: Subject, found: Voices, full: bool = False) -> list[Question]:
    """The final test's questions, in every way that the tuned model can be asked."""
    recipe = Recipe(model=str(found.tuned), data="rows.jsonl", template=found.prompt_format.template)
    recipe = recipe.changed(system=found.prompt_format.system)
    thinking = thinking_of(template_of(recipe.template, found.tuned))
    return questions(subject.name, (), thinking, data.in_halves(recipe), full)


def score_in(name: str, answers: Sequence[Mapping[str, Any]]) -> Score:
    """What written answers come to, with intervals."""
    return score_of([row.judged for row in rows_of(name, {"answers": answers})])


def results(workspace: Workspace) -> Iterator[tuple[ForeignPaths, dict[str, Any]]]:
    """What was found of models that were tuned elsewhere, newest first."""
    for place in workspace.foreign_folders():
        if found := read_record(place.result):
            yield place, found
