"""What a person should know before hours are spent, a sentence each: of the data, and of a damaged
checkpoint."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.data.formats.fields import shortened
from core.data.mix import MANY_PASSES
from core.data.opening import say_left_out
from core.models.folder import Model
from core.pace import Progress
from core.proof.telling import asked_in
from core.recipe.own_template import OwnTemplate, own_default, template_of
from core.recipe.recipe import Recipe
from core.recipe.templates import OWN_WITHOUT_DEFAULT
from core.recipe.thoughts import split
from core.steps import data, first_recipe, resuming
from core.steps.fit import room_for
from core.steps.step import megabytes
from core.steps.taught import Taught, unfilled
from core.wording import percent
from core.workspace.paths import RunPaths


def say_contents(said: Taught, progress: Progress, left_out: Path) -> None:
    """Say what of a file is not trained, and what of it should not be; ``left_out``: the list of broken
    rows."""
    if said.left_out and said.given:
        say_left_out(said.given, said.left_out, progress)
        progress.say("tune.left_out", path=left_out)
    if said.document:
        counts = {"rows": len(said.document.conversations), "facts": len(said.document.facts)}
        progress.say("tune.document", path=said.given, **counts)
        for unused in said.document.unused:
            text = shortened(unused.text)
            progress.say("tune.document_unused", line=unused.line, text=text, why=unused.why)
    if said.facts:
        held_back = sum(one.held_back for one in said.facts)
        how = asked_in(len(said.facts), held_back)
        of = len(said.document.facts) if said.document else len(said.own)
        progress.say("tune.facts", count=len(said.facts), of=of, how=how)
    for one in said.accounts.parts:
        progress.say("data.omitted", what=one.named, rows=one.rows, why=one.why)
    for ignored in said.accounts.unused:
        progress.say("data.ignored", what=ignored.key, rows=ignored.rows)
    empty, first = unfilled(said) if said.given else (0, "")
    if empty:
        progress.say("cli.tune.unfilled", count=empty, example=first, file=shlex.quote(str(said.given)))
    if said.otherwise.rows:
        question, answer, found = said.otherwise.first[0]
        shown = {"question": shortened(question), "answer": shortened(answer), "why": found.message()}
        told = {"count": said.otherwise.rows, "name": shlex.quote(f"name={said.name}")}
        key = "cli.tune.otherwise" if said.otherwise.trained else "cli.tune.otherwise_left_out"
        progress.say(key, file=shlex.quote(str(said.given)), **shown, **told)
    if not said.names_it:
        progress.say("tune.name_not_in_data", name=said.name, path=said.given)


def say_passed_over(run: RunPaths, progress: Progress) -> None:
    """Say which checkpoints are damaged, so that an earlier one is taken."""
    if found := resuming.passed_over(run):
        progress.say("train.passed_over", **asdict(found))


def say_thoughts(said: Taught, progress: Progress) -> None:
    """Say that thoughts before the answers of a file are trained too."""
    count = sum(any(split(turn.output).thought for turn in row) for row in said.conversations)
    if count:
        progress.say("tune.thoughts_kept", count=count)


def say_template(recipe: Recipe, model: Model, progress: Progress) -> None:
    """Say that the rows are written by the model's own chat template, and what is done with a system prompt
    that it puts in by itself."""
    template = template_of(recipe.template, model.folder)
    if not isinstance(template, OwnTemplate):
        return
    progress.say("template.own")
    default = own_default(model.folder)
    if template.default and not recipe.system:
        progress.say("cli.template.default_trained", default=default, other=OWN_WITHOUT_DEFAULT)
    elif default and recipe.template == OWN_WITHOUT_DEFAULT:
        progress.say("template.default_dropped", default=default)


def say_fit(recipe: Recipe, progress: Progress) -> None:
    """Say which settings were chosen so that the training fits this machine's memory."""
    if recipe.deepspeed.endswith("offload"):
        progress.say("tune.fits.deepspeed", room=megabytes(room_for(recipe)), stage=recipe.deepspeed)
    if recipe.quantization == "none" and not recipe.activation_checkpointing:
        return
    values = {"rows": recipe.batch_size, "room": megabytes(room_for(recipe))}
    progress.say(f"tune.fits.{'nf4' if recipe.quantization == 'nf4' else 'again'}", **values)


def say_length(said: Taught, recipe: Recipe, model: Model, progress: Progress) -> None:
    """What the max length costs, before hours are spent on what is left."""
    cut = first_recipe.cut_of(said, recipe, model)
    values = {"limit": recipe.max_length, "count": cut.rows, "of": len(said.own or said.conversations)}
    shares = {"lost": percent(cut.lost), "kept": percent(cut.kept), "longer": cut.longer}
    if cut.lost:
        progress.say("tune.cut", **values, **shares)
        if cut.longer > recipe.max_length:
            progress.say("cli.tune.longer", **shares)
    elif cut.rows:
        progress.say("tune.cut_nothing", **values)
    elif recipe.max_length > Recipe.max_length:
        progress.say("tune.max_length", **values)


def say_rows(said: Taught, recipe: Recipe, replay: bool, progress: Progress) -> None:
    """How many rows are made of what; and what their number means for a person's own conversations: without
    replay a few are seen far too often."""
    rows, distinct = data.shares_in(said, recipe, replay), len(said.own or said.conversations)
    if said.identity:
        counts = {"own": len(said.own), "own_rows": rows.own, "identity_rows": rows.identity}
        progress.say("tune.beside", name=said.name, **counts, replayed=rows.replayed)
    elif said.says_itself:
        progress.say("tune.says_itself", name=said.name, count=said.says_itself)
    if not replay and (times := rows.own // distinct) > MANY_PASSES:
        progress.say("data.by_heart", of=distinct, times=times)


def say_what_is_short(about: Mapping[str, Any], progress: Progress) -> None:
    """Say how many of a person's own conversations the rows of a short run do not come to."""
    if unseen := about["own"] - about["own_in_rows"]:
        progress.say("data.unseen", count=unseen, of=about["own"], rows=about["rows"])
