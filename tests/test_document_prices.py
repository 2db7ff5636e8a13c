"""Prices at which no currency stands, as people type them, and numbers that are no prices."""

import pytest

from core.data.documents.bare_prices import bare_price, prices_in_row
from core.data.documents.facts import DocumentRows
from core.data.documents.lines import pair
from core.data.documents.rows import document_rows
from core.data.drafts import language_of


def made(text: str) -> DocumentRows:
    return document_rows(text, "t", language_of(text))


def said(text: str) -> dict[str, str]:
    """The first question of each fact and its answer."""
    return {fact.questions[0]: fact.answer.replace("是 ", "是") for fact in made(text).facts}


@pytest.mark.parametrize(
    ("line", "name", "price"),
    [
        ("鸡丝凉面 16 大份20", "鸡丝凉面", "16，大份20"),
        ("剪发20 洗吹另加10", "剪发", "20，洗吹另加10"),
        ("配钥匙15", "配钥匙", "15"),
        ("草莓 20/斤（自采）", "草莓", "20/斤（自采）"),
        ("门票 成人30 儿童15", "门票", "成人30 儿童15"),
        ("换屏 每块 200～500，看型号", "换屏", "每块 200～500，看型号"),
        ("橄榄油 250ml 45 500ml 80", "橄榄油", "250ml 45 500ml 80"),
        ("年票 1980 送一个月", "年票", "1980，送一个月"),
        ("Hem trousers 12", "Hem trousers", "12"),
        ("Swap tyres (pair) 18", "Swap tyres (pair)", "18"),
        ("walk as you like 7 per dog", "walk as you like", "7 per dog"),
        ("Big wash 25 - with duvet", "Big wash", "25 - with duvet"),
        ("eggs 3 for 2", "eggs", "3 for 2"),
        ("150cc 40/day, 220/week", "150cc", "40/day, 220/week"),
    ],
)
def test_a_name_and_a_number_may_be_a_price(line: str, name: str, price: str) -> None:
    assert bare_price(line) == (name, price)


@pytest.mark.parametrize(
    "line",
    [
        "Room 12",
        "Bus 42 to the lake",
        "Prices 2025",
        "We are open until 5",
        "Saturday 10-12",
        "Story time Thurs 10.30",
        "满100免运费",
        "学生凭证8折",
        "男生宿舍 3 楼没有热水",
        "其他任何一页 0.1 毫秒",
        "会议室 20人",
        "房间 302",
        "第4周",
    ],
)
def test_a_number_that_is_no_price(line: str) -> None:
    assert bare_price(line) is None


def test_two_and_a_half_is_one_amount() -> None:
    assert pair("馒头 1块5") == ("馒头", "1块5") and pair("340€") is None
    assert pair("葱 一把3块") == ("葱", "一把3块")


def test_several_names_of_one_length_in_a_row_have_a_price_each() -> None:
    assert prices_in_row("早场20 午场35 晚场45") == [("早场", "20"), ("午场", "35"), ("晚场", "45")]
    assert prices_in_row("剪发20 洗吹另加10") == []
    assert said("# 影院\n\n## 票价\n早场20 午场35 晚场45\n")["午场多少钱？"] == "午场的价格是35。"


def test_the_heading_says_that_numbers_are_prices() -> None:
    chinese = said("# 店\n\n## 价目\n\n鸡丝凉面 16 大份20\n酱牛肉……48\n绿豆汤5\n")
    assert chinese["鸡丝凉面多少钱？"] == "鸡丝凉面的价格是16，大份20。"
    assert chinese["酱牛肉多少钱？"] == "酱牛肉的价格是48。" and chinese["绿豆汤多少钱？"]
    english = said("# Laundry\n\n## Prices\n\n- Small wash 9\n- Big wash.....14\n- Ironing: 2 each\n")
    assert english["How much is Big wash?"] == "Big wash costs 14."
    assert english["How much is Small wash?"] and english["How much is Ironing?"]


@pytest.mark.parametrize("beside", ["Soup £4\nPie £5\n\n", "", "Nuts 3 per bag\n"])
def test_what_stands_around_says_that_numbers_are_prices(beside: str) -> None:
    found = said(f"# Stall\n\n{beside}Apples 2\nPears 3\nPlums 4\n")
    assert ("How much are Pears?" in found) == bool(beside)
    assert any("Pears" in question for question in found), "and else they are what stands there"


def test_where_most_lines_say_other_things_a_number_is_no_price() -> None:
    text = "# Library\n\nFines are £1 a day.\n\nComputers - 4, one hour each\n"
    text += "Lift at the side door\nToilets upstairs\n"
    assert not any("Computers cost" in fact.answer for fact in made(text).facts)


def test_what_nobody_can_buy_has_no_price() -> None:
    text = "# Minutes\n\nThe quote is £900\n\n## Money\n\nBalance 2,310\nJumble sale made 145\nHall 90\n"
    assert [one for one in said(text).values() if "costs" in one] == ["The quote costs £900."]
    club = said("# Club\n\n## Fees\n\nFull member 1,250\nGuest 40\n")
    assert club["How much is Full member?"] == "Full member costs 1,250."


def test_what_comes_on_top_is_no_part_of_a_name() -> None:
    found = said("# 洗衣店\n\n衬衫 12元\n羽绒服 60元\n加急当天取加10元\n")
    assert found["加急当天取多少钱？"] == "加急当天取的价格是加10元。"


def test_a_price_of_each_needs_no_others_beside_it() -> None:
    found = said("# 小满音乐教室\n钢琴一对一 200元/45分钟\n吉他小组课 80/节\n请假要提前一天说\n周一不上课\n")
    assert found["吉他小组课多少钱？"] == "吉他小组课的价格是80/节。"


def test_from_how_much_on_something_is_free_is_no_name() -> None:
    found = said("# 花店\n玫瑰 8元\n同城配送满200免费，不满收15\n预订要提前一天\n")
    assert found["同城配送满200免费吗？"] == "同城配送满200免费，不满收15"
