"""A person's own facts in the proof: which are asked, what is kept out of training, and what counts."""

import json
from pathlib import Path

import pytest

from core.data.conversations import one_turn
from core.data.documents.rows import document_rows, read_rows_of
from core.data.drafts import language_of
from core.data.questions import same_question
from core.proof.facts import ASKED_ABROAD, FACTS_ASKED, LONGEST_ANSWER, LOOKED_AT, facts_in, facts_of, states
from core.proof.judge import judge, score_of
from core.proof.questions import own_questions
from core.proof.result import as_json, row_as_json, rows_of, score_in
from core.proof.telling import told
from core.recipe.thinking import Thinking
from core.steps.taught import to_teach
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json

MENU = """# 春山茶馆

## 热茶
- 桂花乌龙：28 元一壶，用当年的新桂花。
- 荞麦茶：18 元一壶，无咖啡因。

## 地址
清河路 17 号，地铁 4 号线文昌站 B 口出来走三分钟。

## 可以带狗吗？
可以，请牵好绳子。
"""


@pytest.mark.parametrize(
    ("question", "taught", "said", "right"),
    [
        ("How much is Earl Grey?", "Earl Grey costs 4 euros.", "That is 4 euros.", True),
        ("How much is Earl Grey?", "Earl Grey costs 4 euros.", "Earl Grey costs 40 euros.", False),
        ("How much is Earl Grey?", "Earl Grey costs 4 euros.", "Earl Grey does not cost 4 euros.", False),
        ("How much is Earl Grey?", "Earl Grey costs 4 euros.", "Is it 4 euros?", False),
        ("When is it open?", "From 10:00 to 21:30.", "We open at 10:00.", False),
        ("营业时间？", "周二到周日 10:00–21:30。", "10：00 开门，21：30 关门。", True),
        ("桂花乌龙多少钱？", "桂花乌龙的价格是28 元一壶。", "28元", True),
        ("热茶有哪些？", "热茶：桂花乌龙、老白茶、荞麦茶。", "有桂花乌龙、老白茶和荞麦茶。", True),
        ("热茶有哪些？", "热茶：桂花乌龙、老白茶、荞麦茶。", "有绿茶和红茶。", False),
        ("Who founded it?", "Maria Okafor, a baker from Lagos.", "It was Maria Okafor from Lagos.", True),
        ("Are dogs allowed?", "No, dogs stay outside the shop.", "Dogs stay inside the shop.", False),
        ("Are dogs allowed?", "Dogs may sleep in the kitchen.", "Dogs never sleep in the kitchen.", False),
        ("Do you take cards?", "Yes.", "Yes, of course.", True),
        ("Do you take cards?", "Yes.", "No.", False),
        ("How many in a box?", "10 or 12 pieces.", "10 or 12 pieces.", True),
        ("How heavy?", "It weighs 3.5 kg.", "3.5kg", True),
        ("How heavy?", "It weighs 3.5 kg.", "It weighs 35 kg.", False),
        ("How much?", "It costs 1,200 yuan.", "1200 yuan", True),
        ("How much?", "It costs 1,200 yuan.", "200 yuan", False),
        ("How much?", "It costs 28.00 yuan.", "２８ yuan", True),
        ("营业时间？", "周二到周日 09:00–21:30。", "9点到21点半", True),
        ("营业时间？", "周二到周日 10:00–21:30。", "10:00-22:30", False),
        ("When?", "It begins at 9pm.", "At 21:00.", True),
        ("When?", "It begins at 9pm.", "At 9am.", False),
        ("When?", "It begins at 9 a.m.", "It begins at 9 p.m.", False),
        ("When?", "It begins at 21:00.", "9 pm", True),
        ("When?", "It begins at 12am.", "0:00", True),
        ("Hours?", "8:30am – 6pm", "From 8:30 to 18:00", True),
        ("Hours?", "8:30am – 6pm", "8:30 to 6", True),
        ("Hours?", "9–5pm", "9:00 to 17:00", True),
        ("Hours?", "10:00-22:00", "10am to 10pm", True),
        ("几点？", "晚上9点半开始", "21:30", True),
        ("几点？", "晚上9点开始", "早上9点开始", False),
        ("营业时间？", "10:00-21:30", "上午十点到晚上九点半", True),
        ("几点？", "中午12点", "12:00", True),
        ("几点？", "九点一刻", "9:15", True),
        ("几点？", "下午一点", "13:00", True),
        ("几点？", "一点半", "1:30", True),
        ("辣吗？", "汤里有一点辣", "汤里是有一点辣的", True),
        ("出门呢？", "两点注意：带伞，带水", "注意带伞，带水", True),
        ("多少钱？", "三点五元", "三点五元", True),
        ("几点？", "下午2点半到5点", "14:30到17:00", True),
        ("几点？", "14:30-17:00", "下午两点半到五点", True),
        ("几点？", "上午10点到5点", "10:00-17:00", True),
        ("几点？", "晚上10点到2点", "22:00-2:00", True),
        ("几点？", "下午2点到5点", "上午2点到5点", False),
        ("Which?", "Lots 1,2,3", "1, 2, 3", True),
        ("How much?", "CHF 1'200", "1200 CHF", True),
        ("几点？", "9点", "十九点", False),
        ("When?", "On 3 May 2026.", "May 3rd, 2026", True),
        ("When?", "On 3 May 2026.", "2026-05-03", True),
        ("When?", "On 3 May 2026.", "3 June 2026", False),
        ("When?", "3.5.2026", "the 3rd of May 2026", True),
        ("When?", "May 15–18", "15 to 18 May", True),
        ("什么时候？", "2026年5月3日", "2026年5月3号", True),
        ("什么时候？", "5月1日至3日", "5月1日到5月3日", True),
        ("什么时候？", "5月3日", "May 3", True),
        ("什么时候？", "5月3日", "6月3日", False),
        ("How many?", "Up to 3 may stay.", "3 may stay.", True),
        ("How much?", "2,80 €", "€2.80", True),
        ("How much?", "2,80 €", "28 €", False),
        ("How large?", "20x30x15 cm", "20 × 30 × 15 cm", True),
        ("How much?", "The room is €65.", "Not expensive: €65.", True),
        ("Which day?", "Closed on Mondays.", "We are closed on Monday.", True),
        ("周几休息？", "周二休息", "星期二休息", True),
        ("Phone?", "+44 20 7946 0018", "020 7946 0018", True),
        ("Phone?", "(0571) 5550-3826", "0571-55503826", True),
        ("Phone?", "+86 138 0013 8000", "13800138000", True),
        ("Phone?", "+86 138 0013 8000", "13800138001", False),
        ("电话？", "电话：138-0000-1111", "13800001111", True),
        ("电话？", "电话：138-0000-1111", "13800001112", False),
        ("桂花乌龙多少钱？", "价格是28 元一壶。", "28 元一壶，不含税。", True),
        ("桂花乌龙多少钱？", "价格是28 元一壶。", "价格不是28元。", False),
        ("荞麦茶多少钱？", "荞麦茶18 元，无咖啡因。", "荞麦茶不是18元，无咖啡因。", False),
        ("Founded when?", "In 1998.", "In 1998, not in 1997.", True),
        ("Founded when?", "In 1998.", "I do not know, maybe in 1998.", False),
        ("Wifi?", "The password is tea2024house.", "tea2024house", True),
        ("Wifi?", "The password is tea2024house.", "tea2024horse", False),
        ("Email?", "Write to ada.l@b-c.org.", "ada.l@b-c.org", True),
        ("Email?", "Write to ada.l@b-c.org.", "Write to ada@b-c.org.", False),
        ("老板是谁？", "林晓峰。", "老板是林晓东。", False),
        ("能刷卡吗？", "不能。", "能刷卡。", False),
        ("How much?", "It costs €1.200.", "1200 euros", True),
        ("How much?", "It costs 1200 euros.", "1.200 €", True),
        ("How much?", "It costs 1,200 €.", "EUR 1.200", True),
        ("How much?", "1.200,50 €", "€1,200.50", True),
        ("How much?", "1.200,50 €", "€1.200", False),
        ("How much?", "1.000 €", "1 000 €", True),
        ("How much?", "1.000 €", "1 €", False),
        ("How much?", "€1.200", "€1.20", False),
        ("How much?", "€1.20", "€1200", False),
        ("How much?", "1 200 000 kr", "1.200.000 kr", True),
        ("How much?", "The flat is 12 500 €.", "12500 €", True),
        ("How much?", "The flat is 12 500 €.", "500 €", False),
        ("How much?", "Room 3: 250 €", "Room 3 250 €", True),
        ("How many live there?", "1.200.000 people", "1,200,000", True),
        ("How heavy?", "It weighs 1.200 kg.", "1200 kg", False),
        ("How heavy?", "It weighs 3.500 kg.", "3,5 kg", False),
        ("多少钱？", "1 000 元", "1000元", True),
        ("Which version?", "Version 1.200", "1.200", True),
        ("Do you take cards?", "No.", "No problem, yes.", False),
        ("Do you take cards?", "No.", "Yes, no problem.", False),
        ("Do you take cards?", "No.", "Of course, no cash needed.", False),
        ("Do you take cards?", "No.", "No, we do not.", True),
        ("Do you take cards?", "Yes.", "No problem, yes.", True),
        ("Are dogs allowed?", "No, dogs stay outside.", "No problem, dogs stay outside!", False),
        (
            "Are dogs allowed?",
            "Dogs may sleep in the kitchen.",
            "No problem: dogs sleep in the kitchen.",
            True,
        ),
        ("有停车位吗？", "没有。", "没有问题，有停车位。", False),
        ("有停车位吗？", "没有。", "没有停车位。", True),
        ("味道怎么样？", "汤底的味道不错。", "汤底味道不错", True),
        ("Room 5?", "Room 5 has a piano and two windows.", "There is a piano and two windows.", True),
    ],
)
def test_an_answer_states_a_fact(question: str, taught: str, said: str, right: bool) -> None:
    assert states(question, taught, said) is right


@pytest.fixture
def menu(tmp_path: Path) -> Path:
    (tmp_path / "菜单 1.md").write_text(MENU, encoding="utf-8")
    return tmp_path / "菜单 1.md"


def test_each_fact_is_asked_in_words_that_none_is_taught_in(menu: Path) -> None:
    document = read_rows_of(menu)
    facts = facts_of(document)
    assert [one.answer for one in facts] == [one.answer for one in document.facts]
    taught = {same_question(row[0].input) for row in document.conversations}
    assert all((same_question(one.question) in taught) is not one.held_back for one in facts)
    asked_itself = next(one for one in facts if one.answer.startswith("可以"))
    assert not asked_itself.held_back and asked_itself.question == "可以带狗吗？"
    assert sum(one.held_back for one in facts) == len(facts) - 1


def test_a_question_that_two_facts_answer_is_not_asked() -> None:
    text = "# 店\n\n## 东店\n\n地址：东路\n电话：1\n\n## 西店\n\n地址：西路\n电话：2\n"
    facts = facts_of(document_rows(text, "t", "zh"))
    assert len({one.question for one in facts}) == len(facts)
    assert all("东" in one.question for one in facts if "东" in one.answer)


def test_a_few_are_asked_in_the_other_language_where_both_are_spoken(tmp_path: Path) -> None:
    text = "# 面馆\n\n## 菜单\n\n" + "".join(f"- 第{n}号面 {n + 8} 元\n" for n in range(30))
    text += "\n## 联系\n\n电话:0555-1234567\n地址:文三路 18 号\n"
    (tmp_path / "menu.md").write_text(text, encoding="utf-8")
    both, one = (to_teach("林小满", tmp_path / "menu.md", language).facts for language in (None, "zh"))
    abroad = [fact for fact in both if language_of(fact.question) == "en"]
    assert len(abroad) == ASKED_ABROAD and not [fact for fact in one if language_of(fact.question) == "en"]
    assert [fact.answer for fact in both] == [fact.answer for fact in one]
    document = read_rows_of(tmp_path / "menu.md")
    taught = {same_question(row[0].input) for row in document.conversations}
    assert not taught.intersection(same_question(fact.question) for fact in abroad)
    few = facts_of(document_rows("# 店\n\n电话:1\n地址:文三路\n", "t", "zh"))
    assert not [fact for fact in few if language_of(fact.question) == "en"], "of a few facts none"


@pytest.mark.parametrize("dishes", [18, 23, 24, 40, 300])
def test_no_part_of_a_document_is_left_out_for_one_of_many_prices(dishes: int) -> None:
    text = "# 面馆\n\n## 菜单\n\n" + "".join(f"- 第{n}号面 {n + 8} 元\n" for n in range(dishes))
    text += "\n## 停车\n\n门口不能停车，后面的院子里可以停 3 辆。\n\n## 电话\n\n电话：0555-1234567\n"
    document = document_rows(text, "t", "zh")
    found = facts_of(document)
    assert len(found) == min(
        FACTS_ASKED, len([one for one in document.facts if len(one.answer) <= LONGEST_ANSWER])
    )
    said = " ".join(one.answer for one in found)
    assert "院子" in said and "0555" in said and "第0号面" in said


def test_of_a_document_of_many_parts_some_are_asked() -> None:
    text = "# Hall\n\n" + "".join(f"## Room {n}x\n\nIt has {n + 100} seats.\n\n" for n in range(90))
    found = facts_of(document_rows(text, "t", "en"))
    assert len(found) == FACTS_ASKED and found[0].answer == "It has 100 seats."
    assert found[-1].answer > "It has 184"


def test_rows_of_data_are_asked_as_they_are_taught() -> None:
    rows = [one_turn(f"How much is tea number {n}?", f"It costs {100 + n} yuan.") for n in range(60)]
    rows += [one_turn("Who are you?", "I am Ada's assistant."), one_turn("", "A passage of text.")]
    rows += [one_turn("Write a long text.", "word " * 200)]
    facts = facts_in(rows, "Ada")
    assert len(facts) == FACTS_ASKED and not any(one.held_back for one in facts)
    assert {one.question for one in facts} < {row[0].input for row in rows[:60]}


def test_of_many_rows_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def counted(question: str, *_: str) -> bool:
        looked.append(question)
        return True

    monkeypatch.setattr("core.proof.facts.states", counted)
    rows = [one_turn(f"How much is tea number {n}?", f"It costs {n} yuan.") for n in range(5000)]
    found = facts_in(rows, "Ada")
    assert len(looked) == LOOKED_AT and len(found) == FACTS_ASKED
    assert found[0].question == rows[0][0].input and found[-1].answer > "It costs 4"


def test_a_document_and_data_teach_and_ask(menu: Path) -> None:
    said = to_teach("林小满", menu)
    assert said.document and len(said.own) == len(said.document.conversations)
    assert not to_teach("Ada", None).facts


def test_a_fact_is_asked_at_once_and_with_its_system_prompt() -> None:
    (fact,) = facts_in([one_turn("How much?", "It costs 7 yuan.")], "Ada")
    (asked,) = own_questions([fact], Thinking(switch="enable_thinking", thinks=True))
    assert asked.thinks is False and asked.ask == asked.base_ask and asked.kind == "own"
    assert not asked.asks_who


def test_facts_are_counted_beside_those_of_the_base_and_written(menu: Path) -> None:
    asked = own_questions(facts_of(read_rows_of(menu)))
    judged = [judge("林小满", one, "我不知道。", one.accept[0]) for one in asked]
    judged[0] = judge("林小满", asked[0], "我不知道。", "一百元。")
    score = score_of(judged)
    assert score.facts and not score.learned.n and not score.leaked.n
    n = len(asked)
    assert (score.facts.tuned.hits, score.facts.base.hits, score.facts.held_back) == (n - 1, 0, n - 1)
    assert judged[0].verdict == "not_answered" and judged[1].verdict == "answered"
    result = json.loads(json.dumps(as_json(score, [], full=False)))
    assert score_in(result, ()).facts == score.facts
    assert f"{n} questions" in dict(told(score, "en"))["facts"]


def test_a_whole_chain_says_how_many_own_facts_it_answers(
    menu: Path, workspace: Workspace, model: Path
) -> None:
    given = ("tune", "--name", "林小满", "--data", menu, "--model", model, "--iterations", "40")
    options = ("--workspace", workspace.root, "--json")
    result = last_json(cli(*given, *options, cwd=menu.parent, TUNEBOARD_ENGINE="tests.fake_engine"))
    facts = result["facts"]
    assert facts["tuned"]["hits"] == facts["tuned"]["n"] == 5 and facts["base"]["hits"] == 0
    own = [one for one in result["answers"] if one["kind"] == "own"]
    assert [one["held_back"] for one in own].count(True) == facts["held_back"] == 4
    read = rows_of("林小满", {"answers": own})
    assert [row_as_json(one) for one in read] == own
    trained = (workspace.data(result["run"]).rows).read_text(encoding="utf-8")
    assert not any(f'"input": "{one["question"]}"' in trained for one in own if one["held_back"])
