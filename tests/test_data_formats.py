"""Every known format read as conversations, and told from the others."""

import json
from typing import Any

import pytest

from core.data.conversations import Turn, as_row, from_row
from core.data.findings import KINDS
from core.data.formats.reading import Format, detect, read_row
from core.data.formats.shapes import SHAPES, shape_of
from core.data.opening import reading_of
from core.errors import InvalidOption

HI = [Turn("hi", "hello")]
TWO = [Turn("hi", "hello", "be kind"), Turn("more?", "no")]


def said(*pairs: tuple[str, Any], keys: tuple[str, str] = ("role", "content")) -> list[dict[str, Any]]:
    return [{keys[0]: role, keys[1]: text} for role, text in pairs]


def openai(*pairs: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": said(*pairs)}


def sharegpt(*pairs: tuple[str, Any]) -> dict[str, Any]:
    return {"conversations": said(*pairs, keys=("from", "value"))}


ASKED, ANSWERED = ("human", "hi"), ("gpt", "hello")
FROM = ("from", "value")
GOOD: dict[str, tuple[str, dict[str, Any], list[Turn]]] = {
    "xtuner": (
        "xtuner",
        {"conversation": [{"system": "be kind", "input": "hi", "output": "hello"}]},
        [Turn("hi", "hello", "be kind")],
    ),
    "xtuner without a question": ("xtuner", {"conversation": [{"output": "hello"}]}, [Turn("", "hello")]),
    "alpaca": ("alpaca", {"instruction": "hi", "input": "", "output": "hello"}, HI),
    "alpaca with input": (
        "alpaca",
        {"instruction": "add", "input": "1 2", "output": "3"},
        [Turn("add\n1 2", "3")],
    ),
    "alpaca null input": ("alpaca", {"instruction": "hi", "input": None, "output": "hello"}, HI),
    "alpaca history": (
        "alpaca",
        {"instruction": "more?", "output": "no", "system": "be kind", "history": [["hi", "hello"]]},
        TWO,
    ),
    "sharegpt": (
        "sharegpt",
        {"id": "x", **sharegpt(ASKED, ANSWERED)},
        HI,
    ),
    "sharegpt system": (
        "sharegpt",
        {
            "conversations": said(
                ("system", "be kind"),
                ("user", "hi"),
                ("assistant", "hello"),
                ("human", "more?"),
                ("gpt", "no"),
                keys=FROM,
            )
        },
        TWO,
    ),
    "sharegpt outer system": (
        "sharegpt",
        {
            "system": "be kind",
            "conversations": said(ASKED, ANSWERED, ("human", "more?"), ("gpt", "no"), keys=FROM),
        },
        TWO,
    ),
    "sharegpt of openai's items": (
        "sharegpt",
        {"conversations": said(("user", "hi"), ("assistant", "hello"))},
        HI,
    ),
    "sharegpt tools": (
        "sharegpt",
        {
            "conversations": said(
                ("human", "hi"), ("function_call", "{}"), ("observation", "sun"), ("gpt", "warm"), keys=FROM
            )
        },
        [Turn("hi", "{}"), Turn("sun", "warm")],
    ),
    "openai": (
        "openai",
        {
            "messages": said(
                ("system", "be kind"),
                ("user", "hi"),
                ("assistant", "hello"),
                ("user", "more?"),
                ("assistant", "no"),
            )
        },
        TWO,
    ),
    "openai developer": (
        "openai",
        openai(("developer", "be kind"), ("user", "hi"), ("assistant", "hello")),
        [Turn("hi", "hello", "be kind")],
    ),
    "openai parts": (
        "openai",
        {
            "messages": said(
                ("user", [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]),
                ("assistant", "hello"),
            )
        },
        [Turn("h\ni", "hello")],
    ),
    "openai tools": (
        "openai",
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]},
                {"role": "tool", "content": "sun"},
                {"role": "tool", "content": "rain"},
                {"role": "assistant", "content": "both"},
            ]
        },
        [Turn("hi", '[{"id":1}]'), Turn("sun\nrain", "both")],
    ),
    "openai as text": (
        "openai",
        {"messages": json.dumps(said(("user", "hi"), ("assistant", "hello")))},
        HI,
    ),
    "prompt": ("pairs", {"prompt": "hi", "response": "hello"}, HI),
    "completion": ("pairs", {"Prompt": "hi", "Completion": "hello"}, HI),
    "Chinese names": ("pairs", {"问题": "hi", "回答": "hello"}, HI),
    "moss": (
        "moss",
        {
            "meta_instruction": "be kind",
            "num_turns": 2,
            "chat": {
                "turn_1": {
                    "Human": "<|Human|>: hi<eoh>\n",
                    "Inner Thoughts": "<|Inner Thoughts|>: None<eot>\n",
                    "Commands": "<|Commands|>: None<eoc>\n",
                    "Tool Responses": "<|Results|>: None<eor>\n",
                    "MOSS": "<|MOSS|>: hello<eom>\n",
                },
                "turn_2": {"Human": "<|Human|>: more?<eoh>\n", "MOSS": "<|MOSS|>: no<eom>\n"},
            },
        },
        TWO,
    ),
    "guanaco": ("marked", {"text": "### Human: hi### Assistant: hello"}, HI),
    "chatml": (
        "marked",
        {
            "text": "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
            "<|im_start|>assistant\nhello<|im_end|>\n<|im_start|>user\nmore?<|im_end|>\n"
            "<|im_start|>assistant\nno<|im_end|>\n"
        },
        TWO,
    ),
    "llama 2": (
        "marked",
        {
            "text": "<s>[INST] <<SYS>>\nbe kind\n<</SYS>>\n\nhi [/INST] hello </s>"
            "<s>[INST] more? [/INST] no </s>"
        },
        TWO,
    ),
    "tree": (
        "tree",
        {
            "message_tree_id": "r",
            "prompt": {
                "text": "hi",
                "role": "prompter",
                "replies": [
                    {"text": "go", "role": "assistant", "rank": 1, "replies": []},
                    {"text": "hello", "role": "assistant", "rank": 0, "replies": []},
                ],
            },
        },
        HI,
    ),
    "a dialogue in the question": (
        "alpaca",
        {"instruction": "Human:hi\nAssistant:hello\nHuman:more?\nAssistant:", "output": "no"},
        [HI[0], Turn("more?", "no")],
    ),
    "columns of one language": ("pairs", {"instruction_zh": "hi", "output_zh": "hello"}, HI),
    "plain text": ("text", {"text": "once upon a time"}, [Turn("", "once upon a time")]),
    "chosen and rejected": ("preference", {"prompt": "hi", "chosen": "hello", "rejected": "go"}, HI),
    "chosen dialogues": (
        "preference",
        {
            "chosen": said(("user", "hi"), ("assistant", "hello")),
            "rejected": said(("user", "hi"), ("assistant", "go")),
        },
        HI,
    ),
    "HH": (
        "preference",
        {"chosen": "\n\nHuman: hi\n\nAssistant: hello", "rejected": "\n\nHuman: hi\n\nAssistant: go"},
        HI,
    ),
    "KTO": ("preference", {"prompt": "hi", "completion": "hello", "label": True}, HI),
    "pairs with system": (
        "pairs",
        {"question": "hi", "answer": "hello", "system": "be kind"},
        [Turn("hi", "hello", "be kind")],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_format_is_told_and_read(name: str) -> None:
    format_name, row, turns = GOOD[name]
    found = detect([row])
    assert found.format == Format(format_name) and found.fitting == 1 and found.reason
    made = read_row(row, found.format)
    assert made.turns == turns
    assert all(KINDS[fault.code].usable for fault in made.faults), made.faults
    assert read_row(row, Format(format_name, certain=True)).turns == turns


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"conversation": [{"input": "a", "output": ""}]}, "empty_answer", "conversation[0].output"),
    ({"conversation": [{"input": "a", "output": 3}]}, "wrong_type", "conversation[0].output"),
    ({"conversation": "a"}, "wrong_type", "conversation"),
    ({"messages": []}, "no_messages", ""),
    (openai(("user", "a")), "missing_answer", "messages[0].content"),
    (openai(("tool", "a"), ("assistant", "d")), "role_order", "messages[0].content"),
    (openai(("wizard", "a"), ("assistant", "d")), "unknown_role", "messages[0].role"),
    ({"messages": [{"content": "a"}]}, "unknown_role", "messages[0].role"),
    (
        openai(("user", [{"type": "image_url"}]), ("assistant", "d")),
        "not_text_part",
        "messages[0].content[0]",
    ),
    ({"conversations": [5]}, "wrong_type", "conversations[0]"),
    ({"instruction": "a", "output": "b", "history": "x"}, "wrong_type", "history"),
    ({"instruction": "a", "output": "b", "history": [["x"]]}, "wrong_type", "history[0]"),
    ({"instruction": "a", "input": 5, "output": "b"}, "wrong_type", "input"),
    ({"prompt": "a", "response": None}, "empty_answer", "response"),
    ({"a": 1}, "unknown_format", ""),
]


@pytest.mark.parametrize(("row", "code", "field"), BAD)
def test_a_fault_has_its_place(row: dict[str, Any], code: str, field: str) -> None:
    faults = {(fault.code, fault.field) for fault in read_row(row, Format("xtuner")).faults}
    assert (code, field) in faults
    assert not KINDS[code].usable


def test_what_is_only_noted() -> None:
    empty = read_row({"prompt": " ", "response": "b"}, Format("pairs"))
    assert [(fault.code, fault.field) for fault in empty.faults] == [("empty_question", "prompt")]
    assert not read_row({"conversation": [{"output": "b"}]}, Format("xtuner")).faults


NOTED: dict[str, tuple[dict[str, Any], list[Turn], list[tuple[str, str]]]] = {
    "two questions": (
        openai(("user", "a"), ("user", "c"), ("assistant", "d")),
        [Turn("a\nc", "d")],
        [("joined", "messages[1].content")],
    ),
    "two answers": (
        openai(("user", "a"), ("assistant", "d"), ("assistant", "e")),
        [Turn("a", "d\ne")],
        [("joined", "messages[2].content")],
    ),
    "two system prompts": (
        openai(("system", "s"), ("system", "t"), ("user", "a"), ("assistant", "d")),
        [Turn("a", "d", "s\nt")],
        [("joined", "messages[1].content")],
    ),
    "a late system prompt": (
        openai(("user", "a"), ("system", "s"), ("assistant", "d")),
        [Turn("a", "d", "s")],
        [("joined", "messages[1].content")],
    ),
    "an answer first": (
        openai(("assistant", "b"), ("user", "c"), ("assistant", "d")),
        [Turn("c", "d")],
        [("answer_skipped", "messages[0].content")],
    ),
    "a question last": (
        openai(("user", "a"), ("assistant", "b"), ("user", "c")),
        [Turn("a", "b")],
        [("unanswered", "messages[2].content")],
    ),
    "an empty cell as pandas writes it": (
        {"question": "a", "answer": " NaN "},
        [Turn("a", " NaN ")],
        [("null_text", "answer")],
    ),
    "thoughts apart": (
        {"messages": [*said(("user", "a")), {"role": "assistant", "content": "b", "reasoning_content": "c"}]},
        [Turn("a", "b")],
        [("thinking_left_out", "messages[1].content")],
    ),
    "thoughts inside": (
        openai(("user", "a"), ("assistant", "<think>\nc\n</think>\n\nb")),
        [Turn("a", "b")],
        [("thinking_left_out", "messages[1].content")],
    ),
    "several answers": (
        {"question": "a", "context": "x", "answers": {"text": ["b", "c"], "answer_start": [1, 2]}},
        [Turn("x\na", "b")],
        [("other_answers_left_out", "answers.text")],
    ),
    "tools": (
        {**openai(("user", "a"), ("assistant", "b")), "tools": "[{}]"},
        [Turn("a", "b")],
        [("tools_left_out", "tools")],
    ),
}


@pytest.mark.parametrize("name", NOTED)
def test_what_is_joined_or_left_out_is_said(name: str) -> None:
    row, turns, faults = NOTED[name]
    made = read_row(row, Format("openai"))
    assert made.turns == turns
    assert [(fault.code, fault.field) for fault in made.faults] == faults
    assert all(KINDS[fault.code].usable for fault in made.faults)


def test_thoughts_are_kept_in_one_form_when_they_are_asked_for() -> None:
    kept = Format("openai", thoughts=True)
    for name in ("thoughts apart", "thoughts inside"):
        made = read_row(NOTED[name][0], kept)
        assert made.turns == [Turn("a", "<think>\nc\n</think>\n\nb")] and not made.faults


LEFT_OUT: list[tuple[dict[str, Any], str]] = [
    ({"image": "a.jpg", **openai(("user", "a"), ("assistant", "b"))}, "not_text"),
    (openai(("user", "<image>\nwhat is it?"), ("assistant", "b")), "not_text"),
    ({"prompt": "a", "completion": "b", "label": False}, "bad_answer"),
    ({"prompt": "a", "completion": "b", "label": "False"}, "bad_answer"),
    ({**openai(("user", "a"), ("assistant", "b")), "kto_tag": False}, "bad_answer"),
    ({"conversation": [{"input": "a", "output": "b", "output_with_loss": False}]}, "nothing_trained"),
    ({"question": "a", "answer": "b", "weight": 0}, "nothing_trained"),
    (
        {
            "messages": [
                *said(("user", "a")),
                {"role": "assistant", "content": [{"text": "b", "loss_weight": 0}, {"text": "c"}]},
            ]
        },
        "partly_masked",
    ),
]


@pytest.mark.parametrize(("row", "code"), LEFT_OUT)
def test_a_row_that_must_not_be_trained_is_not_usable(row: dict[str, Any], code: str) -> None:
    faults = {fault.code for fault in read_row(row, Format("openai")).faults}
    assert code in faults and not KINDS[code].usable


MASKED: list[dict[str, Any]] = [
    {"output_with_loss": False},
    {"loss": False},
    {"loss": "false"},
    {"weight": 0},
    {"weight": 0.0},
    {"loss_weight": 0.0},
    {"train": False},
]


@pytest.mark.parametrize("mask", MASKED)
def test_an_answer_that_asks_not_to_be_learned_is_only_read(mask: dict[str, Any]) -> None:
    asked, again = said(("user", "a")), said(("user", "c"), ("assistant", "d"))
    row = {"messages": [*asked, {"role": "assistant", "content": "b", **mask}, *again]}
    made = read_row(row, Format("openai"))
    assert (
        made.turns == [Turn("a", "b", trained=False), Turn("c", "d")] and not made.faults and not made.unread
    )
    assert from_row(as_row(made.conversation)) == made.conversation


def test_every_key_that_nobody_read_is_known() -> None:
    row = {"id": 3, "question": "a", "answer": "b", "mood": "sad", "empty": "", "copy": " a ", "source": "x"}
    made = read_row(row, Format("pairs"))
    assert made.unread == [("mood", "sad")] and made.harmless == ["id", "source"]
    messages = [{"role": "user", "content": "a", "mood": 1}, {"role": "assistant", "content": "b", "mood": 2}]
    assert read_row({"messages": messages}, Format("openai")).unread == [
        ("messages[].mood", 1),
        ("messages[].mood", 2),
    ]


def test_the_most_frequent_format_is_the_file_s() -> None:
    rows = [GOOD[name][1] for name in ("alpaca", "openai", "openai", "sharegpt")]
    found = detect([*rows, None, "text"])
    assert found.format == Format("openai") and (found.fitting, found.looked) == (2, 6)
    assert detect([{"a": 1, "b": 2}]).columns == ("a", "b") and detect([{"a": 1}]).format is None
    assert detect([]).format is None


def test_rows_of_other_formats_are_read_unless_a_person_chose() -> None:
    row = GOOD["openai"][1]
    assert read_row(row, Format("alpaca")).turns == TWO
    assert [fault.code for fault in read_row(row, Format("alpaca", certain=True)).faults] == [
        "unknown_format"
    ]


def test_columns_by_mapping() -> None:
    chosen = Format("columns", {"user": "ask", "assistant": "say", "system": "who"}, certain=True)
    assert read_row({"ask": "hi", "say": "hello", "who": "", "other": 1}, chosen).turns == HI
    assert read_row({"ask": "hi", "say": "hello", "who": "be"}, chosen).turns == [Turn("hi", "hello", "be")]
    assert [fault.code for fault in read_row({"ask": "hi"}, chosen).faults] == ["unknown_format"]
    assert read_row({"conversation": [{"output": "x"}]}, chosen).turns == [Turn("", "x")], "a mended row"


def test_mapping_on_the_command_line() -> None:
    assert reading_of(None, ["prompt=问 题", "answer=a=b"]).mapping == {"user": "问 题", "assistant": "a=b"}
    assert reading_of("alpaca", []).format == "alpaca"
    for wrong in (["user"], ["user="], ["wizard=a"], ["user=a"]):
        with pytest.raises(InvalidOption):
            reading_of(None, wrong)


def test_every_format_has_an_example() -> None:
    assert {name for name, _, _ in GOOD.values()} == set(SHAPES)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Question", "Réponse"),
        ("질문", "답변"),
        ("Domanda", "Risposta"),
        ("Câu hỏi", "Trả lời"),
        ("السؤال", "الجواب"),
        ("Soru", "Cevap"),
        ("問題", "答案"),
    ],
)
def test_a_table_names_its_columns_in_any_language(question: str, answer: str) -> None:
    assert shape_of({question: "x", answer: "y"}) is not None
