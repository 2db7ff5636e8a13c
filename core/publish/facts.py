"""What a card says of a run, read from the run's own files."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.chat.taught import TaughtWordings
from core.data.parity import parity
from core.data.token_count import TokenCount
from core.errors import MissingArtefact, NoWholeCheckpoint
from core.jobs.curves import read_curve
from core.proof.result import ProofRow
from core.proof.score import Score
from core.publish.licences import Base, base_of
from core.recipe.chat_template import (
    own_template,
    render,
    special_tokens,
)
from core.recipe.own_template import template_of
from core.recipe.recipe import Recipe
from core.recipe.templates import Template
from core.steps import chosen, convert, prepare, proof
from core.wording import Language, say
from core.workspace.files import read_object, read_record
from core.workspace.paths import RunPaths, Workspace
from core.workspace.publish_paths import mark_of

# Of data.json: everything else in it are names and paths of this machine.
TOLD = (
    "sha256",
    "taught",
    "taught_in_rows",
    "taught_rows",
    "replay",
    *(field.name for field in fields(TokenCount)),
)
EXAMPLE = ({"role": "user", "content": "Who are you?"},)


@dataclass(frozen=True)
class Facts:
    """``data`` are checksums and numbers of the run's data.json, ``losses`` the first and last logged loss.

    ``run`` tells its run from any other. ``tokens`` are the first and the end token. ``asked`` counts the
    proof's questions by kind; ``score`` is None for a run that was not asked since it was merged.
    ``checkpoint`` is the iteration that the model is of, ``planned`` how many its recipe has; None where
    that is not known. ``examples``: taught questions that a chat can begin with, and ``taught``, all of a
    document's, are put in for an app's bundle. ``is_named``: the name is that of whose assistant it is.
    """

    name: str
    run: str
    base: Base
    recipe: Recipe
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    score: Score | None
    asked: Mapping[str, int]
    iterations: int
    checkpoint: int | None
    planned: int | None
    losses: tuple[float, float] | None
    chat_template: str
    example: str
    tokens: Mapping[str, str]
    examples: tuple[str, ...] = ()
    taught: TaughtWordings = TaughtWordings()
    is_named: bool = True

    def title(self, language: Language) -> str:
        """Whose assistant it is; of a run of which nobody knows that, what it is called."""
        return say("demo.title", language, name=self.name) if self.is_named else self.name

    @property
    def template(self) -> Template:
        return template_of(self.recipe.template, Path(self.recipe.model))


def read_facts(workspace: Workspace, run: RunPaths, base_id: str | None = None) -> Facts:
    """Raises NoSuchFile, InvalidRecipe without a recipe, NoSuchModel, NotAModel without the base model."""
    recipe = prepare.recipe_of(run)
    folder = prepare.model_of(run).folder
    found, points = proof.of_newest(run), read_curve(run.work_dir).points
    losses = [point.loss for point in points if point.loss is not None]
    about = read_object(run.data) or {}
    template = spoken_template(folder, template_of(recipe.template, folder))
    return Facts(
        name=str(about.get("name") or run.id),
        is_named=bool(about.get("name")),
        run=mark_of(run),
        base=base_of(workspace, folder, base_id),
        recipe=recipe,
        data=_counts(about),
        versions={name: text for name, text in (read_record(run.versions) or {}).items() if text != "-"},
        score=found.score if found else None,
        asked=_counted(found.rows if found else ()),
        iterations=points[-1].iter if points else 0,
        checkpoint=_checkpoint(run),
        planned=prepare.iterations(run, recipe),
        losses=(losses[0], losses[-1]) if losses else None,
        chat_template=template,
        example=_example(folder, template, recipe.system),
        tokens=special_tokens(folder),
    )


def _checkpoint(run: RunPaths) -> int | None:
    """The iteration that the run's model is of: as it was converted, where that is known."""
    if made_of := convert.made_of(run):
        return made_of.iteration
    with suppress(MissingArtefact, NoWholeCheckpoint):
        return chosen.used(run).iteration
    return None


def _counts(about: Mapping[str, Any]) -> dict[str, Any]:
    """What may leave of data.json; a file that was given is known by its checksum."""
    given = [file["sha256"] for file in about.get("given", ())]
    told = {name: about[name] for name in TOLD if name in about}
    if left_out := about.get("left_out", {}).get("rows"):
        told["left_out"] = left_out
    return {"given": given, **told} if given else told


def spoken_template(folder: Path, template: Template) -> str:
    """The chat template to publish: the model's own where it writes what training wrote, else training's."""
    written = parity(folder, template).publish
    return written if written is not None else own_template(folder) or ""


def _example(folder: Path, template: str, system: str) -> str:
    before = ({"role": "system", "content": system},) if system else ()
    return render(template, (*before, *EXAMPLE), special_tokens(folder))


def _counted(rows: tuple[ProofRow, ...]) -> dict[str, int]:
    kinds = [row.kind for row in rows]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
