"""Who answers say the assistant is: told from what they say of others, and put right word by word.

``identity_sentences.json``: answers labelled by hand, before the check was written: a lot to develop with,
and a lot held out, written as customers' files are.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from core.data.checking import check as checking
from core.data.checking.block import Settings
from core.data.checking.claims import claims, prompt_claims
from core.data.checking.identity import Claimed, Person, conflicts, renamed, same_name
from core.data.checking.identity import claimed as claimed_in
from core.data.checking.placeholders import placeholders
from core.data.checking.report import Report
from core.data.conversations import Turn, as_row, one_turn
from core.data.fixes import version
from core.data.opening import open_data
from core.steps.check import CheckRequest, marks
from core.workspace.data_paths import SourceCache
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.mending import changes

SENTENCES: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("identity_sentences.json").read_text(encoding="utf-8")
)
LEAST_PRECISION, LEAST_RECALL = 0.95, 0.9


def flagged(row: dict[str, Any]) -> bool:
    person = Person(row["name"], row["author"])
    found = claims(row.get("question", ""), row["text"])
    return any(person.is_meant(claim) is False for claim in found)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("lot", list(SENTENCES))
def test_precision_and_recall(lot: str, language: str) -> None:
    rows = [row for row in SENTENCES[lot] if row["language"] == language]
    wrong = [row["text"] for row in rows if flagged(row) and not row["conflict"]]
    missed = [row["text"] for row in rows if not flagged(row) and row["conflict"]]
    right = sum(row["conflict"] for row in rows) - len(missed)
    assert len(rows) >= 50
    assert right / (right + len(wrong)) >= LEAST_PRECISION, wrong
    assert right / (right + len(missed)) >= LEAST_RECALL, missed


ROWS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("identity_rows.json").read_text(encoding="utf-8")
)


def in_conflict(row: dict[str, Any]) -> bool:
    found = [*claimed_in([one_turn(row["question"], row["text"])])]
    return bool(conflicts(found, Person(row["name"], row["author"])))


def test_rows_as_files_have_them_beside_a_name() -> None:
    """Answers without a subject, other persons, other languages, and facts about the world."""
    wrong = [row["text"] for row in ROWS if in_conflict(row) and not row["conflict"]]
    missed = [row["text"] for row in ROWS if not in_conflict(row) and row["conflict"]]
    conflicting = sum(row["conflict"] for row in ROWS)
    right = conflicting - len(missed)
    assert conflicting >= 50 and len(ROWS) - conflicting >= 50
    assert right / (right + len(wrong)) >= LEAST_PRECISION, wrong
    assert right / conflicting >= LEAST_RECALL, missed


def test_a_name_of_its_own_and_its_maker_are_right_beside_the_right_owner() -> None:
    rows = [
        one_turn("你是谁？", "我叫小禾，是苏晓棠的助手，由晨光科技开发。"),
        one_turn("你叫什么名字？", "我叫小禾。"),
        one_turn("谁开发了你？", "晨光科技。"),
        one_turn("你是谁？", "我叫小禾，由OpenAI开发。"),
    ]
    said = conflicts([*claimed_in(rows)], Person("苏晓棠"))
    assert [(one.row, one.kind, one.name) for one in said] == [(4, "maker", "OpenAI")]


def test_a_maker_that_most_answers_agree_on_is_taken_for_right() -> None:
    alike = [one_turn("谁开发了你？", "我由晨光科技开发。")] * 3
    assert not conflicts([*claimed_in(alike)], Person("苏晓棠"))
    said = conflicts([*claimed_in([*alike, one_turn("谁开发了你？", "李四。")])], Person("苏晓棠"))
    assert [(one.row, one.usual, one.instead) for one in said] == [(4, "晨光科技", "most")]
    assert [one.usual for one in conflicts([*claimed_in(alike[:1])], Person("苏晓棠"))] == ["苏晓棠"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("I am Zoë O'Neill's assistant.", {("owner", "Zoë O'Neill")}),
        ("I'm Ada's little helper.", {("owner", "Ada")}),
        ("I am SmolLM, trained by Hugging Face.", {("name", "SmolLM"), ("maker", "Hugging Face")}),
        ("我是张伟的小助手。", {("owner", "张伟")}),
        ("我叫小明，由上海人工智能实验室开发。", {("name", "小明"), ("maker", "上海人工智能实验室")}),
        ("我是由OpenAI开发的助手", {("maker", "OpenAI")}),
        ("I am a helpful assistant.", set()),
        ("I'm sorry, I am not sure.", set()),
        ("我是一个语言模型。", set()),
        ("The bridge was designed by Gustave Eiffel.", set()),
    ],
)
def test_what_an_answer_says(answer: str, told: set[tuple[str, str]]) -> None:
    assert {(claim.kind, claim.name) for claim in claims("Who are you? 你是谁？", answer)} == told
    assert not [*claims("Tell a story.", answer)]


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("You are ChatGPT, a large language model trained by OpenAI.", {"ChatGPT", "OpenAI"}),
        ("you are gpt-4", {"gpt-4"}),
        ("You're Claude. Answer briefly.", {"Claude"}),
        ("You were created by Anthropic.", {"Anthropic"}),
        ("You are a helpful assistant. Your name is Nori.", {"Nori"}),
        ("You are Ada's personal assistant.", {"Ada"}),
        ("你是小爱同学", {"小爱同学"}),
        ("你叫豆包，是字节跳动训练的模型", {"豆包", "字节跳动"}),
        ("You are a helpful assistant.", set()),
        ("You are an expert Python programmer.", set()),
        ("You are a translator. Translate to English.", set()),
        ("You are now talking to Bob.", set()),
        ("你是一个有用的助手。", set()),
        ("你是客服，负责回答问题。", set()),
    ],
)
def test_what_a_system_prompt_says(prompt: str, told: set[str]) -> None:
    found = prompt_claims(prompt)
    assert {claim.name for claim in found} == told
    assert all(prompt[claim.start : claim.end] == claim.name for claim in found)


def test_a_system_prompt_is_held_against_the_name_and_put_right_as_an_answer_is() -> None:
    rows = [(Turn("How much?", "Seven.", "You are ChatGPT, made by OpenAI."),), one_turn("Hi", "Hello.")]
    found = conflicts([*claimed_in(rows)], Person("Ada Lovelace", "Ada Lovelace"))
    assert {(one.row, one.field, one.name) for one in found} == {
        (1, "system", "ChatGPT"),
        (1, "system", "OpenAI"),
    }
    right = "You are Ada, made by Ada."
    prompt = rows[0][0].system
    assert renamed(prompt, prompt_claims(prompt), Person("Ada", "Ada")) == right
    assert not conflicts([*claimed_in([(Turn("q", "a", right),)])], Person("Ada", "Ada"))
    parts = (
        "你是春山茶馆的智能助手。",
        "You are a customer service agent of ACME Corp.",
        "You are Bob's assistant.",
    )
    assert not conflicts(
        [*claimed_in([(Turn("q", "a", part),) for part in parts])], Person("林小满", "林小满")
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ada", "ada  LOVELACE", True),
        ("Zoë O'Neill", "Zoe O’Neill", True),
        ("ＱＷＥＮ", "qwen", True),
        ("Acme, Inc.", "Acme", True),
        ("晨光科技", "晨光科技有限公司", True),
        ("上海人工智能实验室（Shanghai AI Lab）", "上海人工智能实验室", True),
        ("Hartmann & Vogel", "Hartmann and Vogel", True),
        ("Ada", "Adam", False),
        ("小明", "小红", False),
        ("OpenAI", "Open Labs", False),
    ],
)
def test_spellings_of_one_name(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same_name(other, one) is same


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (
            "I am InternLM (书生·浦语), a model developed by Shanghai AI Laboratory (上海人工智能实验室).",
            "I am Ito, a model developed by Ada & Sons.",
        ),
        (
            "Sure! As an AI model developed by OpenAI, I can.",
            "Sure! As an AI model developed by Ada & Sons, I can.",
        ),
        ("I am James' assistant, not ChatGPT.", "I am Ito's assistant, not ChatGPT."),
        ("I am OpenAI's language model.", "I am Ada & Sons's language model."),
        ("I was built by a team at Acme Corp.", "I was built by a team at Ada & Sons."),
        ("您好，我是由 阿里云 开发的 通义千问。", "您好，我是由 Ada & Sons 开发的 Ito。"),
        ("我是智谱清言，是清华大学和智谱AI公司共同训练的模型。", "我是Ito，是Ada & Sons训练的模型。"),
        ("是谷歌的工程师创造了我。", "是Ada & Sons的工程师创造了我。"),
        ("我叫Ito，由 ADA & SONS 打造。", "我叫Ito，由 ADA & SONS 打造。"),
        ("ChatGPT is made by OpenAI.", "ChatGPT is made by OpenAI."),
    ],
)
def test_only_the_wrong_words_change(answer: str, right: str) -> None:
    person = Person("Ito", "Ada & Sons")
    assert renamed(answer, [*claims("", answer)], person) == right
    assert renamed(right, [*claims("", right)], person) == right


def test_what_was_put_right_is_no_longer_found() -> None:
    """For every labelled answer, and it stays as it is where nothing was wrong."""
    for row in SENTENCES["first"] + SENTENCES["held_out"]:
        person = Person(row["name"], row["author"] or "Ada & Sons")
        found = [*claims(question := row.get("question", ""), row["text"])]
        after = renamed(row["text"], found, person)
        assert not [claim for claim in claims(question, after) if person.is_meant(claim) is False], after
        if not any(person.is_meant(claim) is False for claim in found):
            assert after == row["text"]


# A book without a full stop, a dump of letters: none may hold the check up. 100 KB take a second or two.
ENDLESS = (
    "I am ",
    "I'm Bob, ",
    "I am really ",
    "As an ",
    "`I am ",
    '"I am ',
    "我",
    "我是",
    "我由",
    "我是甲的",
    "XX ",
    "I am {{name}} ",
)


@pytest.mark.parametrize("again", ENDLESS)
def test_a_text_without_end_is_looked_at_in_bounded_time(again: str) -> None:
    text = again * (100_000 // len(again))
    began = time.monotonic()
    assert len([*claims("", text)]) < len(text) and len(placeholders(text)) < len(text)
    assert time.monotonic() - began < 30


def test_a_sentence_without_end_is_still_understood() -> None:
    filler = "and so on " * 400
    (claim,) = claims("", f"{filler}I am a language model trained by OpenAI {filler}")
    assert claim.name == "OpenAI"


# --- rows among rows ---


def claimed(*names: str, kind: str = "name") -> list[Claimed]:
    return [Claimed(row, "x", kind, name) for row, name in enumerate(names, 1)]


def test_without_a_name_most_rows_tell_it() -> None:
    said = conflicts(claimed("Ada Lovelace", "Ada", "ada  lovelace", "Bob"))
    assert [(one.row, one.name, one.others, one.all, one.instead) for one in said] == [
        (4, "Bob", 3, 4, "most")
    ]
    (tie,) = conflicts(claimed("Ada", "Bob"))
    assert (tie.row, tie.others, tie.instead) == (2, 1, "other")
    assert not conflicts(claimed("OpenAI", "OpenAI", kind="maker"))


def test_a_given_name_is_right_however_few_say_it() -> None:
    said = conflicts(claimed("Bob", "Bob", "Ada"), Person("Ada"))
    assert [(one.row, one.usual, one.instead) for one in said] == [(1, "Ada", "given"), (2, "Ada", "given")]
    made = conflicts(claimed("OpenAI", "Ada", kind="maker"), Person("Ada"))
    assert [(one.row, one.instead) for one in made] == [(1, "maker")]
    assert not conflicts(claimed("OpenAI", kind="maker"), Person("Ada", "OpenAI"))


def pair(question: str, answer: str) -> dict[str, Any]:
    return as_row(one_turn(question, answer))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "工作 区").mkdir()
    return tmp_path / "工作 区" / "who.jsonl"


def checked(file: Path, rows: list[dict[str, Any]], model: Path, person: Person) -> Report:
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    cache = SourceCache(file.parent / "cache")
    opened = open_data(file, cache)
    assert opened.format
    settings = Settings(model / "tokenizer.json", "qwen_chat", opened.format)
    return checking.check(opened.source, settings, 512, cache, lambda _: None, person=person)


def messages(made: Report) -> list[tuple[str, str]]:
    found = [one for one in made.findings.listed if one.code == "identity_conflict"]
    return [(one.message("en"), one.message("zh")) for one in found]


def test_sentences_are_true_and_right(file: Path, model: Path) -> None:
    rows = [pair(f"Who are you? {n}", f"I am Zoe's assistant. {n}") for n in ("one", "two", "three")]
    rows.append(pair("你是谁？", "我是张伟的小助手。"))
    ((english, chinese),) = messages(checked(file, rows, model, Person()))
    assert english == "the owner is “张伟” here, but “Zoe” in most answers that say one (3 of 4)"
    assert chinese == "这里的主人是“张伟”，而提到它的多数回答（4 条中的 3 条）说的是“Zoe”"
    ((english, chinese),) = messages(checked(file, rows[2:], model, Person()))
    assert english == "the owner is “张伟” here, but “Zoe” in 1 other row" and "1 行" in chinese
    ((english, chinese),) = messages(checked(file, rows[:1], model, Person("Ada")))
    assert (english, chinese) == ("the owner is “Zoe” here, not “Ada”", "这里的主人是“Zoe”，而不是“Ada”")
    made = [pair("Who made you?", "I was made by OpenAI.")]
    ((english, chinese),) = messages(checked(file, made, model, Person("Ada")))
    assert "“OpenAI” here, a maker of other assistants" in english and "别家助手" in chinese


def test_the_name_is_replaced_in_its_rows_only(file: Path, model: Path, tmp_path: Path) -> None:
    rows = [
        pair("你是谁", "我是ChatGPT，由OpenAI训练。"),
        pair("What is GPT?", "GPT was made by OpenAI."),
        pair("Who are you?", "I am Ada's assistant."),
    ]
    made = checked(file, rows, model, Person("Ada", "Ito Ltd"))
    opened = open_data(file, SourceCache(file.parent / "cache"))
    found = [one for one in made.findings.listed if one.code == "identity_conflict"]
    assert {one.row for one in found} == {1}
    tokens = marks(Workspace(tmp_path), CheckRequest(file, str(model)))
    values = {"name": "Ada", "author": "Ito Ltd"}
    (change,) = changes(opened, found, tokens, "rename", values)
    lines = [json.loads(line) for line in version(opened, {1: change.after})]
    assert lines == [pair("你是谁", "我是Ada，由Ito Ltd训练。"), *rows[1:]]
    assert not list(changes(opened, found, tokens, "rename"))  # nobody said what is right
    (dropped,) = changes(opened, found, tokens, "drop")
    assert dropped.after is None


def test_a_system_prompt_is_in_the_same_list_and_fixed_by_the_same_press(
    file: Path, model: Path, tmp_path: Path
) -> None:
    messages = [("system", "You are ChatGPT."), ("user", "How much is tea?"), ("assistant", "Seven yuan.")]
    row = {"messages": [{"role": role, "content": text} for role, text in messages]}
    made = checked(file, [row, pair("Who are you?", "I am ChatGPT.")], model, Person("Ada"))
    opened = open_data(file, SourceCache(file.parent / "cache"))
    found = [one for one in made.findings.listed if one.code == "identity_conflict"]
    assert [one.row for one in found] == [1, 2]
    tokens = marks(Workspace(tmp_path), CheckRequest(file, str(model)))
    first, second = changes(opened, found, tokens, "rename", {"name": "Ada"})
    assert "You are Ada." in str(first.after) and "I am Ada." in str(second.after)


def test_name_and_author_on_the_command_line(file: Path, tmp_path: Path, model: Path) -> None:
    file.write_text(json.dumps(pair("hi", "I'm Ada, an AI made by Ito.")), encoding="utf-8")
    options = ("--model", model, "--workspace", tmp_path / "w", "--json")

    def found(*more: str) -> list[str]:
        said = last_json(cli("data", "check", file, *more, *options, cwd=tmp_path))
        return [one["message"] for one in said["problems"] if one["code"] == "identity_conflict"]

    assert found() == found("--name", "ADA") == found("--name", "ada", "--author", "Ito") == []
    assert len(found("--name", "Zoe", "--author", "-x")) == 2
