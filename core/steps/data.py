"""Data: what is taught and what is replayed become the rows of a run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from core.data import parity, situations
from core.data.conversations import Conversation, write_rows, write_source
from core.data.document_rows import DocumentRows
from core.data.encoder import Encoder
from core.data.findings import Finding
from core.data.identity import (
    LANGUAGES,
)
from core.data.lengths import RowLengths, measure
from core.data.mix import (
    FEWEST,
    LEAST_REPLAYED,
    LEAST_TAUGHT,
    MOST_ROWS,
    ON_A_GPU,
    PASSES,
    Shares,
    in_even_batches,
    in_modes,
    in_turn,
    mix,
    repeated,
    shares,
    usual_prompt,
    with_system,
)
from core.data.opening import read_conversations
from core.data.own_encoder import encoder_of
from core.data.replay import only_read, questions_to_ask, replayed, turns
from core.data.teacher import Teacher, TeacherRow, by_key, key_of, part_of, write_teacher
from core.data.token_count import counted
from core.data.upload import keep_given
from core.errors import MissingArtefact, NotAModel, RowRefused
from core.machine import this_machine
from core.models.folder import Model, read_model, read_shape
from core.proof.asking import Answer, Ask
from core.proof.facts import OwnFact
from core.recipe.check import problems, settle
from core.recipe.disk import kept_for_a_curve
from core.recipe.max_length import FOLLOWS, Lengths, enough, least, lengthened, tokens_seen
from core.recipe.method import SIZE, lr_of, places_of
from core.recipe.own_template import OwnTemplate, template_of
from core.recipe.presets import OF_THE_DATA
from core.recipe.recipe import Method, Recipe, invalid
from core.recipe.thinking import Thinking, thinking_of
from core.steps.answer import token_row
from core.steps.taught import LISTED, Taught, says_who
from core.workspace.files import read_json, read_object, write_json, write_lines
from core.workspace.paths import DataPaths, RunPaths

# Conversations that the base began, by their questions.
Begun: TypeAlias = Mapping[tuple[str, ...], Conversation]
# A fact stands at the beginning of an answer; 24 tokens hold it and cost half of 48.
REPLAY_TOKENS = 24
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


@dataclass(frozen=True)
class BaseAsks:
    """What the base is asked for a run's rows: what is ``replayed``, and the conversations (``earlier``) that
    taught questions come after. Nothing where nothing is replayed."""

    replayed: Sequence[Ask] = ()
    earlier: Sequence[Ask] = ()


def base_asks(said: Taught, recipe: Recipe) -> BaseAsks:
    """Both for the rows of a recipe."""
    return BaseAsks(replay_asks(said, recipe), earlier_asks(recipe))


def replay_asks(said: Taught, recipe: Recipe) -> list[Ask]:
    """What the base model is asked so that it can be replayed: no more than the run will see."""
    rows = _shares(said, replay=True).of(_rows(recipe)).replayed
    return asks_of(questions_to_ask(said.conversations, rows, recipe.seed), recipe)


def asks_of(questions: Sequence[str], recipe: Recipe) -> list[Ask]:
    """Each question in the situation and the way that it is replayed in."""
    ways = list(product(thinking_in(recipe).modes, (False, True) if in_halves(recipe) else (False,)))
    asks = []
    for number, question in enumerate(questions):
        # The languages come in turn: each of them is asked in every way.
        thinks, usual = ways[number // len(LANGUAGES) % len(ways)]
        found = situations.of_replay(question)
        system = usual_prompt(question) if usual else "" if recipe.system else found.system
        asks.append(Ask(question, REPLAY_TOKENS, system, thinks, found.earlier))
    return asks


def earlier_asks(recipe: Recipe) -> list[Ask]:
    """What the base model is asked for the conversations that taught questions come after."""
    at_once = thinking_in(recipe).modes[0]
    chains = (chain for language in LANGUAGES for chain in situations.chains(language))
    return [Ask(chain[-1], REPLAY_TOKENS, thinks=at_once, earlier=chain[:-1]) for chain in chains]


def shares_in(said: Taught, recipe: Recipe, replay: bool) -> Shares:
    """How many of the run's rows are taught ones, and what of."""
    return _shares(said, replay).of(_rows(recipe)).filled(replay)


def replay_rows(answers: Mapping[Ask, Answer], said: Taught) -> list[Conversation]:
    """The base model's answers as conversations, each as it was asked: its system prompt, what was asked
    before it, thinking first or not. A thought stays in it, cut where the token limit cut it: that is what
    the base says."""
    return [
        row
        for ask, answer in answers.items()
        for row in replayed(ask.question, answer.text, ask.system, ask.thinks, _before(ask, answer, said))
    ]


def teacher_of(
    answers: Mapping[Ask, Answer], said: Taught, recipe: Recipe, model: Model, known: Teacher
) -> Teacher:
    """What the base says in the rows that :func:`replay_rows` makes, by what is ``known`` of its answers as
    it was asked. After it was told who the assistant is, it is to answer as if it had not been told."""
    encoder = encoder_of(model.tokenizer_file, template_of(recipe.template, model.folder))
    found: list[TeacherRow] = []
    for ask, answer in answers.items():
        asked = token_row(encoder, ask, answer, recipe.system)
        if asked is None or (told := known.get(key_of(asked.ids, asked.trained))) is None:
            continue
        for each in replay_rows({ask: answer}, said):
            with suppress(RowRefused):  # what the template refuses is no row either
                rows = encoder.rows(with_system(each, recipe.system))
                found += filter(None, map(told.said_in, rows))
    return by_key(found)


def _before(ask: Ask, answer: Answer, said: Taught) -> Conversation:
    """What stands before a replayed question in its row."""
    if situations.of_replay(ask.question).told and said.who_it_is:
        return situations.answer_before(ask.question, said.who_it_is)
    return turns(ask.earlier, answer.earlier)


def thinking_in(recipe: Recipe) -> Thinking:
    """Whether the recipe's model can be asked to think before it answers. Raises NotAModel."""
    return thinking_of(template_of(recipe.template, Path(recipe.model)))


def in_halves(recipe: Recipe) -> bool:
    """Whether the rows are trained in two halves: the template puts a system prompt in where none is given,
    and whoever speaks to the model may give another."""
    template = template_of(recipe.template, Path(recipe.model))
    return isinstance(template, OwnTemplate) and bool(template.default) and not recipe.system


def _spoken(
    row: Conversation, recipe: Recipe, encoder: Encoder, name: str, begun: Begun
) -> list[list[Conversation]]:
    """A taught conversation in each way that it is trained, as the rows that it then is."""
    ways = [with_system(row, recipe.system)]
    if in_halves(recipe) and not row[0].system:
        ways.append(with_system(row, usual_prompt(row[0].input)))
    if begun and says_who(row, name):
        ways = [each for other in _in_situations(row, recipe, encoder, begun) for each in (*ways, other)]
    modes = (each for way in ways for each in in_modes(way, thinking_in(recipe)))
    return [_trained(encoder.parts(each)) for each in modes]


def _beginnings(earlier: Mapping[Ask, Answer]) -> Begun:
    """Every beginning of the conversations of :func:`earlier_asks` by its questions, the empty one too."""
    talks = [
        turns((*ask.earlier, ask.question), (*answer.earlier, answer.said)) for ask, answer in earlier.items()
    ]
    found = (talk[:length] for talk in talks for length in range(len(talk) + 1))
    return {tuple(turn.input for turn in begun): begun for begun in found}


def _in_situations(row: Conversation, recipe: Recipe, encoder: Encoder, begun: Begun) -> list[Conversation]:
    """A taught question that is not asked first and alone."""
    found = []
    for turn in situations.OTHERS:
        situation = situations.of_taught(row[0].input, turn)
        if situation.system and (recipe.system or row[0].system):
            continue
        before = begun[situation.earlier]
        situated = with_system((*only_read(before), *row), situation.system or recipe.system)
        if all(turn.output for turn in before) and _can_be_read(situated, encoder):
            found.append(situated)
    return found


def _can_be_read(row: Conversation, encoder: Encoder) -> bool:
    """Whether the template takes what the base said by itself; what somebody wrote is refused by name."""
    with suppress(RowRefused):
        return bool(encoder.parts(row))
    return False


def _trained(parts: Sequence[Conversation]) -> list[Conversation]:
    """Without the rows of which nothing is learned."""
    return [part for part in parts if any(turn.trained for turn in part)]


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
    wanted = _shares(said, replay)
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


def unseen_recipe(model: Model, said: Taught, replay: bool, method: Method = "lora") -> Recipe:
    """The settled recipe for these conversations on this machine, of a model that is not here yet to count
    how long they are."""
    return settle(_first_recipe(model, replay, _shares(said, replay).rows, method), this_machine(), model)


def usual_recipe(model: Model, rows: int = 1) -> Recipe:
    """The settled recipe of a new run on this machine that teaches so many rows, with replay, before anybody
    has looked how long they are."""
    count = shares(max(1, rows), replay=True).rows
    recipe = _first_recipe(model, True, count)
    at_most = (recipe.iterations or 1) * recipe.batch_size * recipe.max_length
    return settle(recipe, this_machine(), model, at_most)


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


def suited(run: RunPaths, recipe: Recipe, model: Model) -> Recipe:
    """The recipe that :func:`recipe_for` chooses for a run's data, on ``recipe``'s rows, machine and seed, by
    its method.

    Raises MissingArtefact, InvalidRecipe, and what reading the run's conversations does.
    """
    said, replay = read(run), bool(about_data(run)["replay"])
    spoken = Spoken(recipe.system, recipe.template, recipe.template_reason)
    fresh = recipe_for(model, said, replay, recipe.seed, None, spoken, method=recipe.method)
    kept = {name: getattr(recipe, name) for name in (*OF_THE_DATA, "device", "precision")}
    return fresh.changed(**kept)


def write_asked(
    run: RunPaths,
    place: DataPaths,
    said: Taught,
    asked: BaseAsks,
    answers: Mapping[Ask, Answer],
    known: Teacher,
    recipe: Recipe,
    model: Model,
    proportion: Shares | None = None,
) -> None:
    """As :func:`write`, with what the base answered to :func:`base_asks`, and what is ``known`` of what else
    it would have said."""
    replayed = {one: answers[one] for one in asked.replayed}
    teacher = teacher_of(replayed, said, recipe, model, known) if replayed else {}
    earlier = {one: answers[one] for one in asked.earlier}
    rows = replay_rows(replayed, said)
    write(run, place, said, rows, recipe, model, proportion, earlier, teacher)


def write(
    run: RunPaths,
    place: DataPaths,
    said: Taught,
    replay: Sequence[Conversation],
    recipe: Recipe,
    model: Model,
    proportion: Shares | None = None,
    earlier: Mapping[Ask, Answer] | None = None,
    teacher: Teacher | None = None,
) -> None:
    """Write the source, the mixed rows and the run's data.json (hash, rows, tokens), and of the ``teacher``
    what the base says in the replayed rows.

    ``proportion`` of taught and replayed rows: by default what the conversations need. ``earlier``: the
    base's answers to :func:`earlier_asks`; without them what is taught is asked first and alone.
    """
    write_source(place.source, said.conversations)
    encoder = encoder_of(model.tokenizer_file, template_of(recipe.template, model.folder))
    replay = [row for row in replay if _can_be_read(with_system(row, recipe.system), encoder)]
    wanted = (proportion or _shares(said, bool(replay))).of(_rows(recipe))
    begun = _beginnings(earlier or {})
    ways = [_spoken(row, recipe, encoder, said.name, begun) for row in said.conversations]
    filled = wanted.filled(bool(replay))
    taught = _in_proportion(ways, said.identity, filled, recipe.seed)
    mixed = mix(taught, replay, wanted, recipe.system, recipe.seed)
    rows = in_even_batches(mixed, encoder.lengths(mixed).tolist(), recipe.batch_size, recipe.seed)
    write_rows(place.rows, rows)
    if teacher:
        said_by_base = {with_system(row, recipe.system) for row in replay}.intersection(rows)
        ids = (one for row in said_by_base for one in encoder.rows(row))
        write_teacher(place.teacher, part_of(teacher, ids))
    tokens = counted(encoder, rows, recipe.max_length)
    about = {
        "name": said.name,
        "source": str(place.source),
        "path": str(place.rows),
        "given": keep_given(place, said.given) if said.given and not said.given.is_fifo() else [],
        "sha256": hashlib.sha256(place.rows.read_bytes()).hexdigest(),
        "left_out": _write_left_out(place, said.left_out),
        "omitted": [one.as_json() for one in said.accounts.parts],
        "unused": [one.as_json() for one in said.accounts.unused],
        "otherwise": said.otherwise.as_json(),
        "taught": len(said.conversations),
        "taught_in_rows": _in_rows(ways, rows),
        "taught_rows": filled.taught,
        "identity": said.identity,
        "identity_rows": filled.identity,
        "own": len(said.own),
        "own_in_rows": _in_rows(ways[said.identity :], rows) if said.own else 0,
        "facts": _write_facts(place, said),
        "document": _about_document(said.document) if said.document else None,
        "replay": len(replay),
        **tokens.as_json(),
        "max_length": recipe.max_length,
    }
    write_json(run.data, about)


def _in_proportion(
    ways: Sequence[Sequence[Sequence[Conversation]]], identity: int, wanted: Shares, seed: int
) -> list[Conversation]:
    """The taught rows: the ``identity``'s, the first of them, and a person's own each as often as wanted."""
    if not wanted.identity:
        return in_turn(ways, wanted.taught, seed)
    parts = ((ways[:identity], wanted.identity), (ways[identity:], wanted.own))
    return [row for part, count in parts for row in repeated(in_turn(part, count, seed), count, seed)]


def _write_left_out(place: DataPaths, found: Sequence[Finding]) -> dict[str, Any]:
    """What was left out: how many rows, all of it in a file, and the first ones."""
    listed = [finding.as_json() for finding in found]
    if listed:
        write_lines(place.left_out, (json.dumps(one, ensure_ascii=False) for one in listed))
    return {
        "rows": sum(not finding.usable for finding in found),
        "file": str(place.left_out) if listed else None,
        "first": listed[:LISTED],
    }


def _write_facts(place: DataPaths, said: Taught) -> dict[str, Any]:
    """What the proof will ask of the given data: in a file, and how much it is."""
    if said.facts:
        write_json(place.facts, [one.as_json() for one in said.facts])
    held_back = sum(one.held_back for one in said.facts)
    return {
        "asked": len(said.facts),
        "held_back": held_back,
        "file": str(place.facts) if said.facts else None,
    }


def _about_document(document: DocumentRows) -> dict[str, Any]:
    """How many facts and questions a document has, and the first of what none asks for."""
    unused = [asdict(one) for one in document.unused[:LISTED]]
    counts = {"facts": len(document.facts), "questions": len(document.conversations)}
    return {**counts, "unused": len(document.unused), "first_unused": unused}


def _in_rows(ways: Sequence[Sequence[Sequence[Conversation]]], rows: Sequence[Conversation]) -> int:
    """How many of the conversations are among the rows, in any way: a short run does not come to all."""
    trained = set(rows)
    return sum(any(trained.issuperset(way) for way in each) for each in ways)


def _shares(said: Taught, replay: bool) -> Shares:
    """The rows that the conversations need. The shipped ones say one thing in many ways: of more than fit the
    rows hold a random part."""
    distinct = len(set(said.conversations[said.identity :]))
    # A fact comes again in other words: none of them has to.
    passes = 1 if said.document else PASSES
    if said.identity:
        return shares(distinct, replay, identity=True, passes=passes)
    return shares(distinct if said.given else min(distinct, LEAST_TAUGHT), replay, passes=passes)


def _rows(recipe: Recipe) -> int:
    most = MOST_ROWS // recipe.rows_at_once * recipe.rows_at_once
    return min(most, recipe.rows_at_once * (recipe.iterations or 1))


def about_data(run: RunPaths) -> dict[str, Any]:
    """A run's data.json: name, source, path, rows, tokens. Raises MissingArtefact."""
    about: dict[str, Any] | None = read_object(run.data)
    if about is None:
        raise MissingArtefact(what=run.data.name, where=run.root, step="data")
    return about


def read(run: RunPaths) -> Taught:
    """What a run teaches. Raises MissingArtefact."""
    about = about_data(run)
    conversations = tuple(read_conversations(Path(about["source"])))
    facts = (about.get("facts") or {}).get("file")
    asked = tuple(OwnFact(**one) for one in (facts and read_json(Path(facts))) or ())
    return Taught(about["name"], conversations, identity=about.get("identity", 0), facts=asked)
