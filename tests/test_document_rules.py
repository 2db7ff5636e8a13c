"""Each item of a list of sentences is asked by its own words, and never turned into what it does not say."""

import pytest

from core.data.documents.facts import DocumentRows
from core.data.documents.rows import document_rows
from core.data.documents.rules import is_of_sentences, topics, what_is_told, yes_or_no
from core.data.drafts import language_of

NOODLES = """# 林小满的面馆

## 菜单

- 牛肉面 22 元
- 热茶 免费

## 店里的规矩

- 门口不能停车，后院有三个车位。
- 周二休息。
- 可以带狗，坐外面。
- 外带要加一元盒子钱。
- 我们不收现金。
- 熟客可以记账；月底结清。
"""
HOTEL = """# 湖畔酒店

## 住客须知

1. 房间内禁止吸烟，违者罚款 200 元。
2. 12 岁以下儿童不能进泳池。
3. 不需要押金。
4. 如需加床，请提前一天告诉前台。

## 房型

| 房型 | 价格 |
|---|---|
| 标准间 | 320 元 |
| 婴儿床 | 免费 |
"""
LIBRARY = """# Elm Street Library

## Borrowing rules

- You can borrow up to 12 books at a time.
- Do not lend your card to anybody else.
- No eating in the reading room.
- No refunds.
- There is no parking in front of the house.
- The children's room is closed on Mondays.

## Q: Can I print?

Yes, 10 cents a page.
"""
GYM = """# Iron Gym

## Included

- Towels are free of charge.
- Sauna: free
- Feel free to ask

## House rules

1. Guests must sign in at the desk.
2. The battery of a lamp must not be opened.
3. If you are ill, stay at home.

## Classes

- Yoga
- Boxing for beginners
"""
RECIPE = """# 番茄炒蛋

## 材料

- 番茄 3 个
- 鸡蛋 4 个，打散

## 做法

1. 番茄切块，不要太小。
2. 先炒鸡蛋，可以加一点水。
"""
SHEET = """# X200 headlamp

## Features

- 400 lumens
- USB-C charging

## Steps

1. Press the button.
2. Do not let go.
"""


def made(text: str) -> DocumentRows:
    return document_rows(text, "t", language_of(text))


def asked(text: str) -> dict[str, str]:
    return {row[0].input: row[0].output for row in made(text).conversations}


def test_each_rule_is_a_fact_of_its_own_beside_the_whole() -> None:
    said = asked(NOODLES)
    assert said["门口能停车吗？"] == "门口不能停车，后院有三个车位。"
    assert said["周二营业吗？"] == "周二休息。" and said["可以带狗吗？"] == "可以带狗，坐外面。"
    assert said["你们收现金吗？"] == "我们不收现金。"
    assert said["店里的规矩里，关于“门口停车”怎么说？"] == "门口不能停车，后院有三个车位。"
    whole = said["店里的规矩有哪些？"]
    assert "。；" not in whole and whole.endswith("月底结清。") and "周二休息；可以带狗" in whole
    assert said["热茶多少钱？"] == "热茶免费。" and "热茶 免费" not in said["菜单有哪些？"]


def test_in_other_kinds_of_documents() -> None:
    hotel, library, gym = asked(HOTEL), asked(LIBRARY), asked(GYM)
    assert (
        hotel["房间内可以吸烟吗？"].startswith("房间内禁止吸烟") and hotel["需要押金吗？"] == "不需要押金。"
    )
    assert "12 岁以下儿童能进泳池吗？" in hotel and hotel["婴儿床多少钱？"] == "婴儿床免费。"
    assert hotel["住客须知里，关于“如需加床”怎么说？"] == "如需加床，请提前一天告诉前台。"
    assert library["Can I borrow up to 12 books at a time?"].startswith("You can borrow")
    assert library["May I lend my card to anybody else?"] == "Do not lend your card to anybody else."
    assert library["Is there parking in front of the house?"].startswith("There is no parking")
    assert library["Under Borrowing rules, what is said about “refunds”?"] == "No refunds."
    assert gym["How much are Towels?"] == "Towels: free of charge." and "How much is Feel?" not in gym
    assert gym["May the battery of a lamp be opened?"] and gym["Must guests sign in at the desk?"]


@pytest.mark.parametrize("text", [RECIPE, SHEET])
def test_steps_and_names_stay_one_list(text: str) -> None:
    facts = made(text).facts
    assert len(facts) == 2 and all(";" in one.answer or "；" in one.answer for one in facts)


@pytest.mark.parametrize("text", [NOODLES, HOTEL, LIBRARY, GYM, RECIPE, SHEET])
def test_no_question_has_two_answers_and_every_item_is_asked(text: str) -> None:
    found = made(text)
    assert not found.unused and len(asked(text)) == len(found.conversations)
    assert not any("。；" in one.answer or ".;" in one.answer for one in found.facts)


@pytest.mark.parametrize(
    ("item", "question"),
    [
        ("请勿大声喧哗", "可以大声喧哗吗？"),
        ("谢绝自带酒水。", "可以自带酒水吗？"),
        ("房价不含早餐", "房价含早餐吗？"),
        ("没有包厢。", "有包厢吗？"),
        ("支持微信支付", "支持微信支付吗？"),
        ("太阳能板不能遮挡", "太阳能板能遮挡吗？"),
        ("周一不上课", "周一上课吗？"),
        ("医保卡能刷", "医保卡能刷吗？"),
        ("可带宠物 加收50", "可以带宠物吗？"),
        ("测血压不要钱", "测血压要钱吗？"),
        ("不带宠物进教室", "可以带宠物进教室吗？"),
        ("满100免费送货", "满100免费送货吗？"),
        ("No smoking in the rooms", "Is smoking in the rooms allowed?"),
        ("No pets", "May I bring pets?"),
        ("Dogs are not allowed, except guide dogs.", "Are dogs allowed?"),
        ("Monday tickets are not refundable.", "Are Monday tickets refundable?"),
        ("We don't accept cash.", "Do you accept cash?"),
        ("You may not film other people.", "May I film other people?"),
        ("iPads can be rented.", "Can iPads be rented?"),
    ],
)
def test_what_is_said_plainly_is_asked_plainly(item: str, question: str) -> None:
    assert [*yes_or_no(item)] == [question]


@pytest.mark.parametrize(
    ("item", "question"),
    [
        ("取衣凭小票", "取衣要带什么？"),
        ("丢失小票请带身份证", "丢失小票怎么办？"),
        ("停车在地下一层，免费两小时", "停车在哪里？"),
        ("暑假班7月5号开班", "暑假班什么时候开班？"),
        ("会员充500送50", "会员充500送多少？"),
        ("会员日每月8号 全场9折", "会员日是哪天？"),
    ],
)
def test_a_statement_is_the_answer_to_what_it_tells(item: str, question: str) -> None:
    assert [*what_is_told(item)] == [question]
    assert question in asked(f"# 店\n\n## 规矩\n\n- {item}\n- 谢绝自带酒水\n- 请勿大声喧哗\n")


@pytest.mark.parametrize(
    "item",
    [
        "凭学生证半价",
        "任凭风吹雨打",
        "大学文凭要复印件",
        "敬请期待新品",
        "晚上11点后请安静",
        "老师正在教室里",
        "他们在门口",
        "如需发票请提前说",
        "我们的茶馆开在老城的河边",
        "一共7月5号",
        "买菜500克",
    ],
)
def test_what_tells_nothing_plainly_is_not_asked_so(item: str) -> None:
    assert not [*what_is_told(item)]


@pytest.mark.parametrize(
    "item",
    [
        "不能吃辣的客人请提前说。",
        "没有预约的家长要在门口等。",
        "热水只能在 6 点以后供应。",
        "可以的话，请带一双鞋。",
        "请勿忘记签到。",
        "太阳能充电器放在窗边。",
        "押金不退不换。",
        "需要帮助按铃。",
        "老师可能会晚到。",
        "您可以在前台取伞。",
        "如果下雨，可以改期。",
        "功能不多",
        "想要加辣说一声",
        "You can't miss it.",
        "The light may flicker.",
        "Food may contain nuts.",
        "Nothing is free.",
        "Do not forget your ticket.",
        "No service charge",
        "No refunds",
        "The cafe is open only in summer.",
        "If you are ill, you must stay at home.",
        "Your bag must be left at the desk.",
        "It is fast.",
        "Pay before you leave.",
    ],
)
def test_what_could_be_read_in_two_ways_is_left_alone(item: str) -> None:
    assert not [*yes_or_no(item)] and next(topics(item))


def test_two_items_that_begin_alike_are_asked_apart() -> None:
    text = "# Pool\n\n## Rules\n\n- Dogs are not allowed.\n- Dogs must wait outside.\n- Dogs.\n- Dogs\n"
    found = made(text)
    items = [one.answer for one in found.facts[:-1]]
    assert items[:2] == ["Dogs are not allowed.", "Dogs must wait outside."]
    assert len(asked(text)) == len(found.conversations) and len(items) + len(found.unused) == 4


@pytest.mark.parametrize(
    ("heading", "items", "ordered", "found"),
    [
        ("面食", ["牛肉面", "阳春面", "不辣火锅"], False, False),
        ("家规", ["周二休息", "不吵架"], False, False),
        ("规则", ["周二休息", "每人一张"], False, True),
        ("Features", ["Runs fast.", "Needs no GPU."], False, True),
        ("Method", ["Do not stir.", "Wait."], False, False),
        ("Anything", ["Do not stir.", "Wait for it."], True, False),
        ("Classes", ["Yoga", "Boxing"], False, False),
        ("Rules", [], False, False),
    ],
)
def test_which_lists_are_of_sentences(heading: str, items: list[str], ordered: bool, found: bool) -> None:
    assert is_of_sentences(heading, items, ordered) is found
