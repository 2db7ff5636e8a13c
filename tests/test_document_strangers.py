"""What strangers type: price lists, notices, pages of clubs and schools, without any mark that helps."""

import re

import pytest

from core.data.documents.asked import asked
from core.data.documents.bare_prices import bare_price, prices_in_row, row_of_group
from core.data.documents.facts import DocumentRows
from core.data.documents.lines import in_fields, pair, statements
from core.data.documents.rows import document_rows
from core.data.documents.rules import plainly, topics, yes_or_no
from core.data.documents.sentences import pieces
from core.data.documents.unlabelled import unlabelled
from core.data.drafts import language_of


def made(text: str) -> DocumentRows:
    return document_rows(text, "t", language_of(text))


def said(text: str) -> dict[str, str]:
    """The first question of each fact and its answer."""
    return {fact.questions[0]: fact.answer.replace("是 ", "是") for fact in made(text).facts}


def headings(text: str) -> set[str]:
    return {fact.heading for fact in made(text).facts}


@pytest.mark.parametrize(
    ("first", "title"),
    [
        ("小李修鞋", "小李修鞋"),
        ("Welcome to MILL HOUSE!!", "MILL HOUSE"),
        ("欢迎光临青瓦小院", "青瓦小院"),
        ("九月活动安排（9.1-9.30）", "九月活动安排（9.1-9.30）"),
        ("Ann's Sewing Room - prices (from May)", "Ann's Sewing Room - prices (from May)"),
    ],
)
def test_a_first_line_is_the_title_also_directly_above_what_it_names(first: str, title: str) -> None:
    rest = "修跟 15\n换拉链 20\n补胶 10\n" if language_of(first) == "zh" else "Hem 9\nZip 12\nDarning 5\n"
    assert headings(f"{first}\n{rest}") == {title}


def test_a_first_line_that_says_something_is_no_title() -> None:
    assert headings("Soup - 5 euros\nBread 2 euros\nTea 1 euro\n") == {"t"}
    assert "修跟 15" not in headings("修跟 15\n换拉链 20\n补胶 10\n")


def test_names_of_parts_are_known_in_the_middle_of_a_block() -> None:
    text = "Elm Bowling Club\n\nGreen: open till dusk\nBowls: can be lent\n"
    text += "Trainers\nJoan – beginners\nAli – league\n"
    assert [fact.heading for fact in made(text).facts][-1] == "Trainers"
    chinese = "书画社\n\n周一：素描\n周三：国画\n老师\n王一：素描\n李二：国画\n"
    assert said(chinese)["老师有哪些？"] == "老师：王一、李二。"


def test_a_first_line_with_a_picture_or_of_several_words_names_its_block() -> None:
    pictures = "农家\n\n🌶 调料\n辣椒 8/斤\n花椒 30/斤\n\n🫘 豆子\n黄豆 4/斤\n绿豆 6/斤\n"
    assert headings(pictures) == {"调料", "豆子"}
    courses = (
        "Pottery 2026\n\nWheel throwing for adults\nFee: 90 €\nRoom: cellar\n\nB2.1\nTue 18:00–20:00\n75€\n"
    )
    assert headings(courses) == {"Wheel throwing for adults", "B2.1"}
    assert said(courses)["How much is B2.1?"] == "B2.1 costs 75€."


@pytest.mark.parametrize("line", ["不要踩草坪", "Please ring twice", "月票 120", "Day ticket 12"])
def test_a_sentence_or_a_price_is_no_heading(line: str) -> None:
    text = f"# 园 Park\n\n## A\nx: 1\ny: 2\n\n{line}\n停车费 10元\n门票 20元\n年票 200元\n"
    assert line not in headings(text)


def test_a_block_without_a_name_is_of_the_whole_after_parts_of_one_block_each() -> None:
    text = (
        "Pool\n\nAdults\nDay ticket 6 €\nTen tickets 50 €\n\nChildren\nDay ticket 3 €\nTen tickets 25 €\n\n"
    )
    last = [fact for fact in made(f"{text}Locker: 1 €\nTowel: 2 €\n").facts if "Towel" in fact.answer]
    assert {fact.heading for fact in last} == {"Pool"}
    hours = "Shop\n\nOpening\nMon 9-5\nTue 9-5\n\nKnife sharpening: Fridays\nKey cutting: while you wait\n"
    assert {fact.heading for fact in made(hours).facts if "Key" in fact.answer} == {"Shop"}


def test_questions_need_no_marks() -> None:
    faq = "Parking FAQ\n\nQ. How long for\nA. Two hours.\n\nQ: Is it free?\nA: Yes.\n"
    assert said(faq) == {"How long for?": "Two hours.", "Is it free?": "Yes."}
    text = "Club\n\nCan I bring a friend\nYes, once.\nWhere do we meet?\nAt the gate.\n"
    assert said(text) == {"Can I bring a friend?": "Yes, once.", "Where do we meet?": "At the gate."}
    chinese = "常见问题\n\n要提前多久预约\n一天。\n可以退吗？\n可以。\n"
    assert said(chinese) == {"要提前多久预约？": "一天。", "可以退吗？": "可以。"}


@pytest.mark.parametrize("line", ["What we sing", "How to get here", "Can be washed", "我们有多少位会员：90"])
def test_what_only_begins_as_a_question_does_is_none(line: str) -> None:
    lines = ["Is it far?", "No.", "", line, "More of it."]
    assert asked(lines) == lines


def test_numbers_without_a_mark_count_a_list_if_they_follow_each_other() -> None:
    rules = "宿舍须知\n\n1 晚上11点关门\n2 不准养猫\n3 钥匙丢了赔30\n"
    assert said(rules)["宿舍须知里，关于“养猫”怎么说？"] == "不准养猫"
    recipe = "Soup\n\n1 onion\n2 carrots\n3 potatoes\n"
    assert "1 onion" in str(made(recipe)), "so many of each"


def test_a_telephone_number_and_hours_inside_of_a_line_are_asked_for() -> None:
    text = "农家乐\n\n只收现金，订位打13911112222找小周\n早上8点开门，下雨关门\n院子在村口老槐树后面\n"
    found = said(text)
    assert found["电话是多少？"] == "电话：只收现金，订位打13911112222找小周"
    assert found["营业时间是什么？"] == "营业时间：早上8点开门，下雨关门"
    english = said("Farm\n\nEggs at the gate, honesty box\nText Sue on 07700 900123\nWe don't sell milk\n")
    assert english["What is the phone number?"] == "phone number: Text Sue on 07700 900123"
    assert english["Do you sell milk?"] == "We don't sell milk"
    assert not any("phone" in question for question in said("# A\n\nHeld on 2026-05-01 10:00 and again\nx\n"))


def test_lines_of_chinese_that_begin_with_a_name_are_rows() -> None:
    assert in_fields(["王芳 钢琴 周一三", "老赵 吉他", "阿Ben 架子鼓 周末"])[2] == ("阿Ben", "架子鼓 周末")
    assert in_fields(["床前 明月光", "疑是 地上霜"]) == [], "verses"
    assert in_fields(["别忘了 带伞", "明天见"]) == []
    assert said("琴行\n\n老师\n王芳 钢琴 周一三\n老赵 吉他\n")["王芳是谁？"] == "王芳：钢琴 周一三"


def test_lines_that_were_ended_stay_lines_and_wrapped_ones_are_joined() -> None:
    assert [*pieces("Gate code is 4471\nWater off in winter")] == ["Gate code is 4471\nWater off in winter"]
    wrapped = "This line is long enough to have been wrapped by a program at its end\nGoing on here."
    assert [*pieces(wrapped)] == [wrapped.replace("\n", " ")]
    assert [*pieces("one line\nthat goes on")] == ["one line that goes on"]
    assert [*pieces("只收现金，不能刷卡\n院子在村口")] == ["只收现金，不能刷卡\n院子在村口"]


def test_times_below_a_course_are_the_courses() -> None:
    text = "# School\n\n## Spanish for beginners\n\nMon 18:00–19:30\nRoom: 4\n"
    answer = "The times of Spanish for beginners are Mon 18:00–19:30."
    assert said(text)["What are the times of Spanish for beginners?"] == answer
    days = said("# Club\n\n## Sessions\n\nMonday 7-9pm – beginners\nFriday 6-8pm – league\n")
    assert days["What about Monday 7-9pm?"] == "Monday 7-9pm: beginners"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Baby group Tues 9.30, free", ("Baby group", "Tues 9.30, free")),
        ("报名时间 每天下午三点前", ("报名时间", "每天下午三点前")),
        ("地址建设路12号二楼", ("地址", "建设路12号二楼")),
        ("地址在群里发", None),
    ],
)
def test_a_day_behind_a_name_and_a_label_without_a_mark(line: str, found: tuple[str, str] | None) -> None:
    assert pair(line) == found


def test_what_belongs_to_what_stands_before_it_is_no_fact_of_its_own() -> None:
    assert statements("Wi-Fi: Barn_Guest   password: owl") == ["Wi-Fi: Barn_Guest, password: owl"]
    assert statements("Deli - good cheese, closed Tue") == ["Deli - good cheese, closed Tue"]
    assert statements("电话：1，地址：2") == ["电话：1", "地址：2"]


def test_a_programme_is_asked_by_its_dates() -> None:
    text = "# Choir\n\n## Dates\n\n3 May Rehearsal at ten\n17 May Concert, 4pm\n"
    assert said(text)["What about 17 May?"] == "17 May: Concert, 4pm"
    assert said("# 校历\n\n## 安排\n\n9月1日 开学\n11月8日 期中考试\n")["9月1日是什么？"] == "9月1日：开学"


def test_what_costs_nothing_or_is_not_said_is_asked_as_a_price() -> None:
    found = said("# 牙科\n\n## 收费\n\n洗牙 120\n种牙 面议\n检查 免费\n")
    assert found["种牙多少钱？"] == "种牙：面议" and found["检查多少钱？"] == "检查免费。"


def test_a_clause_of_chinese_ends_at_a_blank_and_no_number_is_cut() -> None:
    assert next(topics("不准养猫 养鱼可以")) == "养猫"
    assert [*yes_or_no("不准养猫 养鱼可以")] == ["可以养猫吗？"]
    assert next(topics("空调坏了找房东打13911112222")) == "空调坏了找房东打"
    assert [*yes_or_no("We do not repair shoes sorry, try next door")] == ["Do you repair shoes?"]


def test_a_list_of_sentences_is_told_with_all_that_it_says() -> None:
    text = "# 须知\n\n- 带身份证\n- 押金：100元\n- 不要迟到\n- 不能带宠物\n"
    assert "押金：100元；不要迟到" in said(text)["须知有什么？"]


def test_when_something_is_open_is_asked_by_its_hours() -> None:
    assert said("Shop\n\nOpening\nMon closed\nTue 10-1\n")["What are the opening hours of Tue?"]
    found = said("茶室\n\n开放\n周二到周五 下午1点到5点\n周六 全天 9:00-17:00\n")
    assert found["周二到周五的营业时间是什么？"] == "周二到周五的营业时间是下午1点到5点。"
    text = "书店\n\n每天 9点到晚上8点 下雪不开\n可以寄卖旧书\n"
    assert said(text)["每天的营业时间是什么？"] == "每天的营业时间是9点到晚上8点 下雪不开。"


def test_days_below_what_is_no_time_are_asked_with_it() -> None:
    text = "# School\n\n## Week 2\n\nMon: soup\nTue + Wed: stew\n"
    assert said(text)["What about Mon (Week 2)?"] == "Mon (Week 2): soup"
    assert said(text)["What about Tue + Wed (Week 2)?"] == "Tue + Wed (Week 2): stew"


def test_a_name_its_days_and_times() -> None:
    assert pair("Juniors (9-12) Wed 6-7.30") == ("Juniors (9-12)", "Wed 6-7.30")
    assert pair("Mon + Thu 18:00–19:30") == ("Mon + Thu", "18:00–19:30")
    assert pair("Open Fri-Sun 9-3 (frost = closed)") == ("Open", "Fri-Sun 9-3 (frost = closed)")


def test_what_is_tight_before_a_price_is_of_the_price() -> None:
    lines = "补胎 单车8 电瓶车20\n链条 换新15块\n10次卡 90 半年有效\n雨披 20不退\n充值 100送20\n"
    found = said(f"# 修车\n\n## 价格\n\n{lines}")
    assert found["补胎多少钱？"] == "补胎的价格是单车8 电瓶车20。"
    assert (
        found["链条多少钱？"] == "链条的价格是换新15块。"
        and found["雨披多少钱？"] == "雨披的价格是20，不退。"
    )
    assert found["10次卡多少钱？"] and "充值多少钱？" not in found


def test_prices_below_a_word_among_other_lines_have_it_as_heading() -> None:
    text = "Band\n\nWe meet in the barn and pay £20 a term, which includes the music\nMerch\nBadge 2\nMug 7\n"
    assert {fact.heading for fact in made(text).facts if "Mug" in fact.answer} == {"Merch"}
    menu = "Café\n\nTea 3\nCoffee 4\nSoda\nJuice 5\nMilk 2\n"
    assert "Soda" not in headings(menu), "a thing without a price"


def test_other_lines_stand_around_questions() -> None:
    text = "借书处\n\n带身份证\n怎么续借？\n打电话。\n晚了怎么办？\n一天一角。\n不外借：报纸\n"
    found = said(text)
    assert found["怎么续借？"] == "打电话。" and found["晚了怎么办？"] == "一天一角。"
    assert found["不外借是什么？"] == "不外借：报纸" and "带身份证" in found.values()
    assert not any(question.endswith("吗吗？") for question in found)


def test_sentences_on_lines_of_their_own_are_asked_singly_and_what_is_none_is_said() -> None:
    text = "Hut\n\nGate code is 8812\nWater is off in winter\nDogs must be on a lead\nCups in the cupboard\n"
    found = said(text)
    assert found["Under Hut, what is said about “Gate code”?"] == "Gate code is 8812"
    assert found["Must dogs be on a lead?"] == "Dogs must be on a lead"
    fragments = made("店\n\n靠窗两桌\n里屋一桌\n院里三桌\n")
    assert len(fragments.unused) == 3 and len(fragments.facts) == 1


def test_no_sentence_of_a_wrapped_text_is_torn_out_of_it() -> None:
    text = "# 说明\n\n数据按格式检查，没有问题的文件\n可以交给训练。\n"
    assert [fact.prose for fact in made(text).facts] == [True]


def test_rows_may_stand_beside_lines_with_marks() -> None:
    found = said("秋游\n\n集合 周六早上七点 校门口\n带：水 帽子\n住 山里民宿 两人一间\n")
    assert found["集合是什么？"] == "集合：周六早上七点 校门口" and found["带是什么？"] == "带：水 帽子"
    assert found["住是什么？"] == "住：山里民宿 两人一间"


def test_a_day_off_and_an_owner_are_asked_for_as_people_do() -> None:
    text = "# 阿强修车铺\n老板：陈阿强\n每逢周一公休！\n地址：幸福路3号\n"
    facts = {fact.answer: fact for fact in document_rows(text, "铺子", "zh").facts}
    assert "老板是谁？" in facts["老板：陈阿强"].questions
    assert "哪天休息？" in facts["休息日：周一"].questions
    text = "# The Bike Shed\nOwner: Mary Poole\nWe're closed on Mondays.\nAddress: 3 High Street\n"
    facts = {fact.answer: fact for fact in document_rows(text, "shop", "en").facts}
    assert "Who is the Owner?" in facts["Owner: Mary Poole"].questions
    assert "Which day are you closed?" in facts["closing day: Mondays"].questions


def test_a_closed_day_with_more_to_say_stays_as_it_is() -> None:
    text = "# The Bike Shed\nClosed on Mondays, but ring us in an emergency.\nAddress: 3 High Street\n"
    facts = document_rows(text, "shop", "en").facts
    assert any("ring us" in fact.answer for fact in facts)


BIKES = """# Rosa's Bike Repair

Mon-Fri 9-18, Sat 10-14. Closed Sundays

PRICES (parts not included!!)
- puncture  12€
- full service 79€, e-bike 99€
- wheel truing 18

Pick up: you get a text when it's done
where: Hinterhof, Lindenstr. 4
cash or girocard, no credit cards
Q: do you fix flat tyres while I wait?
A: Yes if the shop is quiet.
Q: and e-bikes?
Warranty on repairs: 6 months
Student discount 10% with ID
"""
GUESTS = """【云上民宿·住客须知】
房型：
山景大床房 288/晚（周末328）
一楼小单间 168
加床 60一张

停车免费，停在门口坡下
老板娘电话13500001111 有事随时叫
热水24小时都有，太阳能阴天要等几分钟
"""
FLOWERS = """Bloom price list

Roses
 red rose, single stem £3.50
 dozen red roses £34

Delivery: free within 3 miles
Order by 1pm for same day
Shop open Tue to Sat 8.30 - 5.30, Sun 9 til 12
14 Mill Lane, Ashby
01530 555 0144
wifi bloom-guest, password roses2026
ask for Jen (owner) or Pip
Wedding consultations by appointment, £25 taken off your order
"""


@pytest.mark.parametrize("text", [BIKES, GUESTS, FLOWERS])
def test_every_word_is_in_a_fact_or_is_said_to_be_in_none(text: str) -> None:
    found = made(text)
    kept = [*(f"{one.heading} {one.answer} {one.questions[0]}" for one in found.facts)]
    words = re.compile(r"[A-Za-z0-9]+|[\u4e00-\u9fff]")
    known = {*words.findall(" ".join([*kept, *(one.text for one in found.unused)]).lower()), "q", "a"}
    assert not {*words.findall(text.lower())} - known - {"where"}


def test_what_stands_around_questions_is_told_beside_them() -> None:
    found = made(BIKES)
    answers = said(BIKES)
    assert answers["do you fix flat tyres while I wait?"] == "Yes if the shop is quiet."
    assert answers["What is the Warranty on repairs?"] == "Warranty on repairs: 6 months"
    assert answers["What about address?"] == "address: Hinterhof, Lindenstr. 4"
    assert [one.text for one in found.unused if "e-bikes?" in one.text], (
        "a question without an answer is said"
    )


def test_all_opening_hours_in_one_line_are_asked_as_such() -> None:
    assert said(BIKES)["What about opening hours?"].startswith("opening hours: Mon-Fri 9-18, Sat 10-14")


def test_a_heading_with_something_in_brackets_is_one_and_ends_with_its_list() -> None:
    of = {fact.answer: fact.heading for fact in made(BIKES).facts}
    assert of["wheel truing costs 18."] == "PRICES (parts not included!!)"
    assert of["Pick up: you get a text when it's done"] == "Rosa's Bike Repair"
    parking = next(fact for fact in made(GUESTS).facts if fact.answer.startswith("停车"))
    assert parking.heading == "云上民宿·住客须知", "and no kind of room"
    delivery = next(fact for fact in made(FLOWERS).facts if fact.answer.startswith("Delivery"))
    assert delivery.heading == "Bloom price list", "and no kind of rose"


def test_a_price_for_a_night_is_no_number_of_a_room() -> None:
    assert bare_price("山景大床房 288/晚") == ("山景大床房", "288/晚") and bare_price("大床房 288") is None
    assert said(GUESTS)["山景大床房多少钱？"] == "山景大床房的价格是288/晚（周末328）。"
    assert "How much is red rose, single stem?" in said(FLOWERS)


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("wifi aqiang888 密码是 88889999", "wifi"),
        ("Our Wi-Fi: cafe24, password is beans", "wifi"),
        ("Unit 3, 14 Mill Lane, Ashby", "address"),
        ("杭州市西湖区文三路88号二楼", "address"),
        ("ring Jen on 01530 555 0144", "phone"),
        ("Shop open Tue to Sat 8.30 - 5.30", "hours"),
        ("地铁2号线到底", None),
        ("坐3路车到路口下", None),
        ("3 Red Roses", None),
        ("We have wifi", None),
    ],
)
def test_what_everybody_would_label_is_known_without(line: str, about: str | None) -> None:
    assert unlabelled(line) == about


def test_digits_in_a_rule_are_no_telephone_number() -> None:
    assert unlabelled("The folder is readable by its owner only (0700/0600)", among_rules=True) is None
    assert unlabelled("有事打13500001111", among_rules=True) == "phone"


def test_lines_that_end_where_no_program_wraps_are_each_their_own() -> None:
    answers = {fact.answer for fact in made(FLOWERS).facts}
    assert {"phone number: 01530 555 0144", "address: 14 Mill Lane, Ashby"} <= answers
    assert "Wi-Fi: wifi bloom-guest, password roses2026" in answers
    unused = [one.text for one in made(FLOWERS).unused]
    assert "Order by 1pm for same day" in unused, "each is listed by itself"
    wrapped = (
        "We started the shop in a garage with two bikes and a borrowed\nset of tools, and most of the first"
    )
    wrapped += (
        "\nyear went by before anybody but our friends came to us with\nmore than a flat tyre to mend.\n"
    )
    assert not made(f"# Shop\n\n{wrapped}").unused


def test_people_under_a_heading_of_people_are_asked_for_as_people() -> None:
    assert "张敏是谁？" in said("# 口腔门诊\n\n医生\n张敏：种植\n小陈：儿牙\n")
    assert "Who is Ben Cole?" in said("# Vet\n\n## Team\n- Ben Cole: exotics\n- Sue: reception\n")
    assert "Who is the Chair?" in said("# Club\n\nCommittee\nChair: Priya Nair\nSecretary: Tom Okafor\n")
    assert "Who is Soup?" not in said("# Bar\n\n## Food\n- Soup: of the day\n- Bread: home made\n")


def test_things_of_a_group_in_one_line_have_a_price_each() -> None:
    row = "酒水 山城啤酒 8  可乐5 酸梅汤6元/扎"
    assert row_of_group(row)[0] == "酒水" and row_of_group("早餐5 午餐12 晚餐10")[0] == ""
    assert prices_in_row("啤酒8 可乐5") == [("啤酒", "8"), ("可乐", "5")]
    assert prices_in_row("山城啤酒8 可乐5") == [] == prices_in_row("早8:30 晚9:30 午12:00")
    found = said(
        f"火锅 菜单\n\n锅底\n牛油锅 38元\n脑花 12/个\n鸳鸯 +10\n\n{row}\n押金：包间100\n老板 老灶哥\n"
    )
    assert found["可乐多少钱？"] == "可乐的价格是5。" and found["脑花多少钱？"] == "脑花的价格是12/个。"
    assert found["鸳鸯多少钱？"] == "鸳鸯的价格是+10。" and found["押金是多少？"] == "押金：包间100"
    assert "火锅 菜单有什么？" not in found, "a deposit and an owner are not what is on it"
    assert bare_price("每人花 30") is None, "spent"


def test_questions_may_have_nothing_behind_their_letter() -> None:
    assert said("琴房\n\nQ 没有琴怎么办\nA 可以租\nQ 多大可以学？\nA 5岁起\n") == {
        "没有琴怎么办？": "可以租",
        "多大可以学？": "5岁起",
    }


def test_one_line_that_is_left_over_is_no_word_about_the_whole() -> None:
    found = made("健身房 收费表\n\n办卡：充300送50\n电话：13800001111\n学生凭证9折\n")
    (fact,) = [fact for fact in found.facts if fact.answer == "学生凭证9折"]
    assert "请介绍一下健身房 收费表。" not in fact.questions


def test_a_manager_is_a_person_and_opening_is_when() -> None:
    found = said("药房\n\n营业：早8点到晚9点\n店长 赵芳\n量血压 免费\n")
    assert found["店长是谁？"] == "店长：赵芳" and "营业时间是什么？" in found


def test_what_is_free_is_asked_for_as_a_price_whatever_else_is_said() -> None:
    found = said(
        "# 客栈\n\n停车免费，停在门口坡下\n加床 60元\n不赊账，现金都行\n周二送货 镇上免费，县城满80免\n"
    )
    assert found["停车多少钱？"] == "停车：免费，停在门口坡下" and "赊账吗？" in found
    assert not any("送货 镇上多少钱" in question for question in found)


def test_a_dash_between_two_times_ends_no_label() -> None:
    assert pair("开门时间 早上8点半——晚上7点") == ("开门时间", "早上8点半——晚上7点")
    assert pair("营业 9:00——次日2:00") == ("营业", "9:00——次日2:00")
    assert pair("牛肉面——18元") == ("牛肉面", "18元")


def test_what_stands_below_things_and_prices_is_no_word_about_them() -> None:
    goods = "## 卖的东西\n车锁 68\n打气筒 45元\n车铃 12块\n"
    rules = "不赊账，现金都行\n上门修车不能超过3公里\n修好的车7天之内可以返工\n"
    found = made(f"# 修车铺\n\n{goods}\n{rules}")
    (fact,) = [fact for fact in found.facts if fact.answer.startswith("修好")]
    assert not any("卖的东西" in question for question in fact.questions)


def test_what_is_done_with_things_is_part_of_what_they_are_asked_by() -> None:
    found = said(
        "裁缝铺 价目表\n\n换拉链：裤子20，外套40，羽绒服 60\n旗袍定做 880起  工期二十天\n锁扣眼 2块一个\n"
    )
    assert "裤子多少钱？" not in found and found["换拉链（裤子）多少钱？"] == "换拉链（裤子）的价格是20。"
    assert found["旗袍定做多少钱？"].startswith("旗袍定做的价格是880起")


def test_both_halves_of_a_rule_and_a_day_off_are_asked_for() -> None:
    rules = "只收现金和微信，不刷卡\n衣服请先洗干净，内衣不改\n不过周末人多，提前说\n"
    found = made(f"裁缝铺 价目表\n\n补洞 看大小 10-30\n锁扣眼 2块\n\n开门 早9:30-晚7:30，星期三休息\n{rules}")
    asked = {question: fact.answer for fact in found.facts for question in fact.questions}
    assert "不刷卡" in asked["刷卡吗？"] and "内衣不改" in asked["内衣改吗？"]
    assert "星期三" in asked["星期三营业吗？"] and "星期三" in asked["哪天休息？"]
    assert asked["补洞多少钱？"] == "补洞的价格是看大小 10-30。"
    hours = made("# Shop\n\nOpen: 9 to 6, closed on Sundays\nPhone: 01530 555 0144\n").facts[0]
    assert "Are you open on Sundays?" in hours.questions


def test_prices_one_below_the_other_are_prices_whatever_the_paragraph_goes_on_to_say() -> None:
    text = "Bloom Corner\n\nRoses 3 each, dozen 30\nTulips 12 a bunch\nSunflower 4\nDelivery free over 40\n"
    text += "Same day delivery if ordered before noon\nClosed bank holidays\nWe take cards, no cheques\n"
    found = said(text)
    assert found["How much are Roses?"] == "Roses cost 3 each, dozen 30."
    assert found["How much is Sunflower?"] == "Sunflower costs 4."
    for asked_too, answer in (
        ("Is delivery free?", "Delivery free over 40"),
        ("Is there same day delivery?", "Same day delivery if ordered before noon"),
        ("Are you open on bank holidays?", "Closed bank holidays"),
        ("Do you take cards?", "We take cards, no cheques"),
    ):
        assert found[asked_too] == answer
    house = said("Harbour House\n\nSingle room 45\nDouble 70\nSuite 110 a night\nRoom 12 is upstairs\n")
    assert house["How much is Single room?"] == "Single room costs 45." and "How much is Room?" not in house


def test_a_remark_in_brackets_is_told_and_not_taught() -> None:
    for text, remark in (
        ("# 照相馆\n（新价,以前的单子作废）\n\n## 价目\n一寸 25\n二寸 30\n", "（新价,以前的单子作废）"),
        ("# Guest house\n(from January)\n\n## Prices\nSingle 45\nDouble 70\n", "(from January)"),
    ):
        found = made(text)
        assert [one.text for one in found.unused] == [remark]
        assert not any(remark in fact.answer for fact in found.facts)
    (fact,) = made("# 店\n（不刷卡）\n").facts
    assert fact.questions[0] == "刷卡吗？", "it says something plainly"


@pytest.mark.parametrize(
    "line",
    [
        "早9点-晚7点 周二休",
        "上班 10点到晚上9点，周一休息",
        "8:00~21:30（春节放三天）",
        "9am - 5:30pm, closed Tue",
    ],
)
def test_times_alone_are_when_it_is_open(line: str) -> None:
    assert unlabelled(line) == "hours"


@pytest.mark.parametrize(
    "line",
    [
        "早餐 7点到9点",
        "3点-5点水",
        "10:30 yoga",
        "1:2 兑水",
        "9:00-10:00 瑜伽",
        "9am-5pm painting",
        "7:30-8:30 早餐",
        "7点到",
        "2-3 people",
    ],
)
def test_times_of_something_are_not(line: str) -> None:
    assert unlabelled(line) is None


def test_what_is_said_of_a_discount_is_no_heading() -> None:
    found = said("沙龙\n\n儿童半价 (12岁以下)\n充500送80\n宠物不能进\n会员95折 生日当天9折\n血压免费量\n")
    assert found["儿童有优惠吗？"] == "儿童半价 (12岁以下)" and found["会员有优惠吗？"].startswith("会员95折")
    assert found["血压免费量吗？"] == "血压免费量" and headings("免费项目\n打气：有\n") == {"免费项目"}


def test_several_prices_of_one_thing_in_a_line() -> None:
    text = "# 价目表\n\n烫发 短发198 中长298 长发398\n结婚照(室内) 899 / 外景 1599\n"
    found = said(f"{text}送药上门 满50免费 不满收5块\n")
    assert found["烫发（中长）多少钱？"] == "烫发（中长）的价格是298。" and "短发198" in found["烫发多少钱？"]
    assert found["外景多少钱？"] == "外景的价格是1599。" and "899" in found["结婚照(室内)多少钱？"]
    assert "满50免费" in found["送药上门多少钱？"]


@pytest.mark.parametrize("line", ["We take pride in our work", "Cards", "Cash", "Delivery", "Free", "取名"])
def test_what_only_looks_like_one_of_these_is_not_asked_so(line: str) -> None:
    assert not [*plainly(line)]


PRINTER = """小满图文打印
黑白A4 0.3/张 双面0.5
彩色A4 1.5 A3 3
名片 一盒100张 35起，两天取
照片：一寸 15元8张，二寸 15元4张，加急 +5
早上8点到晚上9点，寒暑假早上9点开
"""


def test_one_thing_in_several_sizes_costs_several_prices() -> None:
    found = said(PRINTER)
    assert found["彩色A4多少钱？"] == "彩色A4的价格是1.5。" and found["彩色A3多少钱？"] == "彩色A3的价格是3。"
    assert (
        found["名片多少钱？"] == "名片的价格是一盒100张35起，两天取。"
        and "寒暑假" in found["营业时间是什么？"]
    )
    assert prices_in_row("C1手动 3280   C2自动 3680") == [("C1手动", "3280"), ("C2自动", "3680")]
    assert not prices_in_row("Roses 3 each, dozen 30") and pair("C1手动 3280   C2自动 3680") is None


@pytest.mark.parametrize(
    "line", ["年龄 18-70", "老学员介绍一个返200", "办公室 早8晚6", "身高 120以下", "上了车扣500"]
)
def test_what_nobody_buys_has_no_price(line: str) -> None:
    """Beside prices too."""
    found = said(f"价目表\n\n月卡 199\n季卡 499\n年卡 1580\n次卡 260\n{line}\n")
    assert found["月卡多少钱？"] == "月卡的价格是199。"
    assert not any("的价格是" in answer and line[:2] in answer for answer in found.values())


PETS = """Lin's Pet Corner - prices & bits

Small dog wash .... 25
Big dogs 45 and up, depends on the coat
nail trim 8 / with a wash it's free
De-shedding add 10
We open Tue to Sat 9-5:30, closed Mondays
"""


def test_what_is_added_to_a_price_is_no_part_of_the_name() -> None:
    found = said(PETS)
    assert found["How much are Big dogs?"] == "Big dogs cost 45 and up, depends on the coat."
    assert found["How much is nail trim?"].startswith("nail trim costs 8")
    assert found["How much is De-shedding?"] == "De-shedding: add 10"
    assert found["What about opening hours?"].startswith("opening hours: Tue to Sat 9-5:30")


def test_what_goes_on_behind_a_semicolon_is_of_the_same() -> None:
    line = "团课：瑜伽 周二周四晚7点；动感单车 周三19:30；普拉提 周六上午10点"
    assert statements(line) == [line] and len(statements("电话：1；地址：2")) == 2
    found = said(
        f"健身房\n\n{line}\n团课年卡会员免费，次卡会员另付 15\n春节 初一到初三 不开\n周日只开到下午6点\n"
    )
    assert found["团课是什么？"] == line and found["春节营业吗？"] == "春节 初一到初三 不开"
    assert found["团课年卡会员多少钱？"] == "团课年卡会员：免费，次卡会员另付 15"
    assert unlabelled("周日只开到下午6点") == "hours" and unlabelled("本店只开发票到3月") is None


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("100张以上 8折", "100张以上有优惠吗？"),
        ("训练场在 西环路 加油站后面；科三在 东郊考场", "训练场在哪里？"),
        ("发票能开，要多等一天", "能开发票吗？"),
        ("停车场在 楼后面", "停车场在哪里？"),
    ],
)
def test_what_is_said_behind_a_blank_is_asked_for(line: str, asks: str) -> None:
    assert asks in plainly(line)


def test_a_place_beside_another_is_where_it_is() -> None:
    assert {unlabelled(one) for one in ("学校西门对面，门牌 12-3", "银行隔壁", "小学对面，近地铁站")} == {
        "address"
    }
    assert {unlabelled(one) for one in ("厕所在隔壁", "柜台旁边，自己拿", "客人坐旁边", "请走楼下")} == {None}
    assert pair("退卡 扣掉已用的，剩下的7天内退") == ("退卡", "扣掉已用的，剩下的7天内退")


def test_a_price_beside_a_currency_is_one_and_no_heading() -> None:
    text = "驾校报名\n\n周末班 +300\nVIP一对一 5800 (包接送)\n夜训 600\n科目二补考150 元/次\n体检费60自理\n"
    found = said(text)
    assert headings(text) == {"驾校报名"} and "5800" in found["VIP一对一多少钱？"]
    assert unlabelled("13912345678 周老师", among_rules=True) == "phone"


def test_the_same_is_said_of_two_labels() -> None:
    assert statements("老板 林小满   电话/微信 13786520419") == [
        "老板 林小满",
        "电话：13786520419",
        "微信：13786520419",
    ]
    found = said("宠物店\n\n电话/微信 13786520419\n地址：青石路 88 号\n")
    assert found["电话是多少？"] == "电话：13786520419" and found["微信是多少？"] == "微信：13786520419"
    assert statements("时间/地点 周五 教室") == ["时间/地点 周五 教室"]


def test_kinds_with_a_price_each_are_of_one_thing() -> None:
    found = said(
        "宠物店\n\n驱虫药 体外 38元一支，  体内25\n猫砂 豆腐砂 22元一袋 5袋100\n洗澡 小狗（10斤以下）45元\n"
    )
    assert found["驱虫药多少钱？"] == "驱虫药的价格是体外 38元一支，体内25。"
    assert "猫砂 豆腐砂多少钱？" in found and "洗澡 小狗（10斤以下）多少钱？" in found


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("没打疫苗的不能洗澡也不能寄养", "没打疫苗的能洗澡吗？"),
        ("没预约的不可以进", "没预约的能进吗？"),
        ("会员卡 充500送80", "会员卡充500送多少？"),
    ],
)
def test_who_may_not_and_what_is_given_on_top(line: str, asks: str) -> None:
    assert asks in plainly(line)
