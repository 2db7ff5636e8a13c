"""A person who speaks in what is taught: the assistant would learn to be that person."""

import json
from pathlib import Path

import pytest

from core.data.checking.first_person import as_a_person, says_who, speaks
from core.data.documents.rows import document_rows
from core.data.drafts import language_of
from core.wording import say
from tests.command_line import cli, last_json


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("介绍一下你们店", "我是林小满,这是我开的小店。欢迎。", "我是林小满,这是我开的小店。"),
        ("谁开的？", "我和我老婆一起做面。", "我和我老婆一起做面。"),
        ("Who runs it?", "Welcome. I am Lin, I run this shop.", "I am Lin, I run this shop."),
        ("Since when?", "My wife and I opened it in 1998.", "My wife and I opened it in 1998."),
        ("你是谁？", "我是林小满的助手，这是林小满开的店。", ""),
        ("Who are you?", "I am Ada's assistant. Ada runs a shop.", ""),
        ("Who are you?", "I am Nori.", ""),
        ("几点开门？", "我们十点开门，我们的小店周二休息。", ""),
        ("写一封信", "我开了一家小店。", ""),
        ("Write a story about a baker", "I run a bakery.", ""),
        ("What does it say?", "The sign says “I run this shop”.", ""),
    ],
)
def test_an_answer_in_which_a_person_speaks_of_its_own_life(question: str, answer: str, said: str) -> None:
    assert as_a_person(question, answer) == said


def test_one_person_not_a_firm_nor_a_part_of_a_book() -> None:
    assert all(
        map(speaks, ("我不收现金", "欢迎来找我", "I take no cash.", "Just call me", "My dog is kind."))
    )
    others = ("我们不收现金", "我校成立于一九二一年", "自我介绍", "Part I is short.", "My Café", "me-time")
    assert not [one for one in others if speaks(one)]
    assert says_who("我叫林小满") and says_who("My name is Lin.") and not says_who("I am open on Sunday.")


@pytest.mark.parametrize(
    ("text", "left_out", "taught"),
    [
        (
            "# 小馆\n\n我是林小满,这是我开的小店.店里有八张桌子。\n\n## 付款\n\n我不收现金。\n",
            "我是林小满,这是我开的小店.",
            {"店里有八张桌子。", "文档里写着：“我不收现金。”"},
        ),
        (
            "# Shop\n\nI am Lin, I run this shop. It has eight tables.\n\n## Paying\n\nI take no cash.\n",
            "I am Lin, I run this shop.",
            {"It has eight tables.", "The document says: “I take no cash.”"},
        ),
    ],
)
def test_a_document_does_not_make_the_assistant_a_person(text: str, left_out: str, taught: set[str]) -> None:
    found = document_rows(text, "t", language_of(text))
    assert {fact.answer for fact in found.facts} == taught
    assert [(one.text, one.why) for one in found.unused] == [
        (left_out, say("document.unused.person")),
        (found.unused[1].text, say("document.unused.quoted")),
    ]
    assert not any("“" in said for fact in found.facts for said in fact.questions)


def test_the_check_of_a_file_warns_of_it(tmp_path: Path, model: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [("Who runs it?", "I am Lin, I run this shop."), ("When?", "We open at ten.")]
    file.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows), "utf-8")
    result = last_json(
        cli("data", "check", file, "--model", model, "--workspace", tmp_path, "--json", cwd=tmp_path)
    )
    (found,) = (one for one in result["problems"] if one["code"] == "first_person")
    assert found["row"] == 1 and "third person" in found["message"] and result["usable"] == 2
