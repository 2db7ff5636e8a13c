"""What a line of a document is about and what it says of it, however people type it."""

import re

import pytest

from core.data.documents.days import is_days
from core.data.documents.facts import DocumentRows
from core.data.documents.lines import looks_like_several, pair, statements
from core.data.documents.rows import document_rows
from core.data.drafts import language_of

MENU = """# 春山小馆

## 地址与联系

地址:文三路 18 号(近地铁口)
电话:0571-5550 3826
微信:lxm_xiaoguan
周一至周五:11:00–20:30
周六、周日:10:30–21:00
座位:32 个

## 招牌

- 宫保鸡丁:38元
- 麻婆豆腐 22元（微辣）

## 面食

| 名称 | 分量 |
|---|---|
| 牛肉面 | 大碗 |

## 规矩

- 不能抽烟
- 可以带狗,坐外面

## 故事

老屋是一九八二年盖的。
"""
SHOP = """# Lin's Kitchen

## Contact

Address：4 Elm Street
Tel. 055-123 4567
Email ada@elm.org
Mon–Fri: 11:00–20:30
Seats: 32

## Mains

- Beef noodles: 12 euros
- Fish pie 9 euros (small)

## Sizes

| Dish | Size |
|---|---|
| Soup | large |

## House rules

- No smoking
- Dogs are welcome.

## Story

The house was built in 1982.
"""


def made(text: str) -> DocumentRows:
    return document_rows(text, "t", language_of(text))


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("电话:0571-5550 3826", "电话", "0571-5550 3826"),
        ("周六、周日:10:30–21:00", "周六、周日", "10:30–21:00"),
        ("营业时间:10:30-21:00", "营业时间", "10:30-21:00"),
        ("营业时间 10：30-21：00", "营业时间", "10：30-21：00"),
        ("网址:https://a.b/c", "网址", "https://a.b/c"),
        ("WiFi密码:abc123", "WiFi密码", "abc123"),
        ("套餐1:30元", "套餐1", "30元"),
        ("(微辣):22元", "(微辣)", "22元"),
        ("电话：０５７１－５５５０", "电话", "０５７１－５５５０"),
        ("电话 : 0571", "电话", "0571"),
        ("电话 0571-8888", "电话", "0571-8888"),
        ("电话0571-55503826", "电话", "0571-55503826"),
        ("电话-0571-22", "电话", "0571-22"),
        ("电话=0571", "电话", "0571"),
        ("地址\t文三路", "地址", "文三路"),
        ("地址—文三路", "地址", "文三路"),
        ("【地址】文三路18号", "地址", "文三路18号"),
        ("【招牌】牛肉面 22元", "【招牌】牛肉面", "22元"),
        ("周一至周五 10:00-22:00", "周一至周五", "10:00-22:00"),
        ("微信 lxm88", "微信", "lxm88"),
        ("Tel:0571", "Tel", "0571"),
        ("Tel. 0571 555", "Tel", "0571 555"),
        ("Hours：10：30–21：00", "Hours", "10：30–21：00"),
        ("Mon - Fri: 10:00-22:00", "Mon - Fri", "10:00-22:00"),
        ("Mon-Fri 10:00-22:00", "Mon-Fri", "10:00-22:00"),
        ("Room 5: 12 euros", "Room 5", "12 euros"),
        ("Email ada@x.org", "Email", "ada@x.org"),
        ("wifi = abc", "wifi", "abc"),
        ("Open 9-5", "Open", "9-5"),
        ("2015-2018:阿里", "2015-2018", "阿里"),
    ],
)
def test_a_label_and_its_value_as_people_type_them(line: str, key: str, value: str) -> None:
    assert pair(line) == (key, value)


@pytest.mark.parametrize(
    "line",
    [
        "10:30 开门",
        "10：30–21：00",
        "10:00 - 22:00",
        "比例3:1",
        "The ratio is 3:1.",
        "https://a.b/c",
        "见 https://a.b/c",
        r"C:\temp\x",
        "localhost:8080",
        "std::vector",
        "好吃:)",
        "好吃：）",
        "1+1=2",
        "周二休息",
        "email us at noon",
    ],
)
def test_a_colon_that_ends_no_label(line: str) -> None:
    assert pair(line) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("地址:文三路 18 号, 电话:0571", ["地址:文三路 18 号", "电话:0571"]),
        ("地址:文三路.电话:0571.", ["地址:文三路.", "电话:0571."]),
        ("地址：文三路。进门左转。电话：0571", ["地址：文三路。进门左转。", "电话：0571"]),
        ("电话:1 地址:文三路 18 号", ["电话:1", "地址:文三路 18 号"]),
        ("Tel: 1, opening hours: 9-5", ["Tel: 1", "opening hours: 9-5"]),
        ("Opening hours: 9-5", ["Opening hours: 9-5"]),
        ("东店：地址：东路，电话：2", ["东店：地址：东路，电话：2"]),
        ("微信 yoga_li,电话 13800001111", ["微信 yoga_li", "电话 13800001111"]),
        ("微信:abc 电话同号", ["微信:abc 电话同号"]),
        ("宫保鸡丁:38元;麻婆豆腐:22元", ["宫保鸡丁:38元;", "麻婆豆腐:22元"]),
    ],
)
def test_several_labels_on_one_line(line: str, said: list[str]) -> None:
    assert statements(line) == said


def test_days_of_the_week_and_words_that_begin_like_them() -> None:
    assert all(map(is_days, ("Mon", "Mondays", "Mon–Fri", "Thu - Sat", "Weekends", "周一至周五", "周日早上")))
    assert not any(map(is_days, ("Sundae", "Monkey", "Satay", "周边")))


def test_the_last_line_above_a_list_says_what_of() -> None:
    said = {fact.answer for fact in made("# X200\n\n重量:85g\n配件:\n- 螺丝\n- 电池盖\n").facts}
    assert said == {"重量：85g", "配件：螺丝；电池盖。"}


def test_half_width_marks_make_the_facts_that_full_width_ones_do() -> None:
    wide = (
        re.sub(r"(?<=[\u4e00-\u9fff]):", "：", MENU).replace(",", "，").replace("(", "（").replace(")", "）")
    )
    half, full = made(MENU), made(wide)
    assert len(half.facts) == len(full.facts) and not half.unused
    said = {fact.answer for fact in half.facts}
    assert {"电话：0571-5550 3826", "座位：32 个", "宫保鸡丁的价格是38元。"} <= said
    assert "周六、周日的营业时间是 10:30–21:00。" in said, "days below an address are opening hours"
    assert "The opening hours of Mon–Fri are 11:00–20:30." in {fact.answer for fact in made(SHOP).facts}


def test_lines_that_had_to_be_kept_together_are_said() -> None:
    said = made("# 店\n\n## 杂记\n\n靠窗两桌\n里屋一桌\n院里三桌\n").unused
    assert [(one.line, one.text) for one in said] == [(5, "靠窗两桌"), (6, "里屋一桌"), (7, "院里三桌")]
    assert all("杂记" in one.why for one in said)
    assert not made("# 诗\n\n静夜思\n李白\n").unused
    assert not made("# A\n\n" + "A line of a text that goes on and on until it\n" * 4).unused
    assert not looks_like_several(["我们的店在河边，", "门口有树，", "很好找。"])


@pytest.mark.parametrize("text", [MENU, SHOP])
def test_nobody_is_made_to_say_what_nobody_says(text: str) -> None:
    """Of each kind of fact, in all of its manners."""
    asked = [question for fact in made(text).facts for question in (*fact.questions, *fact.tested)]
    assert len(asked) > 400
    wrong = (
        r"[?？!！。.,，]\s*[?？!！。，]|呢，|请问请问|麻烦.*麻烦|please.*please|呢，.*的？"
        r"|(?:请问|问一下|想问|问问|麻烦问下)，?(?:告诉我|说|看看|查|把|给我|请列出|讲讲|我想)"
        r"|^(?:告诉我|说|看看|查|把|给我|请列出|讲讲|我想知道|我想了解)[^？?]*[呀啊呢？]+$"
        r"|(?:Quick|One) question: (?:tell|list|show|read|give|explain)"
        r"|What is (?:the|your) Seats|微信是怎么规定的|地址怎么样|去周[一六]|有座位吗|座位发|on Contact"
    )
    assert not [one for one in asked if re.search(wrong, one)]
