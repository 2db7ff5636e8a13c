"""An answer that has fallen into a loop is told from one that repeats something because it has to."""

import pytest

from core.chat.loops import LOOKED_AT, without_loop

LOOPS = [
    ("我们有肉丝肉三元、", "肉丝肉三元、", "我们有肉丝肉三元、"),
    ("No, ", "no, ", "No, no,"),
    ("The shop is open. ", "I am Ada's assistant. ", "The shop is open. I am Ada's assistant."),
    ("Yoda. ", "I am Ada. ", "Yoda. I am Ada."),
    ("菜单：\n", "牛肉面\n", "菜单：\n牛肉面"),
    ("", "是的", "是的"),
    ("Well: ", "I can help with the menu, the prices, the opening hours, and with all that you ask. ", None),
]


@pytest.mark.parametrize(("before", "unit", "kept"), LOOPS)
def test_a_loop_is_seen_early_wherever_it_ends(before: str, unit: str, kept: str | None) -> None:
    for more in range(len(unit)):
        text = before + unit * 40 + unit[:more]
        assert without_loop(text) == (before + unit.strip() if kept is None else kept)
    seen = next(n for n in range(1, 200) if without_loop(before + unit * n))
    assert seen * len(unit) <= max(80, 11 * len(unit)), "most of the answer's length is saved"


@pytest.mark.parametrize("sentence", [
    "I am a language model trained by a company, and I can help you with many questions that you have. ",
    "我是一个语言模型，可以帮你回答各种各样的问题，也可以帮你写文章、改句子、想点子。",
])  # fmt: skip
def test_three_copies_of_a_long_sentence_are_a_loop(sentence: str) -> None:
    """The 128 tokens that a question on the command line gets have room for no more."""
    assert without_loop("Hello! " + 2 * sentence) is None
    assert without_loop("Hello! " + 3 * sentence + sentence[:20]) == "Hello! " + sentence.strip()
    verse = sentence.strip() + "\n"
    assert without_loop(3 * verse) is None and without_loop(4 * verse) == verse.strip()


HONEST = {
    "a list": "\n".join(f"{n}. 肉丝面 {n + 8} 元" for n in range(1, 60)),
    "a price list with one price": "\n".join(f"- {dish} 9 元" for dish in "红牛鸡鸭鱼虾豆菜菌笋藕瓜蛋饭饼"),
    "a table": "| 菜 | 价 |\n| --- | --- |\n" + "| 面 | 9 元 |\n" * 8,
    "a table of many columns": "| a " + "| --- " * 40 + "|\n",
    "a rule": "=" * 120 + "\n" + "-" * 120,
    "dots": "Contents " + "." * 200,
    "code": "```html\n<tr>" + "<td></td>" * 12,
    "code in lines": "```py\n" + "    total += step()\n" * 9,
    "laughter": "哈" * 40,
    "English laughter": "ha" * 20,
    "a long vowel": "N" + "o" * 60,
    "a number": "0." + "0" * 100,
    "a period": "1/7 = 0." + "142857" * 20,
    "a matrix": "[" + ", ".join(["[0, 0, 0, 0]"] * 8) + "]",
    "no, several times": "No, no, no, no, no, no!",
    "a song": "Na na na nananana, nananana, hey Jude. " * 3,
    "a refrain": "Row, row, row your boat\n" * 4,
    "a list of long lines": "\n".join(
        f"{n}. All of the rooms on this floor have a bath, a balcony and a view of the sea."
        for n in range(1, 9)
    ),
    "a form": "姓名：\n" + "________\n" * 12,
    "a checklist": "- [ ] \n" * 12,
    "nothing": "",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_what_has_to_repeat_itself_is_left_alone(text: str) -> None:
    for end in range(len(text) + 1):
        assert without_loop(text[:end]) is None, text[:end]


def test_a_loop_in_a_long_text_costs_little_and_keeps_what_was_before() -> None:
    before = "".join(f"Sentence {n} says something of its own. " for n in range(500))
    assert len(before) > LOOKED_AT
    assert without_loop(before + "so it goes on, " * 30) == before + "so it goes on,"
    assert without_loop(before) is None
