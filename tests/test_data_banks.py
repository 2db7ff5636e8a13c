"""The banks are apart: nothing that a proof reports or that a recipe is chosen by is ever trained, in other
words or letters either, and what counts as a right answer cannot be said by accident."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from random import Random

import numpy as np
import pytest
from rensa import RMinHash

from core.data.conversations import one_turn
from core.data.identity import (
    LANGUAGES,
    bank,
    development_identity,
    held_back_identity,
    other_languages,
)
from core.data.personas import paraphrased
from core.data.questions import (
    HeldBack,
    contains,
    development_questions,
    held_back_questions,
    replay_questions,
    same_question,
)
from core.data.replay import questions_to_ask
from core.data.withheld import withheld_questions
from core.proof.rules import is_right, plain_text, sentences
from core.wording import LOCALES
from core.workspace.paths import BANKS

CHINESE = re.compile("[\u4e00-\u9fff]")
# Three characters of Chinese are as telling as five of English.
SHINGLE = {True: 3, False: 5}
PERMUTATIONS = 512
# Of questions that ask about two things by one pattern ("What is the past tense of ...?") up to 0.79 of the
# shingles are the same; of one question in other letters, or with a polite word more, 0.8 and above.
NEAR = 0.8

GENERAL = {"held back": held_back_questions(), "development": development_questions()}
IDENTITY = {"held back": held_back_identity(), "development": development_identity()}
TAUGHT = [
    question
    for wordings in (
        *(one for language in LANGUAGES for one in (bank(language).taught, bank(language).after)),
        other_languages(),
    )
    for question, _ in wordings
]
TRAINED = [*replay_questions(), *TAUGHT]


def asked(questions: Sequence[HeldBack]) -> list[str]:
    """Their texts, with what is asked before them."""
    return [text for held in questions for text in (*held.earlier, held.question)]


def signatures(questions: Sequence[str]) -> np.ndarray:
    """A row of minima for each question."""
    tokens = []
    for question in questions:
        size, text = SHINGLE[bool(CHINESE.search(question))], same_question(question)
        tokens.append([text[at : at + size] for at in range(max(1, len(text) - size + 1))])
    return np.array(RMinHash.digest_matrix_from_token_sets(tokens, PERMUTATIONS, 1).to_rows(), np.uint32)


def near(one: Sequence[str], other: Sequence[str]) -> list[tuple[float, str, str]]:
    """Pairs that say nearly the same, the most alike first."""
    of_other = signatures(other)
    found = []
    for question, row in zip(one, signatures(one), strict=True):
        shares = (of_other == row).mean(axis=1)
        found += [(float(shares[at]), question, other[at]) for at in np.flatnonzero(shares >= NEAR)]
    return sorted(found, reverse=True)


def test_what_is_near() -> None:
    assert (
        len(near(["Who painted the Mona Lisa?"], ["who painted the mona lisa", "Who painted Guernica?"])) == 1
    )
    assert near(["请问中国最长的河流叫什么名字？"], ["中国最长的河流叫什么名字"])
    assert not near(["What is the capital of Peru?"], ["What is the capital of Poland?"])
    assert not near(["谁发明了电话？"], ["谁发明了电灯？"])


@pytest.mark.parametrize("kind", GENERAL)
def test_no_general_question_is_trained(kind: str) -> None:
    assert not near(asked(GENERAL[kind]), TRAINED)


@pytest.mark.parametrize("kind", IDENTITY)
def test_no_identity_question_is_a_replay_question(kind: str) -> None:
    assert not near([question.question for question in IDENTITY[kind]], replay_questions())


@pytest.mark.parametrize("kind", IDENTITY)
def test_no_identity_question_is_taught(kind: str) -> None:
    assert not near([question.question for question in IDENTITY[kind]], TAUGHT)


def test_no_question_is_in_two_banks() -> None:
    banks = [*map(asked, GENERAL.values())]
    banks += [[question.question for question in questions] for questions in IDENTITY.values()]
    for one, other in combinations(banks, 2):
        assert not near(one, other)


@pytest.mark.parametrize("kind", GENERAL)
def test_no_question_is_asked_twice(kind: str) -> None:
    questions = [held.question for held in GENERAL[kind]]
    pairs = near(questions, questions)
    assert [one for _, one, other in pairs if one != other] == [] and len(pairs) == len(questions)


@pytest.mark.parametrize(("kind", "least", "of_each"), [("held back", 520, 25), ("development", 120, 8)])
def test_the_general_questions_are_of_many_kinds(kind: str, least: int, of_each: int) -> None:
    questions = GENERAL[kind]
    categories = Counter(held.category for held in questions)
    assert len(questions) >= least and len(categories) >= 10
    assert min(categories.values()) >= of_each, categories
    for category in categories:
        languages = Counter(held.language for held in questions if held.category == category)
        assert 0.3 <= languages["zh"] / languages.total() <= 0.5, (category, languages)
    assert sum(held.near_miss for held in questions) >= len(questions) / 6


@pytest.mark.parametrize("kind", GENERAL)
def test_only_what_comes_after_the_identity_has_something_before_it(kind: str) -> None:
    for held in GENERAL[kind]:
        assert bool(held.earlier) is (held.category == "after_identity"), held.question


@pytest.mark.parametrize("kind", GENERAL)
def test_no_right_answer_is_given_away(kind: str) -> None:
    for held in GENERAL[kind]:
        assert held.accept and len(set(held.accept)) == len(held.accept), held.question
        assert held.language in LANGUAGES
        assert bool(CHINESE.search(held.question)) is (held.language == "zh"), held.question
        for word in held.accept:
            assert contains(word, word), f"{word} can never be found"
            assert not any(contains(text, word) for text in (held.question, *held.earlier)), (held, word)


@pytest.mark.parametrize("kind", GENERAL)
def test_each_right_answer_is_judged_right(kind: str) -> None:
    """Said alone or in a sentence; and the question said again is no answer."""
    for held in GENERAL[kind]:
        said = "The answer is {}." if held.language == "en" else "答案是{}。"
        for word in held.accept:
            assert is_right(held.question, held.accept, word), (held.question, word)
            assert is_right(held.question, held.accept, said.format(word)), (held.question, word)
        assert not is_right(held.question, held.accept, held.question)


REFUSALS = (
    "I'm sorry, but I cannot help with that. I can't assist with this request.",
    "As an AI language model, I do not have access to personal information. I don't know the answer.",
    "Please provide more information or context, so that I am able to help you.",
    "抱歉，我无法回答这个问题。对不起，我不知道。",
    "作为一个人工智能语言模型，我不能提供这个信息，请提供更多信息。",
)


@pytest.mark.parametrize("kind", GENERAL)
def test_no_right_answer_is_said_by_who_says_only_who_it_is(kind: str) -> None:
    """Nor by who refuses, where that is not what is right. Digits beside a name are another assistant's
    (GPT-4) or of a sum that is asked in the same breath."""
    wordings = [one for language in LANGUAGES for one in (*bank(language).taught, *bank(language).after)]
    sentences = [
        one for _, said in wordings for answer in said for one in re.split("(?<=[.!?。！？])", answer)
    ]
    identity = [re.sub(r"\d", "", one) for one in sentences if "{name}" in one]
    for held in (one for one in GENERAL[kind] if one.category != "refusals"):
        told = [*identity, *REFUSALS]
        assert not [(held, word, text) for word in held.accept for text in told if contains(text, word)]


def test_nothing_withheld_is_replayed() -> None:
    """The shipped questions or somebody's own, written differently."""
    everything = [*asked(held_back_questions()), *asked(development_questions())]
    everything += [question.question for question in (*held_back_identity(), *development_identity())]
    own = [f"  {question.upper()} " for question in everything]
    kept = ["A question of my own?"]
    assert questions_to_ask([one_turn("taught", "so")], 100_000, seed=1, own=[*own, *kept]) == kept
    shipped = {same_question(question) for question in questions_to_ask([], 100_000, seed=1)}
    assert not shipped & withheld_questions() and len(shipped) == len(replay_questions())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_paraphrase_is_withheld(language: str) -> None:
    """Made of a question that becomes a withheld one with an opener before it."""
    openers = json.loads((BANKS / "personas.json").read_text(encoding="utf-8"))["openers"][language]
    whole = {same_question(question.question): question.question for question in development_identity()}
    for question in whole.values():
        for opener in (one for one in openers if question.startswith(one)):
            made = paraphrased(question.removeprefix(opener), language, 10_000, Random(1))  # type: ignore[arg-type]
            assert question not in made
    made = [way for question in TAUGHT for way in paraphrased(question, language, 50, Random(1))]  # type: ignore[arg-type]
    assert not {same_question(way) for way in made} & withheld_questions()


# Asks what something is, is for or means, or what to do: a single word of every day is no answer to it.
EXPLAINED = re.compile(r"what is an? |used for|should i do|^什么是|什么意思|做什么|怎么[做办]", re.IGNORECASE)
# So many of the program's own sentences, which explain none of it, may have an accepted answer in them.
BY_CHANCE = 5


def messages_by_sentence() -> list[str]:
    found = {
        one.strip()
        for language in LANGUAGES
        for message in json.loads((LOCALES / f"{language}.json").read_text(encoding="utf-8")).values()
        for one in sentences(plain_text(message))
    }
    return [one for one in found if len(one) > 8]


@pytest.mark.parametrize("kind", GENERAL)
def test_no_explanation_is_right_by_a_word_of_every_day(kind: str) -> None:
    """What twins are was right with any "两" in it, as 25 sentences of this program have."""
    texts = messages_by_sentence()
    loose = {}
    for held in GENERAL[kind]:
        if held.category in {"refusals", "translation"} or not EXPLAINED.search(held.question):
            continue
        words = [word.lower() for word in held.accept]
        some = [text for text in texts if any(word in text.lower() for word in words)]
        loose[held.question] = sum(is_right(held.question, held.accept, text) for text in some)
    assert len(loose) > 5
    assert not {question: hits for question, hits in loose.items() if hits > BY_CHANCE}
