"""Documents as people write them: what is asked of each, and what is not."""

import pytest

from core.data.documents.facts import DocumentRows
from core.data.documents.rows import document_rows
from core.data.drafts import language_of


def made(text: str) -> DocumentRows:
    return document_rows(text, "t", language_of(text))


def said(text: str) -> dict[str, str]:
    """The first question of each fact and its answer."""
    return {fact.questions[0]: fact.answer for fact in made(text).facts}


def test_several_columns_of_prices_say_which() -> None:
    text = (
        "# Café\n\n| | Small | Large |\n|---|---|---|\n| Espresso | 2.20 € | – |\n| Tea | free | 3,90 € |\n"
    )
    assert said(text)["How much is Espresso (Small)?"] == "Espresso (Small) costs 2.20 €."
    assert said(text)["How much is Tea (Small)?"] == "Tea (Small): free."
    assert "–" not in " ".join(said(text).values())
    rooms = (
        "## 房型\n\n| 房型 | 平日 | 周末 | 押金 |\n|---|---|---|---|\n| 大床房 | 268元 | 328元 | 200元 |\n"
    )
    assert said(rooms)["大床房（周末）多少钱？"] == "大床房（周末）的价格是328元。"
    assert said(rooms)["大床房的押金是什么？"] == "大床房的押金是200元。"


def test_a_table_by_days_is_asked_by_the_day() -> None:
    text = "# 课程表\n\n| 节次 | 周一 | 周二 |\n|---|---|---|\n| 第一节 | 语文 | 数学 |\n"
    assert said(text)["周二的第一节是什么？"] == "周二的第一节是数学。"


def test_no_cell_is_lost_where_two_rows_have_one_name() -> None:
    text = "| Name | Tel. | Role |\n|---|---|---|\n| Ada | 0171 111 | chair |\n| Ada | 0171 222 | coach |\n"
    answers = " ".join(said(text).values())
    assert "The Tel. of Ada chair is 0171 111." in answers and "0171 222" in answers


def test_a_note_at_the_foot_says_what_it_is_noted_at() -> None:
    text = "# P\n\n| Thing | Price |\n|---|---|\n| Whitening[^1] | £250 |\n\n- Cleaning: £30[^a]\n"
    text += "\n[^1]: Not for under 18s.\n[^a]: Twice a year.\n"
    answers = said(text)
    assert answers["What about Whitening?"] == "Whitening: Not for under 18s."
    assert answers["What about Cleaning?"] == "Cleaning: Twice a year."
    assert not any("^" in one for pair in answers.items() for one in pair)


@pytest.mark.parametrize(
    "line",
    ["Note: bring a towel", "WARNING: hot!", "PS: no photos", "注意：周三没有课", "温馨提示：请带毛巾"],
)
def test_nobody_asks_for_the_note(line: str) -> None:
    text = f"# Pool 泳池\n\nPhone: 0555 123\nEntry: 5 €\n{line}\n"
    facts = made(text).facts
    assert not any(
        word in fact.questions[0] for fact in facts for word in ("Note", "WARNING", "PS", "注意", "提示")
    )
    assert any(line.rpartition(":")[2].rpartition("：")[2] in fact.answer for fact in facts)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("# Party\n\n- Date: 20 June. Lena brings the grill. Budget max. €300.\n- Place: hall\n", "costs"),
        ("# Club\n\n- Balance on 1 March: €3,482.50\n- Pump: 3 m\n", "costs"),
        ("# 合同\n\n租金：3200元/月\n租期：一年\n", "怎么卖"),
    ],
)
def test_not_every_amount_is_a_price(text: str, wrong: str) -> None:
    assert not any(wrong in one for fact in made(text).facts for one in (*fact.questions, fact.answer))


@pytest.mark.parametrize(
    ("line", "question", "answer"),
    [
        ("女士剪发 ¥58–88", "女士剪发多少钱？", "女士剪发的价格是¥58–88。"),
        ("烫发 ¥198起", "烫发多少钱？", "烫发的价格是¥198起。"),
        ("Root canal from £300", "How much is Root canal?", "Root canal costs from £300."),
        ("Filling £60–120", "How much is Filling?", "Filling costs £60–120."),
    ],
)
def test_a_range_of_prices_is_a_price(line: str, question: str, answer: str) -> None:
    facts = document_rows(f"# X\n\n- {line}\n", "t", language_of(line)).facts
    assert (facts[0].questions[0], facts[0].answer) == (question, answer)


def test_pictures_and_dots_are_bullets_and_some_are_labels() -> None:
    text = (
        "# Party\n\n📅 Saturday, 12 September\n📍 Lindenallee 3\n👗 Dress code: no white\n• Bring: a towel\n"
    )
    assert said(text)["What about Address?"] == "Address: Lindenallee 3"
    assert said(text)["What about Dress code?"] == "Dress code: no white"
    assert said(text)["What about Bring?"] == "Bring: a towel"
    assert said("# 店\n\n📍 人民路8号\n📞 0571-5550\n")["电话是多少？"] == "电话：0571-5550"


def test_numbered_lines_over_text_are_headings() -> None:
    text = "Water Filter\n\n1. Installation\n\nTurn off the valve.\n\n2. Warranty\n\nTwo years.\n"
    assert [fact.heading for fact in made(text).facts] == ["Installation", "Warranty"]
    chinese = "一、作息\n早上 6:30 起床。\n\n二、电器\n1、不准用电热毯\n2、充电器人走要拔\n"
    assert [fact.heading for fact in made(chinese).facts][:2] == ["作息", "电器"]
    steps = made("# Cake\n\n1. Mix\n2. Bake\n").facts
    assert steps[0].answer == "Cake: Mix; Bake.", "a list stays a list"


def test_the_first_line_is_the_title() -> None:
    assert "manual" not in str(document_rows("Water Filter\n\nIt cleans water.\n", "manual", "en").facts)


def test_a_programme_is_asked_by_its_times() -> None:
    text = "# Wedding\n\n## Schedule\n\n- 14:00 Ceremony in the chapel\n- 8pm Dinner\n"
    assert said(text)["What about 14:00?"] == "14:00: Ceremony in the chapel"
    assert "Schedule: 14:00 Ceremony in the chapel, 8pm Dinner." in said(text).values()


def test_what_is_done_has_a_tick_and_no_box_is_asked_for() -> None:
    text = "# Tasks\n\n- [ ] Petrov: order a pump\n- [x] Brandt: new lock\n"
    assert said(text)["What about Petrov?"] == "Petrov: order a pump"
    assert said(text)["What about Brandt?"] == "Brandt: new lock ✓"


def test_one_line_of_several_labels_says_several_things() -> None:
    assert said("# 菜\n\n份量：4人份 | 用时：90分钟 | 难度：高\n")["用时是多少？"] == "用时：90分钟"


def test_what_a_thing_has_beside_its_price_is_of_that_thing() -> None:
    text = "# Tools\n\n- Drill: 2 € a day, deposit 20 €\n- Saw: 3 € a day\n"
    assert said(text)["What is the deposit (Drill)?"] == "deposit (Drill): 20 €"
    assert "Tools: Drill, Saw." in said(text).values()


def test_a_word_of_a_topic_in_the_title_makes_no_topic() -> None:
    facts = made("# Bus 42: Station – Universität\n\nNo service on 1 January.\n").facts
    assert not any("study" in one for fact in facts for one in (*fact.questions, *fact.tested))


def test_one_thing_is_not_asked_for_as_several() -> None:
    text = "# Practice\n\n## Team\n\n- Ada – dentist\n- Ben – reception\n\n## Prices\n\n- Check: £25\n"
    questions = [one for fact in made(text).facts for one in fact.questions]
    assert "Which Prices are there?" in questions and "Which Team are there?" not in questions


def test_when_it_is_open_is_told_whole_and_by_the_day() -> None:
    top = "# Shop\n\n## Opening hours\n\n"
    listed = top + "- Monday to Friday: 9am – 6pm\n- Saturday: 9am – 1pm\n- Closed on holidays.\n"
    table = top + "| Day | Open |\n|---|---|\n| Mon | closed |\n| Tue–Fri | 10:00–19:00 |\n"
    lines = "# 医院\n\n## 门诊时间\n\n周一至周五：9:00–18:00\n周六：9:00–12:00\n法定节假日休息\n"
    whole = "Monday to Friday: 9am – 6pm; Saturday: 9am – 1pm; Closed on holidays."
    assert said(listed)["Tell me about Opening hours."] == whole
    assert said(table)["Tell me about Opening hours."] == "Mon: closed; Tue–Fri: 10:00–19:00"
    assert said(table)["What are the opening hours of Tue–Fri?"].endswith("are 10:00–19:00.")
    assert "周一至周五：9:00–18:00；周六：9:00–12:00；法定节假日休息" in said(lines).values()
    asked = [one for fact in made(listed).facts if fact.answer == whole for one in fact.questions]
    assert "When are you open?" in asked


def test_a_number_under_contact_is_somebodys_telephone_number() -> None:
    text = "# Library\n\n## Contact\n\nAnna Berg (books): 0761 2011\ninfo@bib.example\nwww.bib.example\n"
    answers = said(text)
    assert answers["What is the phone number of Anna Berg (books)?"].endswith("is 0761 2011.")
    assert "Email: info@bib.example" in answers.values() and "Website: www.bib.example" in answers.values()


def test_what_is_not_there_is_said() -> None:
    text = "# 过敏原\n\n| 菜名 | 麸质 | 坚果 |\n|---|---|---|\n| 白切鸡 | 无 | 有 |\n"
    assert said(text)["白切鸡的麸质是什么？"] == "白切鸡的麸质是无。"
    ticks = "# Rooms\n\n| Room | Balcony | Desk |\n|---|---|---|\n| Blue | ✓ | - |\n"
    assert said(ticks)["What is the Balcony of Blue?"].endswith("is yes.")
    assert said(ticks)["What is the Desk of Blue?"].endswith("is no.")


def test_an_amount_behind_other_things_is_not_what_it_costs() -> None:
    text = "# Hall\n\n- 24 Jan: Flea market, 9–15 h, table 8 €\n- Hire: 45 €/h, min. 2 h\n"
    assert said(text)["What about 24 Jan?"] == "24 Jan: Flea market, 9–15 h, table 8 €"
    assert "How much is Hire?" in said(text)


def test_two_that_are_told_of_one_thing_stay_together() -> None:
    assert (
        "放学时间：低年级 15:10；高年级 16:20"
        in said("# 须知\n\n- 放学时间：低年级 15:10；高年级 16:20\n- 午餐：12 元\n").values()
    )


def test_numbers_without_a_blank_begin_items() -> None:
    assert said("# 费用\n\n1.学费：每学期 3,200 元\n2.书本费：260元\n")["书本费是多少？"] == "书本费：260元"


def test_a_bold_line_over_a_list_is_its_heading_and_an_order_in_capitals_is_none() -> None:
    text = "# Hall\n\n**January**\n- Concert: 10th\n\n**February**\n- Dance: 14th\n"
    assert {fact.heading for fact in made(text).facts} == {"January", "February"}
    orders = made("# Flat\n\nNO SMOKING\n\nKeys are at the desk.\n").facts
    assert not any(fact.heading == "NO SMOKING" for fact in orders)


def test_a_heading_with_nothing_below_it_is_said() -> None:
    found = made("# Café\n\n## We take no cards\n\n## Parking\n\nBehind the house.\n\n## Closed in May\n")
    assert [one.text for one in found.unused] == ["We take no cards", "Closed in May"]


def test_questions_with_numbers_are_asked_without() -> None:
    text = "# FAQ\n\n**Q1. How long?**\nA1. 18 minutes.\n\nQ2. Is it safe?\nA2. Yes.\n"
    text += "\n**Q3. Is it loud?**\nNo.\n"
    assert said(text) == {"How long?": "18 minutes.", "Is it safe?": "Yes.", "Is it loud?": "No."}


def test_articles_of_rules_are_headings() -> None:
    text = "# 制度\n\n第一条 标准\n住宿每天五百元。\n\n第二条 时限\n发票三十天内提交。\n"
    assert [fact.heading for fact in made(text).facts] == ["第一条 标准", "第二条 时限"]


def test_a_menu_set_with_blanks_has_what_stands_in_its_columns() -> None:
    text = "Da Enzo - Menu\n\nDRINKS\nWater 0.5 l           2.00 €\nBeer 0.4 l           4.50 €\n"
    assert said(text)["How much is Beer 0.4 l?"] == "Beer 0.4 l costs 4.50 €."
