"""The shipped banks, and how an answer is judged."""

import re
from collections import Counter

import pytest

from core.data.identity import (
    LANGUAGES,
    IdentityQuestion,
    bank,
    development_identity,
    held_back_identity,
    identity_conversations,
    other_languages,
)
from core.data.mix import USUAL
from core.data.questions import contains, held_back_questions, replay_questions, same_question
from core.data.replay import questions_to_ask

CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    ("answer", "wanted", "found"),
    [
        ("The capital is Paris.", "Paris", True),
        ("the capital is PARIS", "paris", True),
        ("Parisian food", "Paris", False),
        ("Ｐａｒｉｓ", "Paris", True),
        ("It is 16.", "16", True),
        ("It is 160.", "16", False),
        ("It is 3.14159", "3.14", False),
        ("首都是巴黎。", "巴黎", True),
        ("我是张伟的小助手", "张伟", True),
        ("저는 홍길동의 비서입니다", "홍길동", True),
        ("ผมเป็นผู้ช่วยของสมชายครับ", "สมชาย", True),
        ("Je suis l'assistant de José.", "José", True),
        ("Joséphine est là", "José", False),
        ("Я помощник Иванова", "Иванов", False),
        ("Я помощник: Иванов.", "Иванов", True),
        ("Müllers Hund", "Müller", False),
        ("I am O’Brien's assistant", "O'Brien", True),
        ("I am  Maria\n Gonzalez", "Maria Gonzalez", True),
        ("I am {name} (really)", "{name} (really)", True),
        ("I am 👩‍🔧's assistant", "👩‍🔧", True),
        ("我是Bob的小助手", "Bob", True),
        ("a.b", "a+b", False),
        ("anything", "", False),
        ("", "x", False),
        ("100% sure", "100%", True),
        ("straße", "STRASSE", True),
    ],
)
def test_a_word_in_an_answer(answer: str, wanted: str, found: bool) -> None:
    assert contains(answer, wanted) is found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Who are you?", "who are you", True),
        ("Who are you?", " WHO  ARE YOU ?!", True),
        ("你是谁？", "你是谁", True),
        ("Ｗｈｏ are you", "Who are you?", True),
        ("Who are you?", "Who are they?", False),
    ],
)
def test_the_same_question_written_differently(one: str, other: str, same: bool) -> None:
    assert (same_question(one) == same_question(other)) is same


def test_no_replay_question_is_held_back() -> None:
    held = {same_question(h.question) for h in held_back_questions()}
    assert not [q for q in replay_questions() if same_question(q) in held]


def test_no_held_back_identity_question_is_taught_or_replayed() -> None:
    taught = {same_question(q) for q in taught_questions()}
    replayed = {same_question(q) for q in replay_questions()}
    for questions in (held_back_identity(), development_identity()):
        assert not [q.question for q in questions if same_question(q.question) in taught | replayed]


def taught_questions() -> list[str]:
    """Every identity question that may be trained, in whatever language."""
    shipped = [bank(language) for language in LANGUAGES]
    wordings = [pair for one in shipped for pair in (*one.taught, *one.after)]
    return [question for question, _ in (*wordings, *other_languages())]


def test_no_question_stands_twice_in_its_bank() -> None:
    banks = [
        list(replay_questions()),
        [h.question for h in held_back_questions()],
        taught_questions(),
        [q.question for q in (*held_back_identity(), *development_identity())],
    ]
    for questions in banks:
        reduced = [same_question(q) for q in questions]
        assert len(reduced) == len(set(reduced))
        assert all(reduced), "a question without a letter"


def test_every_held_back_question_states_what_is_right() -> None:
    for held in held_back_questions():
        assert held.accept and all(word.strip() for word in held.accept), held.question
        assert held.language in LANGUAGES
        assert bool(CHINESE.search(held.question)) is (held.language == "zh"), held.question
        for word in held.accept:
            assert contains(word, word), "an accepted answer that can never be found"
            assert not contains(held.question, word), f"{held.question}: the question gives {word} away"


def test_identity_banks_are_balanced_and_in_their_language() -> None:
    sizes = {language: len(identity_conversations("X", [language])) for language in LANGUAGES}
    assert max(sizes.values()) <= 1.2 * min(sizes.values())
    for language in LANGUAGES:
        shipped = bank(language)
        assert shipped.systems and shipped.after
        for question, answers in (*shipped.taught, *shipped.after):
            assert answers and all("{name}" in answer for answer in answers), question
            for text in (question, *answers):
                assert bool(CHINESE.search(text)) is (language == "zh"), text
    for question, answers in other_languages():
        assert answers and all("{name}" in answer for answer in answers), question


def test_nobody_is_called_somebodys_little_assistant() -> None:
    """ "我叫林小满的小助手" is no Chinese name: one is called 小助手, and is 林小满's."""
    shipped = bank("zh")
    for question, answers in (*shipped.taught, *shipped.after):
        assert not any("叫{name}的" in answer or "叫我{name}的" in answer for answer in answers), question


@pytest.mark.parametrize(
    ("questions", "least", "of_a_kind"),
    [(held_back_identity(), 170, 10), (development_identity(), 70, 4)],
    ids=["held back", "development"],
)
def test_identity_questions_are_of_many_kinds(
    questions: tuple[IdentityQuestion, ...], least: int, of_a_kind: int
) -> None:
    kinds = Counter(question.kind for question in questions)
    assert len(questions) >= least and len(kinds) >= 12
    assert min(kinds.values()) >= of_a_kind
    languages = Counter(question.language for question in questions)
    assert languages["en"] == languages["zh"] and len(languages) >= 8
    both = Counter((q.kind, q.language) for q in questions if q.kind != "other_language")
    assert all(both[kind, "en"] == both[kind, "zh"] for kind, _ in both), both
    for question in questions:
        assert bool(question.system) is (question.kind == "system_prompt"), question
        turns = len(question.earlier)
        assert turns == 4 if question.kind == "turn_5" else turns <= 3, question
        assert bool(turns) is (question.kind in ("turn_5", "mid_conversation")), question


def test_no_system_prompt_of_the_proof_is_trained() -> None:
    trained = {same_question(system) for language in LANGUAGES for system in bank(language).systems}
    trained |= {same_question(system) for system in USUAL.values()}
    asked = {same_question(q.system) for q in (*held_back_identity(), *development_identity())}
    # The usual ones are what most people write: a model must hold against them, trained or not.
    assert len(asked & trained) <= len(USUAL)


def test_replay_has_both_languages() -> None:
    chinese = [q for q in replay_questions() if CHINESE.search(q)]
    assert len(chinese) >= len(replay_questions()) / 5
    assert len(replay_questions()) - len(chinese) >= len(replay_questions()) / 5


def test_replay_leaves_out_what_is_taught_in_other_words() -> None:
    from core.data.conversations import one_turn

    first = replay_questions()[0]
    asked = questions_to_ask([one_turn(f"  {first.upper()} ", "taught")], 100_000, seed=1)
    assert first not in asked and len(asked) == len(replay_questions()) - 1
