"""A menu, a list of prices, a timetable as they are typed on a telephone: with blanks for marks."""

import pytest

from core.data.documents.days import days_of
from core.data.documents.facts import DocumentRows
from core.data.documents.lines import pair
from core.data.documents.markdown import as_markdown
from core.data.documents.rows import document_rows
from core.data.drafts import language_of


def made(text: str) -> DocumentRows:
    return document_rows(text, "t", language_of(text))


def said(text: str) -> dict[str, str]:
    """The first question of each fact and its answer."""
    return {fact.questions[0]: fact.answer for fact in made(text).facts}


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("汽锅鸡  68元/份 要提前一天订", "汽锅鸡", "68元/份，要提前一天订"),
        ("秀才米线 38元 12碟", "秀才米线", "38元，12碟"),
        ("秀才米线 38元12碟", "秀才米线", "38元，12碟"),
        ("凉米线 12元 夏天卖", "凉米线", "12元，夏天卖"),
        ("素小锅 ¥14 （不辣）", "素小锅", "¥14 （不辣）"),
        ("打包盒 1元一个", "打包盒", "1元一个"),
        ("米线 38元 加肉 8元", "米线", "38元，加肉 8元"),
        ("凉米线 12元 备注：夏天", "凉米线", "12元，备注：夏天"),
        ("烫发 ¥198起 长发加50", "烫发", "¥198起，长发加50"),
        ("洗剪吹  38", "洗剪吹", "38"),
        ("洗剪吹\t38", "洗剪吹", "38"),
        ("第一节 8:00-8:45 语文", "第一节", "8:00-8:45，语文"),
        ("期中考试 11月8日", "期中考试", "11月8日"),
        ("前台 0871-6533 2719", "前台", "0871-6533 2719"),
        ("大包间 12人", "大包间", "12人"),
        ("Chicken soup   $6.50 (serves two)", "Chicken soup", "$6.50 (serves two)"),
        ("Haircut $25 with wash", "Haircut", "$25 with wash"),
        ("Colour   from $60   long hair more", "Colour", "from $60, long hair more"),
        ("Maths 9:00-9:45 room 3", "Maths", "9:00-9:45 room 3"),
        ("Wash and cut  35", "Wash and cut", "35"),
    ],
)
def test_blanks_part_a_thing_from_what_is_said_of_it(line: str, key: str, value: str) -> None:
    assert pair(line) == (key, value)


@pytest.mark.parametrize(
    "line",
    [
        "满 50 元免配送费",
        "满50元 免配送",
        "晚上 22:00 后请保持安静",
        "退房时间不得晚于 12:00",
        "每人限 2 件",
        "鸡蛋 4 个",
        "我们 2013 年开业",
        "床前明月光  疑是地上霜",
        "Entry is 5 euros for adults",
        "We charge 5 euros for delivery",
        "Bus 42 leaves at 9:00",
        "Room 5",
    ],
)
def test_a_sentence_with_an_amount_in_it_is_no_thing_and_its_price(line: str) -> None:
    assert pair(line) is None


@pytest.mark.parametrize("mark", ["", "- "])
def test_a_line_with_a_price_in_it_is_a_fact_and_no_heading(mark: str) -> None:
    lines = "\n".join(
        f"{mark}{one}" for one in ("汽锅鸡  68元/份 要提前订", "炸乳扇：¥22", "烤豆腐(10块) 12元")
    )
    found = made(f"# 店\n\n## 小吃\n{lines}\n")
    assert {fact.heading for fact in found.facts} == {"小吃"} and not found.unused
    assert found.facts[0].answer == "汽锅鸡的价格是68元/份，要提前订。"
    english = made(
        "# Bar\n\n## Snacks\nNachos with cheese, 6.50 euros for two\nPie: 4 euros\nSoup: 3 euros\n"
    )
    assert {fact.heading for fact in english.facts} == {"Snacks"}


def test_two_things_on_one_line_are_two() -> None:
    assert set(said("# Pool\n\nAdult $12   Child $8\n").values()) == {"Adult costs $12.", "Child costs $8."}


NOTES = "注意:\n1.门口不能停车\n2. 每月最后一天休息\n3.加米线免费\n4 可以用现金\n不要浪费，吃多少拿多少。\n"


def test_a_word_with_a_colon_above_lines_is_their_heading() -> None:
    text = f"# 店\n\n## 喝的\n木瓜水 ¥6\n\n外卖：\n3公里以内送。汤和料分开装\n打包盒 1元一个\n\n{NOTES}"
    headings = {fact.answer: fact.heading for fact in made(text).facts}
    assert headings["3公里以内送。汤和料分开装"] == headings["打包盒的价格是1元一个。"] == "外卖"
    assert headings["不要浪费，吃多少拿多少。"] == headings["每月最后一天休息"] == "注意"
    assert not made(text).unused and not any("第 2 部分" in fact.questions[0] for fact in made(text).facts)


@pytest.mark.parametrize("mark", ["【{}】", "{}：", "{}:", "{}", "**{}**", "—— {} ——", "== {} =="])
def test_a_heading_is_marked_in_many_ways(mark: str) -> None:
    for name, lines in (
        ("外卖", "满50元起送。\n三公里以内。\n"),
        ("Delivery", "Within two miles.\nNot on Sunday.\n"),
    ):
        text = f"# 店\n\n## A\n牛肉面 22元\n{mark.format(name)}\n{lines}"
        assert [fact.heading for fact in made(text).facts][-1] == name, text


@pytest.mark.parametrize("number", ["{}.", "{}. ", "{}、", "（{}）", "({}) ", "{}）"])
def test_rules_are_numbered_in_many_ways(number: str) -> None:
    rules = ("不能抽烟", "不能带宠物", "退房前请关灯")
    lines = "\n".join(number.format(place) + one for place, one in enumerate(rules, 1))
    answers = [fact.answer for fact in made(f"# 民宿\n\n早餐 7:30\n\n须知\n{lines}\n").facts]
    assert {*rules} <= {*answers} and "须知：不能抽烟；不能带宠物；退房前请关灯。" in answers
    english = "\n".join(number.format(place) + one for place, one in enumerate(("No smoking", "No dogs"), 1))
    facts = made(f"# Inn\n\nWe are small.\n\nNotes\n{english}\n").facts
    assert {fact.heading for fact in facts} == {"Inn", "Notes"} and "No dogs" in {one.answer for one in facts}


def test_rules_on_lines_of_their_own_are_rules() -> None:
    text = "# 民宿\n\n住客须知\n晚上十点以后请安静\n不能抽烟\n不要带宠物\n"
    found = made(text)
    assert "不能抽烟" in {fact.answer for fact in found.facts} and not found.unused


def test_what_is_counted_is_no_item() -> None:
    text = "# 店\n\n套餐有：\n1.5升可乐\n2 个汉堡\n"
    assert "1.5升可乐" in str(made(text))


def test_every_line_that_is_kept_together_is_said() -> None:
    text = "# 店\n\n## 杂记\n电话：1\n地址：东路\n靠窗两桌\n里屋一桌\n院里三桌\n"
    assert [(one.line, one.text) for one in made(text).unused] == [
        (6, "靠窗两桌"),
        (7, "里屋一桌"),
        (8, "院里三桌"),
    ]


ZH_HOURS = "周一到周五 10:30–21:00\n周六周日 9:00–22:00 中午不休息"
EN_HOURS = "Mon–Fri 10:30–21:00\nSat & Sun 9:00–22:00"


@pytest.mark.parametrize("above", ["", "\n营业时间：\n", "\n营业时间\n", "\n## 营业时间\n"])
def test_hours_of_two_kinds_of_days_are_hours(above: str) -> None:
    facts = made(f"# 店\n地址：东路\n{above}{ZH_HOURS}\n").facts
    asked = {one: fact.answer.replace("是 ", "是") for fact in facts for one in fact.questions}
    assert asked["周末几点开门？"] == "周六周日的营业时间是9:00–22:00，中午不休息。"
    assert asked["周一到周五几点营业？"] == asked["周三几点开门？"] == "周一到周五的营业时间是10:30–21:00。"
    assert "21:00" in asked["几点关门？"] and "22:00" in asked["几点关门？"]
    assert not any("是多少" in one or "部分" in one for one in asked if "周" in one)


@pytest.mark.parametrize("above", ["", "\nOpening hours\n", "\nHours:\n"])
def test_hours_in_english(above: str) -> None:
    facts = made(f"# Bar\nAddress: Elm Street 4\n{above}{EN_HOURS}\n").facts
    asked = {question: fact.answer for fact in facts for question in fact.questions}
    assert "9:00–22:00" in asked["When do you open on the weekend?"]
    assert "10:30–21:00" in asked["When do you open on Wednesday?"]
    assert "22:00" in asked["When do you close?"] and "10:30" in asked["When do you close?"]


@pytest.mark.parametrize(
    ("key", "days"),
    [
        ("周一到周五", "01234"),
        ("周六周日", "56"),
        ("周一至五", "01234"),
        ("Fri-Mon", "0456"),
        ("Sat & Sun", "56"),
        ("每天", "0123456"),
        ("weekdays", "01234"),
        ("周末", "56"),
    ],
)
def test_days_by_any_name(key: str, days: str) -> None:
    assert "".join(map(str, sorted(days_of(key)))) == days


def test_a_hairdressers_prices() -> None:
    text = f"小美理发店\n\n营业时间\n{ZH_HOURS}\n\n"
    text += "价目表\n洗剪吹 38元\n烫发 ¥198起 长发加50\n儿童剪发 25\n\n会员卡\n充500送100\n"
    found = made(text)
    answers = {fact.answer: fact.heading for fact in found.facts}
    assert answers["儿童剪发的价格是25。"] == answers["烫发的价格是¥198起，长发加50。"] == "价目表"
    assert answers["价目表：洗剪吹、烫发、儿童剪发。"] and answers["充500送100"] == "会员卡"
    assert not found.unused


def test_a_schools_timetable() -> None:
    text = "# 课程表\n\n周一\n第一节 语文\n第二节 数学\n\n周二：\n第一节  英语\n第二节  体育\n"
    assert said(text)["周一的第二节是什么？"] == "第二节：数学"
    assert said(text)["周二的第一节是什么？"] == "第一节：英语"


def test_text_apart_from_the_lines_of_a_word_is_of_the_section_before() -> None:
    text = "# 店\n\n外卖：\n满50元起送。\n\n我们是2013年开的，老板是云南人。\n"
    assert [fact.heading for fact in made(text).facts] == ["外卖", "店"]


def test_what_nobody_wrote_to_be_read_is_no_pair_and_holds_nobody_up() -> None:
    """From each digit or blank a number or an end would be looked for: these took minutes."""
    far = " " * 300_000
    assert pair("Code " + "1" * 300_000) is None
    assert as_markdown(f"# Menu\nSoup{far}5 euros\n{'1' * 300_000}\n", "en").startswith(
        "# Menu\nSoup  5 euros"
    )
    assert as_markdown("Head" + "\n" * 50_000 + "Tea: 3", "en").count("\n") == 50_000


def test_a_line_of_chinese_does_not_go_on_in_a_word_of_latin_letters() -> None:
    text = "# 青石客栈\n入住14点后 退房12点前\nwifi qingshi888\n停车免费 门口8个车位\n可带宠物 加收50\n"
    found = {fact.answer for fact in document_rows(text, "t", "zh").facts}
    assert "Wi-Fi：wifi qingshi888" in found


def test_a_day_off_above_the_hours_is_no_heading() -> None:
    found = {
        fact.answer for fact in document_rows("# 花店\n玫瑰 8\n周二休息\n营业9点-21点\n", "t", "zh").facts
    }
    assert "休息日：周二" in found and "营业时间：营业9点-21点" in found
