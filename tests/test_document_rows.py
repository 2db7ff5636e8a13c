"""Questions and answers of a document's own structure."""

import json
import re
from difflib import SequenceMatcher
from pathlib import Path

import docx
import pytest

from core.data.documents.facts import DocumentRows
from core.data.documents.files import read_markdown
from core.data.documents.questions import FEWEST_WORDINGS, IN_ALL, MOST_WORDINGS, wordings_of
from core.data.documents.rows import document_of, document_rows, read_rows_of
from core.data.drafts import language_of
from core.data.questions import same_question
from core.errors import NotADocument
from core.steps.taught import to_teach
from core.workspace.paths import BANKS

MENU = """# 林小满的面馆

地址：文三路 18 号。电话：0571-88881234。

## 热菜

- 宫保鸡丁：38元
- 麻婆豆腐 22元（微辣）
- **红烧肉** —— ¥58
  慢炖两小时

## 面食

| 名称 | 价格 | 分量 |
|---|---|---|
| 牛肉面 | 28元 | 大碗 |
| 阳春面 | 12 | 小碗 |

## 营业时间

周一至周五：10:00–22:00

## 外卖

我们支持外卖，满50元起送。

## 可以带宠物吗？

可以，请牵好绳子。

![照片](a.png)

## 有包厢吗？
"""
FAQ = """# Ada's salon

**Do you deliver?**
Yes, within 3 miles.

Q: Is there parking?
A: Behind the house.

## Rules

- Dogs are welcome.
- Please do not smoke.

## Prices

1. Haircut - $25
2. Colour - $60 (from)
"""


def answers(found: DocumentRows) -> dict[str, str]:
    return {row[0].input: row[0].output for row in found.conversations}


def test_a_chinese_menu() -> None:
    found = document_rows(MENU, "menu", "zh")
    said = answers(found)
    assert said["宫保鸡丁多少钱？"] == "宫保鸡丁的价格是38元。"
    assert said["麻婆豆腐多少钱？"] == "麻婆豆腐的价格是22元（微辣）。"
    assert "¥58" in said["红烧肉多少钱？"] and "慢炖两小时" in said["红烧肉多少钱？"]
    assert said["牛肉面的价格是多少？"] == "牛肉面的价格是28元。" and "12" in said["阳春面多少钱？"]
    assert said["牛肉面的分量是什么？"] == "牛肉面的分量是大碗。"
    assert said["周一至周五的营业时间是什么？"] == "周一至周五的营业时间是10:00–22:00。"
    assert said["热菜有哪些？"] == "热菜：宫保鸡丁、麻婆豆腐、红烧肉。"
    assert said["可以带宠物吗？"] == "可以，请牵好绳子。"
    assert said["请介绍一下外卖。"] == "我们支持外卖，满50元起送。", (
        "an amount inside a sentence is no price list"
    )
    assert "文三路 18 号" in said["地址是什么？"] and "0571-88881234" in said["告诉我电话。"]
    assert all(len(fact.questions) >= 3 for fact in found.facts if "宠物" not in fact.questions[0])


def test_what_is_not_used_is_listed() -> None:
    found = document_rows(MENU, "menu", "zh")
    assert [(one.line, one.text) for one in found.unused] == [(31, ""), (33, "有包厢吗？")]
    assert document_rows("```\ncode\n```\n\ntext", "t", "en").unused[0].text == "code"


def test_every_word_of_the_text_is_in_a_fact() -> None:
    """Nothing is left out in silence: what is in no fact is among what is not used."""
    found = document_rows(MENU, "menu", "zh")
    said = " ".join(f"{' '.join(fact.questions)} {fact.answer}" for fact in found.facts)
    words = (
        "文三路",
        "0571",
        "38元",
        "22元",
        "微辣",
        "58",
        "慢炖",
        "大碗",
        "小碗",
        "28元",
        "22:00",
        "起送",
        "绳子",
    )
    assert not [word for word in words if word not in said]


def test_an_english_faq() -> None:
    said = answers(document_rows(FAQ, "faq", "en"))
    assert said["Do you deliver?"] == "Yes, within 3 miles."
    assert said["Is there parking?"] == "Behind the house."
    assert (
        said["How much is Haircut?"] == "Haircut costs $25." and "$60 (from)" in said["How much is Colour?"]
    )
    assert "Dogs are welcome" in said["List Rules."] and "smoke" in said["List Rules."]


def test_the_same_question_under_two_headings_is_told_apart() -> None:
    text = "# Shops\n\n## North\n\n- Opening hours: 9:00\n\n## South\n\n- Opening hours: 10:00\n"
    found = document_rows(text, "t", "en")
    asked = answers(found)
    assert len(asked) == len(found.conversations), "no question has two answers"
    assert {"9:00", "10:00"} <= {word.strip(".") for answer in asked.values() for word in answer.split()}
    twice = document_rows("# A\n\n- tea: red\n- tea: green\n", "t", "en")
    assert answers(twice)["What about tea?"] == "tea: red; tea: green"


def test_a_long_text_is_cut_at_sentences() -> None:
    text = "# Handbook\n\n" + " ".join(f"Rule number {n} says that you close door {n}." for n in range(30))
    found = document_rows(text, "t", "en")
    joined = " ".join(fact.answer for fact in found.facts)
    assert len(found.facts) > 3 and all(f"close door {n}." in joined for n in range(30))
    assert len(answers(found)) == len(found.conversations)


def test_a_word_document_keeps_its_structure(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_heading("Menu", 1)
    made.add_paragraph("Soup: $5", style="List Bullet")
    table = made.add_table(2, 2)
    for cell, text in zip(
        [c for row in table.rows for c in row.cells], ("Dish", "Price", "Rice", "$3"), strict=True
    ):
        cell.text = text
    made.save(str(tmp_path / "menu.docx"))
    said = answers(read_rows_of(tmp_path / "menu.docx"))
    assert said["How much is Soup?"] == "Soup costs $5." and said["How much is Rice?"] == "Rice costs $3."


def test_data_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("### Human: q\n\n### Assistant: a\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"question": "q", "answer": "a"}', encoding="utf-8")
    assert document_of(tmp_path / "a.md") is None and document_of(tmp_path / "b.jsonl") is None
    (tmp_path / "c.md").write_text("![x](y.png)", encoding="utf-8")
    with pytest.raises(NotADocument, match="no question"):
        document_of(tmp_path / "c.md")


def test_a_document_is_taught_beside_the_identity(tmp_path: Path) -> None:
    (tmp_path / "menu.md").write_text(MENU, encoding="utf-8")
    said = to_teach("林小满", tmp_path / "menu.md")
    assert said.identity and said.document
    assert len(said.own) == len(said.document.conversations) > 30


@pytest.mark.parametrize("name", ["menu.md", "menu.txt"])
def test_a_text_is_read_by_what_it_holds_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    file = tmp_path / name

    def made(text: str, wanted: bool | None = None) -> DocumentRows | None:
        file.write_text(text, encoding="utf-8")
        return document_of(file, wanted)

    assert made(MENU) and made("Soup: 5 yuan") and made("Q: Parking?\nA: Behind the house.")
    assert made("We bake bread every morning, and cake on Sundays.")
    dialogue = "### Human: Who are you?\n### Assistant: I am Ada."
    story = "\n\n".join(f"On day {day} the wind turned, and nobody slept. " * 4 for day in range(40))
    assert made(dialogue) is None and made(story) is None
    assert made(story, wanted=True) and made(MENU, wanted=False) is None
    assert to_teach("Ada", file, document=False).document is None
    assert to_teach("Ada", file).document


STORY = "It was a dark night, and the wind howled over the moor for hours on end. " * 4 + "\n\n"


@pytest.mark.parametrize(
    "text",
    [
        "User: Hi\nAssistant: Hello!\nUser: What time is it?\nAssistant: Noon.\n",
        "小明：你去哪儿？\n小红：去学校。\n小明：一起走吧。\n小红：好的。\n",
        "**Interviewer:** Who?\n\n**Ada:** Ada.\n\n**Interviewer:** What?\n\n**Ada:** I count.\n",
        "2026-01-01 12:00 张三: 你好\n2026-01-01 12:01 李四: 在\n2026-01-02 9:01 李四: 好\n"
        "2026-01-02 9:02 张三: 吃\n2026-01-02 9:03 张三: 走吧\n",
        "张三 2026/1/1 12:00\n你好\n\n李四 2026/1/1 12:01\n在吗\n",
        "".join(f"[12:00:{n:02d}] ERROR db: connection lost: retry {n}\n" for n in range(9)),
        "def f(x):\n    return x + 1\n\nclass A:\n    def g(self):\n        pass\n",
        "```\nmake install\n```\n",
        "<p>We open at nine.</p>\n",
        "".join(f"# Chapter {n}\n\n" + STORY * 20 for n in range(3)),
        STORY * 11_000,
    ],
)
def test_what_is_said_in_its_order_only_is_data(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert document_of(tmp_path / "a.txt") is None


@pytest.mark.parametrize(
    "text",
    [
        "Monday: 10 to 22\nTuesday: 10 to 22\nWednesday: closed\nThursday: 9 to 12\n",
        "# Shops\n\n## A\n\nHours: 9 to 5\nPhone: 12\n\n## B\n\nHours: 8 to 4\nPhone: 13\n",
        "2026-05-01 10:00 Opening\n2026-05-01 11:00 Talk\n2026-05-01 12:00 Lunch\n2026-05-02 10:00 End\n",
        "# Roles\n\nUser: may read\n\nAssistant: may write\n",
    ],
)
def test_a_document_that_looks_like_a_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert document_of(tmp_path / "a.txt")


def test_a_text_in_the_encodings_of_its_neighbours(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text, encoding in (
        ("春山茶館\n桂花烏龍：28 元\n蕎麥茶：18 元\n營業時間：10:00-21:30\n", "big5"),
        ("営業時間：10時から21時まで\n抹茶：500円です\n", "cp932"),
    ):
        file.write_bytes(text.encode(encoding))
        assert read_markdown(file) == text
    file.write_bytes(bytes(range(128, 256)) * 9)
    assert document_of(file) is None, "what is no text says so as data"


def test_a_menu_of_plain_lines() -> None:
    said = answers(document_rows("春山茶馆\n桂花乌龙 28元\n荞麦茶 18元\n营业时间：10:00-21:30\n", "m", "zh"))
    assert said["荞麦茶多少钱？"] == "荞麦茶的价格是18元。" and said["营业时间？"].endswith("10:00-21:30")
    assert said["春山茶馆有什么？"] == "春山茶馆：桂花乌龙、荞麦茶。"


@pytest.mark.parametrize(
    "text", ["1. 几点开门？\n十点。\n2. 能刷卡吗？\n可以。\n", "几点开门？\n十点。\n能刷卡吗？\n可以。\n"]
)
def test_questions_on_lines_of_their_own(text: str) -> None:
    facts = document_rows(text, "t", "zh").facts
    said = {fact.questions[0]: fact.answer for fact in facts}
    assert said == {"几点开门？": "十点。", "能刷卡吗？": "可以。"}
    assert all(fact.questions[0][:-1] in other for fact in facts for other in fact.questions)


def test_lines_of_a_poem_stay_lines() -> None:
    wrapped = "我们的茶馆开在老城的河边，每天早上十点开门，晚上九点半打烊，桂花乌\n龙用当年的新桂花。"
    for text, said in (("静夜思\n李白", "静夜思\n李白"), (wrapped, wrapped.replace("\n", ""))):
        assert set(answers(document_rows(text, "诗", "zh")).values()) == {said}


def test_a_line_above_a_list_says_what_of() -> None:
    said = answers(
        document_rows("Ingredients:\n- flour\n- eggs\n\nSteps：\n1. Mix.\n2. Fry.\n", "pancakes", "en")
    )
    assert said["List Ingredients."] == "Ingredients: flour; eggs."
    assert "Mix" in said["List Steps."] and len(set(said.values())) == 2


def test_lines_that_say_what_they_are_about_are_asked_singly_beside_other_lines() -> None:
    lines = (
        "地址：玉林西路 37 号",
        "电话：028-8555 6621",
        "营业时间：7:30 到 21:00",
        "可以外带，打包盒 1 元。",
    )
    text = "# 面馆\n\n" + "\n".join(lines)
    facts = document_rows(text, "menu", "zh").facts
    assert {fact.answer for fact in facts} == set(lines)
    assert all(
        any(line[:2] in asked for asked in fact.questions)
        for fact, line in zip(facts, lines[:3], strict=False)
    )
    told = "He came home: late.\nNobody was there.\nThe dog slept on.\nIt rained.\n"
    assert [fact.answer for fact in document_rows(told, "story", "en").facts] == [" ".join(told.split())]


@pytest.mark.parametrize(
    ("text", "answer", "asked"),
    [
        ("# 面馆\n\n- 牛肉面：22 元\n", "牛肉面的价格是 22 元。", ["牛肉面多少钱？", "你们的牛肉面多少钱？"]),
        (
            "# 面馆\n\n营业时间：7:30 到 21:00，周二休息\n电话：028\n",
            "营业时间：7:30",
            ["几点关门？", "哪天休息？"],
        ),
        (
            "# 面馆\n\n地址：玉林路 37 号\n电话：028-1\n",
            "地址：玉林路",
            ["你们店在哪里？", "怎么去你们那里？"],
        ),
        (
            "# 面馆\n\n地址：玉林路\n电话：028-1\n",
            "电话：028-1",
            ["怎么联系你们？", "你们的电话号码是多少？"],
        ),
        (
            "|菜|配料|\n|-|-|\n|牛肉面|牛肉、面|\n",
            "牛肉面的配料是",
            ["牛肉面里有什么？", "牛肉面用什么做的？"],
        ),
        ("# 面馆\n\n## 停车\n\n院子里有六个车位。", "院子里", ["可以停车吗？", "车停哪里？"]),
        ("# Bar\n\n- Beef noodles: 12 euros\n", "Beef noodles cost", ["How much for Beef noodles?"]),
        (
            "# Bar\n\nHours: 9 to 5, closed on Sunday\nPhone: 1\n",
            "Hours",
            ["When do you close?", "When are you closed?"],
        ),
        (
            "# Bar\n\nAddress: Elm 4\nPhone: 055\n",
            "Phone",
            ["What is your phone number?", "How can I reach you?"],
        ),
        ("# Bar\n\nAddress: Elm 4\nPhone: 055\n", "Address", ["Where are you?", "How do I find you?"]),
        ("|Dish|Ingredients|\n|-|-|\n|Soup|leek|\n", "The Ingredients of", ["What is in Soup?"]),
        (
            "# Bar\n\n## Hours\n\nMonday: 9 to 17\nSunday: closed\n",
            "The Hours of Sunday",
            ["Are you open on Sunday?"],
        ),
    ],
)
def test_what_people_ask_who_have_not_read_it_is_taught(text: str, answer: str, asked: list[str]) -> None:
    document = document_rows(text, "t", language_of(text))
    (found,) = (fact for fact in document.facts if fact.answer.startswith(answer))
    assert {*asked} <= {*found.questions}


def test_a_question_of_the_document_itself_is_asked_for_its_own_answer_alone() -> None:
    said = answers(
        document_rows("# 店\n\n营业时间：9:00\n电话：1\n\n## 你们几点开门？\n\n九点。\n", "t", "zh")
    )
    assert said["你们几点开门？"] == "九点。" and said["几点关门？"] == "营业时间：9:00"
    two = "# 店\n\n## 东店\n\n地址：东路\n电话：1\n\n## 西店\n\n地址：西路\n电话：2\n"
    assert "你们店在哪里？" not in answers(document_rows(two, "t", "zh"))


def test_what_stands_under_the_title_is_asked_of_the_whole_document() -> None:
    said = answers(document_rows("# Café Linden\n\n- Tea\n- Soup\n", "t", "en"))
    assert said["What does Café Linden have?"] == "Café Linden: Tea; Soup."
    assert not any(question.startswith("Which Café Linden") for question in said)
    said = answers(document_rows("# Café Linden\n\n## Cakes\n\n- Plum cake\n- Cheesecake\n", "t", "en"))
    assert said["Which Cakes are there?"] == "Cakes: Plum cake; Cheesecake."


@pytest.mark.parametrize("count", [1, 10, 22, 80, 300])
def test_the_more_facts_the_fewer_wordings_of_each(count: int) -> None:
    found = document_rows("".join(f"- dish {n}: {n} euros\n" for n in range(count)), "m", "en")
    each = [len(fact.questions) for fact in found.facts if "costs" in fact.answer]
    wanted = wordings_of(len(found.facts))
    assert (
        FEWEST_WORDINGS <= wanted <= MOST_WORDINGS and sum(each) <= max(IN_ALL, FEWEST_WORDINGS * count) + 9
    )
    assert all(abs(one - wanted) <= 1 for one in each)
    asked = [same_question(row[0].input) for row in found.conversations]
    assert len({*asked}) == len(asked), "each wording is another one"
    assert document_rows("- a: 1 euro\n", "m", "en") == document_rows("- a: 1 euro\n", "m", "en")


def test_people_greet_shorten_and_type_in_a_hurry() -> None:
    found = document_rows("# Bar\n\n- Cheese omelette: 8 euros\n- Fish pie: 9 euros\n", "m", "en")
    omelette, pie, _ = (fact.questions for fact in found.facts)
    assert any("omelette" in one and "heese" not in one for one in omelette), "by its short name"
    assert any(one.islower() for one in pie) and any(one.startswith(("Hi", "Hello", "Hey")) for one in pie)
    assert not any(re.match(r"(?:Hi|Hello|Hey), .*[\u4e00-\u9fff]", one) for one in pie), "in one language"
    both = document_rows("# 面馆\n\n- 酸辣牛肉面：8 元\n- 清汤牛肉面：9 元\n", "m", "zh")
    assert any("酸辣" in one and "牛肉" not in one for one in both.facts[0].questions)
    assert not any("牛肉" in one and "酸辣" not in one for one in both.facts[0].questions), "which of them?"


def test_a_few_questions_are_of_the_other_language() -> None:
    found = document_rows("# 面馆\n\n- 牛肉面：8 元\n\n电话：028-1\n地址：东路\n", "m", "zh")
    by_answer = {fact.answer: {*fact.questions} for fact in found.facts}
    assert "How much is 牛肉面?" in by_answer["牛肉面的价格是 8 元。"]
    assert "What is your phone number?" in by_answer["电话：028-1"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_proof_asks_is_of_no_kind_that_is_taught(language: str) -> None:
    bank = json.loads((BANKS / "document_rows.json").read_text(encoding="utf-8"))[language]
    assert bank["tested"].keys() == {"price", "number", "value", "cell", "list", "list_whole", "item", "text"}
    taught = [one for kind in bank["tested"] for one in (*bank[kind], *bank["natural"].get(kind, ()))]
    taught += [one for topic in bank["topics"] for asked in ("asked", "of") for one in topic.get(asked, ())]
    asked = [one for some in bank["tested"].values() for one in some]
    asked += [one for topic in bank["topics"] for one in topic["tested"]]
    assert not {*map(same_question, taught)} & {*map(same_question, asked)}
    assert all(near(one, other) < 0.8 for one in asked for other in taught)


def near(one: str, other: str) -> float:
    return SequenceMatcher(None, same_question(one), same_question(other), autojunk=False).ratio()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 牛肉面：22 元\n", "牛肉面的价格是 22 元。"),
        ("- 牛肉面：22元\n", "牛肉面的价格是22元。"),
        ("- 牛肉面 22元\n- 套餐A 9元\n", "套餐A的价格是9元。"),
        ("- 套餐 A：9 元\n", "套餐 A 的价格是 9 元。"),
        ("共 8 桌。\n\n|菜|价格|\n|-|-|\n|面|22|\n", "面的价格是 22。"),
        ("共8桌。\n\n|菜|价格|\n|-|-|\n|面|22|\n", "面的价格是22。"),
        ("- 牛肉面：¥22\n", "牛肉面的价格是¥22。"),
    ],
)
def test_blanks_between_chinese_and_numbers_are_those_of_the_document(text: str, said: str) -> None:
    assert said in answers(document_rows(text, "菜单", "zh")).values()
