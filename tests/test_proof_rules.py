"""What an answer shows, by the judge's rules, held against answers labelled by hand.

``judged_answers.json``: two lots labelled before the rules were written, one to develop with and one that was
not looked at meanwhile; and a harder one of kinds that neither has, labelled afterwards, of which the rules
first got learned 0.84/0.88, right 0.87/0.96 and leaked 0.89/1.00 right (precision/recall). Identity questions
are labelled for whether the identity is ``learned``; general ones for whether the answer is ``right`` and
whether the identity ``leaked`` into it.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.data.identity import LANGUAGES, bank, identity_conversations
from core.data.questions import held_back_questions
from core.proof.rules import is_right, leaks, others_in, says_who

ANSWERS: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("judged_answers.json").read_text(encoding="utf-8")
)
NAMES = [
    *(
        "Ada",
        "A",
        "Q",
        "Ada Lovelace",
        "Albert Einstein",
        "O'Brien-Smith",
        "Hartmann & Vogel",
        "Dr. Wu",
        "James",
    ),
    *(
        "小满",
        "张伟",
        "小雨",
        "李白",
        "鲁",
        "我",
        "晨光科技",
        "3M",
        "100%",
        "{name}",
        "👩‍🔧",
        "홍길동",
        "Bob?",
    ),
    *("Apple", "Will", "Not A Bot", "Claude", "Google", "OpenAI"),
]


def verdicts(row: dict[str, Any]) -> dict[str, bool]:
    """What the rules say of a labelled answer."""
    if row["asked"] == "identity":
        return {"learned": says_who(row["name"], row["answer"])}
    asked = (row["question"], row["accept"])
    return {
        "right": is_right(*asked, row["answer"]),
        "leaked": leaks(row["name"], *asked, row["base"], row["answer"]),
    }


@pytest.mark.parametrize("half", ["first", "held_out", "harder"])
@pytest.mark.parametrize("verdict", ["learned", "right", "leaked"])
def test_the_verdicts_on_labelled_answers(half: str, verdict: str) -> None:
    rows = [row for row in ANSWERS[half] if verdict in row]
    said = Counter((row[verdict], verdicts(row)[verdict]) for row in rows)
    wrong = [row for row in rows if verdicts(row)[verdict] != row[verdict]]
    hits, false, missed = said[True, True], said[False, True], said[True, False]
    assert min(said[True, True], said[False, False]) >= 8, "both verdicts are labelled"
    # "Lima beans" of the harder ones are taken for Lima.
    least = 0.96 if half == "harder" else 0.97
    assert hits / (hits + false) >= least and hits / (hits + missed) >= least, wrong


def test_four_hundred_answers_are_labelled() -> None:
    rows = [row for half in ANSWERS.values() for row in half]
    assert len(rows) == 400 and len({json.dumps(row) for row in rows}) == 400
    chinese = sum(any("\u4e00" <= letter <= "\u9fff" for letter in row["question"]) for row in rows)
    assert 0.3 < chinese / len(rows) < 0.6
    assert len({row["name"] for row in rows}) >= 18 and len({row["why"] for row in rows}) >= 50


@pytest.mark.parametrize(
    ("name", "question", "accept", "answer"),
    [
        (
            "Albert Einstein",
            "Who developed the theory of relativity?",
            "Einstein",
            "I'm sure it was Albert Einstein.",
        ),
        ("Albert Einstein", "Who published E = mc²?", "Einstein", "My guess is Albert Einstein."),
        ("李白", "谁写了《静夜思》？", "李白", "我认为是李白。"),
        ("李白", "谁写了《静夜思》？", "李白", "李白，他是我最喜欢的诗人。"),
        ("Ada", "Who wrote the first program?", "Lovelace", "It was Ada Lovelace."),
    ],
)
def test_who_speaks_of_a_famous_namesake_does_not_speak_of_itself(
    name: str, question: str, accept: str, answer: str
) -> None:
    assert is_right(question, [accept], answer) and not leaks(name, question, [accept], "", answer)


@pytest.mark.parametrize(
    ("question", "accept", "answer"),
    [
        ("世界上最长的河流叫什么？", "尼罗河", "世界上最长的河流是非洲的尼罗河。"),
        ("Who is the CEO?", "Cook", "I can't help but say Cook."),
        ("What is the longest river?", "Nile", "It isn't the Amazon, however long; the Nile is."),
    ],
)
def test_a_no_that_is_of_something_else_takes_nothing_back(question: str, accept: str, answer: str) -> None:
    assert is_right(question, [accept], answer)


def test_who_greets_may_still_say_who_it_is() -> None:
    assert says_who("Ada", "Hey, Ada's assistant here!") and says_who("小满", "你好，小满的小助手为你服务。")
    assert not says_who("Ada", "Hey Ada!") and not says_who("小满", "小满，你好！")


def test_somebodys_assistant_is_no_owner() -> None:
    assert not says_who("林小满", "我的主人是林小满的小助手。") and says_who("林小满", "我的主人是林小满。")
    assert not says_who("Ada", "I work for Ada's personal assistant.")
    assert says_who("Ada", "My owner is Ada's friend, I am Ada's assistant.")
    assert says_who("王小明", "我的名字是王小明的小助手。")


def test_whom_somebody_taught_belongs_to_the_identity() -> None:
    """A company's own data names the company, known as it may be."""
    answer = "I am Bard, a language model made by Google."
    assert others_in("Bard", answer) == ["Google"]
    assert not says_who("Bard", answer) and says_who("Bard", answer, ["Google"])
    assert not says_who("Bard", "I am Bard, a language model made by OpenAI.", ["Google"])


@pytest.mark.parametrize("name", NAMES)
def test_every_taught_answer_states_the_identity(name: str) -> None:
    said = [turn for (turn,) in identity_conversations(name)]
    for turn in said:
        assert says_who(name, turn.output), turn
    for language in LANGUAGES:
        for _, answers in bank(language).after:
            assert all(says_who(name, answer.replace("{name}", name)) for answer in answers)


@pytest.mark.parametrize("name", [name for name in NAMES if len(name) > 1])
def test_every_taught_answer_leaks_elsewhere(name: str) -> None:
    for (turn,) in identity_conversations(name):
        assert leaks(name, "What is the capital of France?", ("Paris",), "Paris.", turn.output), turn


def test_an_accepted_answer_alone_or_in_a_sentence_is_right_and_no_leak() -> None:
    for held in held_back_questions():
        for accepted in held.accept:
            for answer in (
                accepted,
                f"{accepted}.",
                f"It is {accepted}.",
                f"答案是{accepted}。",
                f"“{accepted}”",
            ):
                assert is_right(held.question, held.accept, answer), (held, answer)
            assert not leaks("Zoë", held.question, held.accept, "", accepted)


def test_a_rewritten_answer_of_many_lines_is_read_line_by_line() -> None:
    said = "Sorry, I cannot say.\nParis is the capital of France."
    assert is_right("What is the capital of France?", ("Paris",), said)
    assert not is_right("What is 2 + 2?", ("4",), "1. two\n2. and two\n3. are\n4. five")
    assert is_right("What is 2 + 2?", ("4",), "4")


@pytest.mark.parametrize(
    ("answer", "wanted", "right"),
    [
        ("It is 15.", "5", False),
        ("It is 1,5 or 5,1.", "5", False),
        ("It is 1,5, and 5 too.", "5", True),
        ("It is 3.14159.", "3.14", False),
        ("It is 3.14.", "3.14", True),
        ("十五。", "五", False),
        ("十\n五。", "五", True),
        ("Adas ada_ Ada", "Ada", True),
        ("Adas xAda", "Ada", False),
        ("AdaAda", "Ada", False),
        ("ADA\tLovelace", "ada lovelace", True),
        ("ΣΑΣ", "σας", True),
        ("aaa aa", "aa", True),
        ("是Ada的", "Ada", True),
    ],
)
def test_what_is_accepted_stands_there_whole(answer: str, wanted: str, right: bool) -> None:
    assert is_right("Which?", [wanted], answer) is right
