"""The rows of a trial whose share of replay is another than its base run's."""

from pathlib import Path

from core.data.mix import Shares
from core.machine import Machine, this_machine
from core.recipe.recipe import Recipe
from core.steps import data, prepare
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.watch import Update
from core.workspace.files import read_object, write_json
from core.workspace.paths import RunPaths

# Of a data.json what tells of the file that was given, which the conversations no longer do.
OF_THE_FILE = ("given", "left_out", "omitted", "unused", "otherwise", "document")
# Rows that a share is said of: a hundredth of a percent is told apart.
PARTS = 10_000


def with_replay_share(
    new: RunPaths, base: RunPaths, recipe: Recipe, share: float, update: Update, machine: Machine
) -> Recipe:
    """Make ``new`` a run on the conversations of ``base``, with so much replay among its rows, by ``recipe``,
    to be trained on ``machine``. What the base model has said before is not asked again, the rest on this
    machine.

    Returns the recipe as it was prepared. Raises what making data and :func:`core.steps.prepare.prepare` do.
    """
    said, model, about = data.read(base), prepare.model_of(base), data.about_data(base)
    wanted = data.base_asks(said, recipe) if share else data.BaseAsks()
    memory = AnswerCache(new.workspace, model.folder, PromptFormat.of(recipe))
    asks = [*wanted.replayed, *wanted.earlier]
    device = this_machine().device_for(recipe.device) if this_machine().gpus else "cpu"
    answers = memory.ask(new.job("base"), asks, device, update, wanted.replayed)
    place = new.workspace.data(new.id)
    proportion = _proportion(share, about)
    data.write_asked(new, place, said, wanted, answers, memory.teacher, recipe, model, proportion)
    write_json(
        new.data, {**(read_object(new.data) or {}), **{k: about[k] for k in OF_THE_FILE if k in about}}
    )
    return prepare.prepare(new, recipe, model, Path(place.rows), machine)


def _proportion(share: float, about: dict[str, object]) -> Shares:
    """That share of replay; of what is taught as much says whose the assistant is as in the base run."""
    taught = round(PARTS * (1 - share))
    rows, identity = (int(str(about.get(name) or 0)) for name in ("taught_rows", "identity_rows"))
    return Shares(taught, PARTS - taught, round(taught * identity / rows) if rows else 0)
