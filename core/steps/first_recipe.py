"""The recipe that a run begins with: what suits the conversations, the model and this machine."""

from dataclasses import asdict, dataclass
from pathlib import Path

from core.data import parity
from core.data.lengths import RowLengths, measure
from core.data.mix import FEWEST, LEAST_REPLAYED, LEAST_TAUGHT, ON_A_GPU, shares, with_system
from core.data.own_encoder import encoder_of
from core.errors import NotAModel
from core.machine import this_machine
from core.models.folder import Model, read_model, read_shape
from core.recipe.check import problems, settle
from core.recipe.disk import kept_for_a_curve
from core.recipe.max_length import FOLLOWS, Lengths, enough, least, lengthened, tokens_seen
from core.recipe.method import SIZE, lr_of, places_of
from core.recipe.own_template import template_of
from core.recipe.presets import OF_THE_DATA
from core.recipe.recipe import Method, Recipe, invalid
from core.steps import data
from core.steps.taught import Taught
from core.workspace.paths import RunPaths

# Measured on the starter: fewer and larger steps learn as much, drift less, and keep a GPU busy. A processor
# takes the rows of a step a few at a time: it is no slower, and 16 at once took it 7 GB.
BATCH, AT_ONCE, RANK = 16, {"cuda": 16, "cpu": 4}, 16
# A run of fewer batches takes a step after each: of a few large steps nothing is learned.
SHORT = 60
# Points that a training's curve has at least, where it has so many iterations.
CURVE = 40
# So many rows tell how long all of them are; they take about a second.
MEASURED = 4096


@dataclass(frozen=True)
class Spoken:
    """How the model is to be spoken to: the recipe's fields of the same names."""

    system: str = ""
    template: str = "auto"
    template_reason: str = ""


def recipe_for(
    model: Model,
    said: Taught,
    replay: bool,
    seed: int,
    iterations: int | None,
    spoken: Spoken = Spoken(),
    max_length: int | None = None,
    method: Method = "lora",
) -> Recipe:
    """The settled recipe for these conversations on this machine. Raises InvalidRecipe, NotAModel.

    The default length teaches the identity; a longer file's rows are seen ``core.data.mix.PASSES`` times.
    Without a ``max_length`` it follows the rows (:mod:`core.recipe.max_length`).
    """
    machine = this_machine()
    wanted = data.shares_of(said, replay)
    recipe = _first_recipe(model, replay, wanted.rows, method).changed(**asdict(spoken), seed=seed)
    recipe = recipe.changed(max_length=max_length or recipe.max_length)
    recipe = recipe.changed(iterations=iterations or recipe.iterations)
    recipe = recipe.changed(log_every=max(1, min(Recipe.log_every, (recipe.iterations or 1) // CURVE)))
    if (recipe.iterations or 0) < SHORT:
        recipe = recipe.changed(gradient_accumulation_steps=1)
    if found := problems(recipe, machine, model):
        raise invalid(found)
    settled = settle(recipe, machine, model)
    lengths = taught_lengths(said, settled, model)
    if max_length is None:
        longer = lengthened(settled, model, machine, lengths, wanted.taught / wanted.rows)
        recipe = recipe.changed(**{name: getattr(longer, name) for name in FOLLOWS})
        recipe = recipe.changed(iterations=iterations or recipe.iterations)
    settled = settle(recipe, machine, model, tokens_seen(recipe, lengths))
    if found := parity.problems(settled, model, system=said.has_system):
        raise invalid(found)
    return settled.changed(keep_checkpoints=kept_for_a_curve(settled, model, read_shape(model)))


def unseen_recipe(model: Model, said: Taught, replay: bool, method: Method = "lora") -> Recipe:
    """The settled recipe for these conversations on this machine, of a model that is not here yet to count
    how long they are."""
    rows = data.shares_of(said, replay).rows
    return settle(_first_recipe(model, replay, rows, method), this_machine(), model)


def usual_recipe(model: Model, rows: int = 1) -> Recipe:
    """The settled recipe of a new run on this machine that teaches so many rows, with replay, before anybody
    has looked how long they are."""
    count = shares(max(1, rows), replay=True).rows
    recipe = _first_recipe(model, True, count)
    at_most = (recipe.iterations or 1) * recipe.batch_size * recipe.max_length
    return settle(recipe, this_machine(), model, at_most)


def suited(run: RunPaths, recipe: Recipe, model: Model) -> Recipe:
    """The recipe that :func:`recipe_for` chooses for a run's data, on ``recipe``'s rows, machine and seed, by
    its method.

    Raises MissingArtefact, InvalidRecipe, and what reading the run's conversations does.
    """
    said, replay = data.read(run), bool(data.about_data(run)["replay"])
    spoken = Spoken(recipe.system, recipe.template, recipe.template_reason)
    fresh = recipe_for(model, said, replay, recipe.seed, None, spoken, method=recipe.method)
    kept = {name: getattr(recipe, name) for name in (*OF_THE_DATA, "device", "precision")}
    return fresh.changed(**kept)


def _first_recipe(model: Model, replay: bool, rows: int, method: Method = "lora") -> Recipe:
    """The recipe for a model and a number of rows, whatever they say and however long they are."""
    device = this_machine().device
    recipe = Recipe(
        model=str(model.folder),
        data="rows.jsonl",
        max_length=least(model),
        method=method,
        batch_size=AT_ONCE[device],
        gradient_accumulation_steps=BATCH // AT_ONCE[device],
        rank=RANK,
        alpha=2 * RANK,
        lr=lr_of(method, RANK, model),
        schedule="linear",
        replay_distillation=replay,
        shuffle=False,
        **places_of(method, model),
    )
    return recipe.changed(iterations=-(-_rows_seen(model, rows, device) // recipe.batch_size))


def _rows_seen(model: Model, rows: int, device: str) -> int:
    """How many rows a first training goes through, where the conversations need ``rows``."""
    usual = LEAST_TAUGHT + LEAST_REPLAYED
    if device == "cuda":
        return max(rows, ON_A_GPU * usual)
    if rows > usual:
        return rows
    share: float = min(1.0, (SIZE / max(1, model.parameters)) ** 0.5)
    return max(FEWEST, round(usual * share))


def default_length(folder: Path, rows: int, found: Lengths) -> int:
    """How many tokens of a row a new run on the model in ``folder`` would train, of ``rows`` such rows and
    with replay; of a folder that is not a whole model as many as any run."""
    try:
        model = read_model(folder)
    except NotAModel:
        return Recipe.max_length
    machine, wanted = this_machine(), shares(max(1, rows), replay=True)
    return lengthened(
        usual_recipe(model, rows), model, machine, found, wanted.taught / wanted.rows
    ).max_length


def taught_lengths(said: Taught, recipe: Recipe, model: Model) -> RowLengths:
    """How long the rows are that a settled ``recipe`` makes of the taught conversations; of many, a sample
    spread evenly over them. Raises NotAModel."""
    rows = said.own or said.conversations
    some = rows[:: -(-len(rows) // MEASURED) or 1]
    encoder = encoder_of(model.tokenizer_file, template_of(recipe.template, model.folder))
    return measure(encoder, [with_system(row, recipe.system) for row in some])


@dataclass(frozen=True)
class Cut:
    """What a max length costs the taught conversations: ``rows`` of them are cut and lose ``lost`` of the
    answers' tokens, a share. At the length ``longer``, the longest that the model needs and can read,
    ``kept`` of them would be trained."""

    rows: int
    lost: float
    longer: int
    kept: float


def cut_of(said: Taught, recipe: Recipe, model: Model) -> Cut:
    """What ``recipe`` cuts of the conversations; of a sample, what that comes to for all of them."""
    found = taught_lengths(said, recipe, model)
    share = float((found.tokens > recipe.max_length).mean()) if len(found.tokens) else 0.0
    rows, longer = round(share * len(said.own or said.conversations)), enough(model, found)
    return Cut(rows, 1 - found.kept(recipe.max_length), longer, found.kept(longer))
