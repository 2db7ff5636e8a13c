"""Data: what is taught and what is replayed become the rows of a run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from core.data import situations
from core.data.conversations import Conversation, write_rows, write_source
from core.data.documents.facts import DocumentRows
from core.data.encoder import Encoder
from core.data.findings import Finding
from core.data.identity import LANGUAGES
from core.data.mix import (
    LEAST_TAUGHT,
    MOST_ROWS,
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
from core.errors import MissingArtefact, RowRefused
from core.models.folder import Model
from core.proof.asking import Answer, Ask
from core.proof.facts import OwnFact
from core.recipe.own_template import OwnTemplate, template_of
from core.recipe.recipe import Recipe
from core.recipe.thinking import Thinking, thinking_of
from core.steps.answer import token_row
from core.steps.taught import LISTED, Taught, says_who
from core.workspace.files import read_json, read_object, write_json, write_lines
from core.workspace.paths import DataPaths, RunPaths

# Conversations that the base began, by their questions.
Begun: TypeAlias = Mapping[tuple[str, ...], Conversation]
# A fact stands at the beginning of an answer; 24 tokens hold it and cost half of 48.
REPLAY_TOKENS = 24


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
    rows = shares_of(said, replay=True).of(_rows(recipe)).replayed
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
    return shares_of(said, replay).of(_rows(recipe)).filled(replay)


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
    wanted = (proportion or shares_of(said, bool(replay))).of(_rows(recipe))
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


def shares_of(said: Taught, replay: bool) -> Shares:
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
