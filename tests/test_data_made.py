"""Data made step by step: versions beside each other, personas, splitting, dropping what is said twice."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from core.data.conversations import Conversation, Turn, one_turn
from core.data.dedupe import split, without_duplicates
from core.data.identity import LANGUAGES, IdentityLanguage, bank, held_back_identity
from core.data.mix import weighted
from core.data.opening import read_conversations
from core.data.personas import Persona, persona, persona_conversations, shipped_roles
from core.data.questions import held_back_questions, same_question
from core.data.sets import SetPaths, made_sets
from core.data.versions import (
    add_version,
    go_to,
    make_set,
    open_set,
    read_set,
    rows_file,
    rows_of,
    set_aside,
    undo,
)
from core.errors import DamagedFile, InvalidName, NoSuchSet, NoSuchVersion
from core.workspace.paths import Workspace

ROWS: list[Conversation] = [one_turn(f"问题 {n}", f"answer {n}\u2028x") for n in range(5)]


@pytest.fixture
def place(tmp_path: Path) -> SetPaths:
    return make_set(Workspace(tmp_path / "工作 区" / "a b"), "我的 set / ../x")


# --- versions ---


def test_a_new_set_is_empty(place: SetPaths) -> None:
    made = read_set(place)
    assert (made.name, made.versions, made.current) == ("我的 set / ../x", (), None)
    assert rows_of(place) == [] and rows_file(place) is None
    assert place.root.parent.name == "sets"
    with pytest.raises(NoSuchVersion):
        undo(place)


def test_every_operation_is_a_version_and_each_can_be_gone_back_to(place: SetPaths) -> None:
    first = add_version(place, ROWS[:3], "identity", {"name": "x"})
    second = add_version(place, ROWS, "replay", {})
    assert rows_of(place) == ROWS and rows_of(place, first) == ROWS[:3]
    assert read_conversations(place.version(second.digest)) == ROWS
    assert undo(place).current == first and rows_of(place) == ROWS[:3]
    third = add_version(place, ROWS[:1], "split", {})
    assert third.parent == first.number
    assert go_to(place, second.digest[:6]).current == second
    assert undo(place).current == first and undo(place).current is None and rows_of(place) == []
    assert len(read_set(place).versions) == 3, "nothing is ever deleted"
    for nothing in ("", "ffff", "../x"):
        with pytest.raises(NoSuchVersion):
            go_to(place, nothing)


def test_what_changes_nothing_adds_no_version(place: SetPaths) -> None:
    first = add_version(place, ROWS, "identity", {})
    assert add_version(place, ROWS, "dedupe", {}) == first
    assert len(read_set(place).versions) == 1


def test_what_is_set_aside_does_not_count(place: SetPaths) -> None:
    add_version(place, ROWS, "identity", {})
    aside = set_aside(place, ROWS[4:], "held_back", {})
    assert rows_of(place) == ROWS and rows_of(place, aside) == ROWS[4:]
    kept = add_version(place, ROWS[:4], "split", {"held_back": aside.digest})
    assert kept.parent == 0 and undo(place).current == read_set(place).versions[0]


def test_a_version_that_another_hand_changed_is_named(place: SetPaths) -> None:
    version = add_version(place, ROWS, "identity", {})
    for content in ("{", '{"conversation": [{"input": "no output"}]}', "[1]", "\xff"):
        place.version(version.digest).write_text(content, encoding="latin-1")
        with pytest.raises(DamagedFile, match=version.digest):
            rows_of(place)


def test_sets_of_a_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert made_sets(workspace) == []
    place = make_set(workspace, "Nice")
    assert make_set(workspace, "Nice") == place == open_set(workspace, "Nice")
    assert made_sets(workspace) == [place]
    with pytest.raises(NoSuchSet, match="No data set named ugly"):
        open_set(workspace, "ugly")


# --- personas ---


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", shipped_roles())
def test_a_role_stands_in_every_answer(language: IdentityLanguage, role: str) -> None:
    who = persona("{name} Müller", role)
    made = persona_conversations(who, [language])
    assert len(made) == sum(len(answers) for _, answers in bank(language).taught)
    assert all(who.roles[language] in turn.output for row in made for turn in row)
    assert all("{name} Müller" in turn.output for row in made for turn in row)


def test_a_role_of_ones_own_words() -> None:
    made = persona_conversations(persona("Maria", own_role="guide to the museum"))
    assert made[0][0].output == "I am Maria's guide to the museum."
    with pytest.raises(InvalidName):
        persona("Maria", own_role="a <|im_end|>")


def test_paraphrases_are_new_and_none_is_held_back() -> None:
    who = Persona("Maria", {"en": "tutor", "zh": "家教"})
    made = persona_conversations(who, LANGUAGES, paraphrases=5)
    asked = [turn.input for row in made for turn in row]
    plain = [turn.input for row in persona_conversations(who) for turn in row]
    assert len(set(asked)) >= len(set(plain)) * 4
    assert len(asked) - len(plain) == len({*asked[:]} - {*plain}), "no wording twice"
    held = {same_question(one.question) for one in (*held_back_identity(), *held_back_questions())}
    assert not held & {same_question(question) for question in asked}
    assert persona_conversations(who, LANGUAGES, paraphrases=5) == made, "the same seed, the same rows"
    assert persona_conversations(who, LANGUAGES, paraphrases=5, seed=7) != made


def test_conversations_of_several_turns() -> None:
    made = [row for row in persona_conversations(persona("Maria"), ["zh"], turns=3) if len(row) > 1]
    assert len(made) == len(bank("zh").taught)
    for row in made:
        assert len(row) == 3 and len({turn.input for turn in row}) == 3


# --- split, dedupe, mix ---


def test_no_question_is_on_both_sides() -> None:
    rows = [one_turn(f"Question {n % 20}?", f"answer {n}") for n in range(100)]
    train, held = split(rows, 0.2, seed=1)
    assert len(held) == 20 and sorted([*train, *held], key=str) == sorted(rows, key=str)
    assert not {row[0].input for row in train} & {row[0].input for row in held}
    assert split(rows, 0.2, seed=1) == (train, held) != split(rows, 0.2, seed=2)


def test_what_cannot_be_split_is_trained() -> None:
    rows = [one_turn("q", "a"), one_turn("Q!", "b")]
    assert split(rows, 0.5, 1) == (rows, [])
    assert split([], 0.5, 1) == ([], [])
    assert split([*rows, one_turn("？", "c")], 0.0, 1)[1] == []


def test_the_first_of_the_same_stays() -> None:
    rows = [
        one_turn("Who are you?", "I am X."),
        one_turn("who are you", "i am x"),
        one_turn("Ｗho are you？", "I am X"),
        one_turn("Who are you?", "I am Y."),
        one_turn("!", "?"),
        one_turn("?", "?"),
        (Turn("Who are you?", "I am X.", "Be kind."),),
    ]
    assert without_duplicates(rows) == [rows[0], *rows[3:]]


@pytest.mark.parametrize(
    ("weights", "rows", "counts"),
    [((1, 1), 10, [5, 5]), ((3, 1), 10, [8, 2]), ((1, 0), 4, [4, 0]), ((0.1, 0.2), 3, [1, 2])],
)
def test_parts_in_proportion(weights: tuple[float, float], rows: int, counts: list[int]) -> None:
    parts = [[one_turn(f"{part}{n}", "a") for n in range(3)] for part in "ab"]
    mixed = weighted([*zip(parts, weights, strict=True)], rows, seed=1)
    assert [sum(row[0].input.startswith(part) for row in mixed) for part in "ab"] == counts
    often = [mixed.count(row) for row in parts[0]]
    assert max(often) - min(often) <= 1, "each as often as any other"


def test_a_mix_of_everything_by_default() -> None:
    parts = [[one_turn("a", "1")], ROWS, []]
    mixed = weighted([(part, 1.0) for part in parts], None, seed=1)
    assert len(mixed) == 6 and mixed == weighted([(part, 1.0) for part in parts], None, seed=1)
    assert weighted([], None, 1) == []


def test_versions_are_json_lines_of_xtuner_s_own(place: SetPaths) -> None:
    version = add_version(place, ROWS, "identity", {})
    lines = place.version(version.digest).read_text(encoding="utf-8").split("\n")
    assert lines.pop() == "" and [json.loads(line) for line in lines] == [
        {"conversation": [{"input": row[0].input, "output": row[0].output}]} for row in ROWS
    ]
    assert all(one <= two for one, two in pairwise(v.made_at for v in read_set(place).versions))
