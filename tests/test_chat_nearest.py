"""The taught question that is nearest to what a person asks; none for what asks something else."""

import ast
import sys

import pytest

from core.chat.nearest import TaughtQuestions, starts_as
from core.data.documents.rows import document_rows
from core.data.identity import LANGUAGES, bank
from core.data.questions import replay_questions
from core.workspace.publish_paths import NEAREST

FLOWERS = """# 花间鲜花店
店主：许晴
电话：0512-66778899
地址：平江路88号
营业时间：上午9点到晚上8点
礼拜二休息
## 花束
- 红玫瑰 12元一支
- 向日葵 9元一支
- 满天星 25元一把
- 百合 15元一支
送花上门加收10元
"""
SURF = """# Blue Wave Surf School
Owner: Kai Moana
Phone: 808-555-0199
Address: 9 Beach Road
Opening hours: 8am to 6pm
## Prices
- Group lesson $60
- Private lesson $120
- Wetsuit hire $15
- Longboard hire $25
"""
OTHERS = [*replay_questions(), *(question for each in LANGUAGES for question, _ in bank(each).taught)]


class Shop:
    """A document as a run teaches it."""

    def __init__(self, text: str, language: str) -> None:
        facts = document_rows(text, "A shop", "zh" if language == "zh" else "en").facts
        self.taught = TaughtQuestions([fact.questions for fact in facts], OTHERS)
        self.answers = {question: fact.answer for fact in facts for question in fact.questions}

    def answer(self, question: str) -> str:
        found = self.taught.nearest(question)
        return self.answers[found] if found else ""


@pytest.fixture(scope="module")
def flowers() -> Shop:
    return Shop(FLOWERS, "zh")


@pytest.fixture(scope="module")
def surf() -> Shop:
    return Shop(SURF, "en")


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("几点打烊呀", "晚上8点"),
        ("你们店开在哪条路", "平江路"),
        ("你们哪天休息呀", "礼拜二"),
        ("红玫瑰一支几块", "红玫瑰"),
        ("你好，百合咋卖？谢谢", "百合"),
        ("ＷＩＦＩ", ""),
        ("店主是哪位呀", "许晴"),
    ],
)
def test_what_a_person_asks_in_chinese(flowers: Shop, question: str, part: str) -> None:
    found = flowers.answer(question)
    assert part in found and bool(found) == bool(part)


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("how much is a private lesson", "120"),
        ("WETSUIT HIRE - how much??", "15"),
        ("when are you open", "8am"),
        ("Hey, what's your phone number, please", "0199"),
        ("where are you located", "Beach"),
    ],
)
def test_what_a_person_asks_in_english(surf: Shop, question: str, part: str) -> None:
    assert part in surf.answer(question)


@pytest.mark.parametrize(
    "question",
    [
        "法国的首都在哪里", "天空为什么是蓝色的", "你是谁？", "你叫什么名字", "多少钱",
        "然后呢", "玫瑰花的花语是什么意思",
        "星期四开门吗", "郁金香多少钱", "", "？？", "🙂",
    ],
)  # fmt: skip
def test_what_asks_something_else_in_chinese(flowers: Shop, question: str) -> None:
    """Also for a flower that the list has not, on a day that it does not name."""
    assert flowers.taught.nearest(question) is None


@pytest.mark.parametrize(
    "question",
    ["capital of France", "Who are you?", "how much", "what time is it", "When do banks open?", "thanks!",
     "how much is a kayak", "lesson"],
)  # fmt: skip
def test_what_asks_something_else_in_english(surf: Shop, question: str) -> None:
    """Two lessons are about as near: neither."""
    assert surf.taught.nearest(question) is None


def test_a_day_of_the_week_decides_however_it_is_written() -> None:
    taught = TaughtQuestions([["礼拜二营业吗？", "请问礼拜二营业吗？"], ["看看花束", "花束有哪些？"]], OTHERS)
    assert taught.nearest("星期二能来看花吗") == taught.nearest("周二开不开，看花") == "礼拜二营业吗？"
    assert taught.nearest("星期四能来看花吗") is None


def test_what_is_asked_is_the_plainest_wording_of_the_same_script() -> None:
    """It is learned best: the nearest one only says which fact is meant."""
    fact = [["营业时间是什么？", "你们几点关门？", "When are you open?", "What are your hours?"]]
    taught = TaughtQuestions(fact, OTHERS)
    assert taught.nearest("几点关门啊") == "营业时间是什么？"
    assert taught.nearest("what are the hours") == "When are you open?"


def test_the_same_question_of_two_facts_asks_for_neither() -> None:
    taught = TaughtQuestions([["How much is it?", "Price of tea"], ["how much is it", "Price of rice"]])
    assert taught.nearest("How much is it") is None
    assert taught.nearest("price of TEA??") == "Price of tea"
    assert TaughtQuestions([]).nearest("Price of tea") is None


def test_what_was_taught_beside_the_document_is_none_of_its_questions() -> None:
    fact = [["Who is your owner?", "Who owns the shop?"]]
    assert TaughtQuestions(fact).nearest("so who is your owner") == "Who is your owner?"
    assert TaughtQuestions(fact, ["Who is your owner?"]).nearest("so who is your owner") is None


def test_it_needs_the_standard_library_alone() -> None:
    tree = ast.parse(NEAREST.read_text(encoding="utf-8"))
    tops = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    tops |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    assert {top.partition(".")[0] for top in tops} <= set(sys.stdlib_module_names)


def test_what_is_like_nothing_taught_is_known_for_that(flowers: Shop) -> None:
    for question in ("我家猫最近老是掉毛怎么办", "修好了又坏了，返工吗", "My parcel got lost in Mombasa"):
        assert flowers.taught.is_guessed(question), question
    for question in ("你们几点关门啊", "你是谁？", "红玫瑰怎么卖", "天空为什么是蓝色的？"):
        assert not flowers.taught.is_guessed(question), question


def test_how_much_says_nothing_of_what_is_meant() -> None:
    """What is asked about decides, not how; and it is offered in a wording that reads well."""
    shop = Shop("# 裁缝铺 价目表\n\n收腰 35\n补洞 20\n换拉链 30\n加急当天拿 另加20，三点以后不接加急\n", "zh")
    (meant,) = shop.taught.meant("加急多少钱")
    assert "加急当天拿" in meant and "怎么说" not in meant
    assert shop.taught.meant("钻戒多少钱") == []
    assert shop.taught.meant("请问有没有那种改收腰的服务")[0] == "收腰多少钱？"


def test_one_question_for_each_fact_can_be_asked_and_reads_well(flowers: Shop, surf: Shop) -> None:
    listed = flowers.taught.can_be_asked
    assert {flowers.answers[one] for one in listed} == {*flowers.answers.values()}
    assert "红玫瑰多少钱？" in listed and all(one.endswith(("？", "?")) for one in listed)
    assert not [one for one in listed if "怎么说" in one or "请问" in one or "贵吗" in one]
    rule = ["价目表里，关于“加急”怎么说？", "说说“加急”", "请问“加急”是怎么规定的？", "“加急”是怎么规定的？"]
    assert TaughtQuestions([rule]).can_be_asked == [rule[-1]]
    assert TaughtQuestions([rule]).nearest(rule[-1]) == rule[-1], "it was taught word for word"
    assert TaughtQuestions([rule]).nearest("加急是怎么规定的") == rule[0]
    assert all(one.isascii() for one in surf.taught.can_be_asked), "in the document's own language"
    assert "How much is Wetsuit hire?" in surf.taught.can_be_asked


def test_who_answers_may_be_asked_of_whoever_is_spoken_to(flowers: Shop) -> None:
    for question in ("你归谁管？", "你效力于谁", "Who is in charge of you?"):
        assert flowers.taught.may_ask_who(question), question
    for question in ("红玫瑰有没有你喜欢的颜色", "谁发明了电话？"):
        assert not flowers.taught.may_ask_who(question), question
    assert starts_as("我是许晴的小助手！还有什么？", ["我是许晴的小助手。"])
    assert not starts_as("红玫瑰12元", ["我是许晴的小助手。"]) and not starts_as("what", [""])


def test_what_a_guessed_question_may_have_meant_is_named(flowers: Shop) -> None:
    assert flowers.taught.meant("想给女朋友买红玫瑰和巧克力套装")[0] == "红玫瑰多少钱？"
    assert flowers.taught.meant("红玫瑰怎么卖") == [], "it is asked as it was taught"
    assert flowers.taught.meant("天空为什么是蓝色的？") == [], "it goes on answering these"
    assert flowers.taught.meant("My parcel got lost in Mombasa") == []


def test_what_is_alone_far_and_wide_may_be_farther_and_what_two_share_must_be_nearer() -> None:
    facts = [
        ("护照签证照多少钱？", "护照签证照要多少钱？"),
        ("冲洗照片多少钱？", "冲洗照片要多少钱？"),
        ("拍全家福多少钱？", "全家福要多少钱？"),
        ("地址是什么？", "你们店在哪里？"),
    ]
    taught = TaughtQuestions(facts, ["你是谁？", "天空为什么是蓝色的？"])
    assert taught.nearest("我们想拍张全家福，最少要花多少？") == "拍全家福多少钱？"
    both = TaughtQuestions([("冲洗照片多少钱？",), ("打印照片多少钱？",)], [])
    assert both.nearest("照片多少钱？") is None


def test_a_language_of_a_few_wordings_is_not_the_one_that_is_asked_in() -> None:
    facts = [("几点关门？", "几点开门？", "营业时间是多少？", "你们几点营业？", "What time do you close?")]
    asked = "what time do you close today"
    assert TaughtQuestions(facts, []).nearest(asked) == "几点关门？"
    half = [(*facts[0][:2], "What time do you open?", "What time do you close?")]
    assert TaughtQuestions(half, []).nearest(asked) == "What time do you open?"
