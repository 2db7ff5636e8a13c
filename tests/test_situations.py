"""Rows in every situation that a question comes in."""

from datetime import datetime
from pathlib import Path

from core.data import situations
from core.data.conversations import Turn, read_rows
from core.data.identity import bank, identity_conversations
from core.data.questions import replay_bank
from core.models.folder import read_model
from core.steps import data, first_recipe
from core.steps.answer import Answer, Ask
from core.steps.data import replay_rows
from core.steps.taught import to_teach
from core.workspace.paths import Workspace

NAME = "林小满"


def test_a_question_is_in_the_same_situation_whoever_asks() -> None:
    questions = [question for bank_ in replay_bank().values() for question in bank_]
    found = [situations.of_replay(question) for question in questions]
    assert found == [situations.of_replay(question) for question in questions]
    share = {
        "prompted": sum(bool(one.system) for one in found) / len(found),
        "later": sum(bool(one.earlier) for one in found) / len(found),
        "told": sum(one.told for one in found) / len(found),
    }
    assert all(0.06 < part < 0.14 for part in share.values()), share


def test_an_earlier_question_is_of_the_same_language() -> None:
    for question in replay_bank()["zh"]:
        for earlier in situations.of_replay(question).earlier:
            assert earlier in replay_bank()["zh"]


def test_every_other_time_a_taught_question_comes_alone() -> None:
    found = [situations.of_taught("Who are you?", turn) for turn in range(4)]
    assert found[0] == found[2] == situations.ALONE
    assert found[1].earlier
    assert found[3].system in bank("en").systems


def test_a_replayed_row_begins_with_what_was_asked_before_and_learns_its_own_answer_only() -> None:
    said = to_teach(NAME, None)
    told = next(q for q in replay_bank()["en"] if situations.of_replay(q).told)
    later = next(q for q in replay_bank()["zh"] if situations.of_replay(q).earlier)
    chain = situations.of_replay(later).earlier
    asks = {
        Ask(told, 24): Answer("so", True),
        Ask(later, 24, earlier=chain): Answer("是", True, tuple("一二三四"[: len(chain)])),
    }
    first, second = replay_rows(asks, said)
    assert NAME in first[0].output and not first[0].trained
    assert first[-1] == Turn(told, "so")
    assert [turn.input for turn in second] == [*chain, later]
    assert [turn.trained for turn in second] == [False] * len(chain) + [True]


def test_the_run_teaches_who_it_is_alone_later_and_under_a_system_prompt(
    workspace: Workspace, model: Path
) -> None:
    said = to_teach(NAME, None)
    found = first_recipe.recipe_for(read_model(model), said, True, 1, None)
    asks = data.earlier_asks(found)
    earlier = {ask: Answer("so", True, ("so",) * len(ask.earlier)) for ask in asks}
    run = workspace.new_run(NAME, datetime.now())
    place = workspace.data(run.id)
    data.write(run, place, said, [], found, read_model(model), earlier=earlier)
    rows = list(read_rows(place.rows))
    assert any(len(row) > 1 and not row[0].trained and row[-1].trained for row in rows)
    assert any(row[0].system in bank("en").systems for row in rows)
    alone = sum(len(row) == 1 and not row[0].system for row in rows)
    assert 0.4 < alone / len(rows) < 0.7
    assert {row[-1].input for row in rows} <= {row[-1].input for row in said.conversations}
    assert len(identity_conversations(NAME)) < len(said.conversations)
