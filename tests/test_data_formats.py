"""Every known format read as conversations, and told from the others."""

import json
from typing import Any

import pytest

from core.data.conversations import Turn
from core.data.findings import KINDS
from core.data.formats.reading import Format, detect, read_row
from core.data.formats.shapes import SHAPES
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
    (
        openai(("user", "a"), ("assistant", "b"), ("user", "c")),
        "missing_answer",
        "messages[2].content",
    ),
    (
        openai(("assistant", "b"), ("user", "c"), ("assistant", "d")),
        "role_order",
        "messages[0].content",
    ),
    (
        openai(("user", "a"), ("user", "c"), ("assistant", "d")),
        "role_order",
        "messages[1].content",
    ),
    (
        openai(("user", "a"), ("assistant", "d"), ("assistant", "e")),
        "role_order",
        "messages[2].content",
    ),
    (
        openai(("user", "a"), ("system", "s"), ("assistant", "d")),
        "role_order",
        "messages[1].content",
    ),
    (openai(("tool", "a"), ("assistant", "d")), "role_order", "messages[0].content"),
    (openai(("wizard", "a"), ("assistant", "d")), "unknown_role", "messages[0].role"),
    ({"messages": [{"content": "a"}]}, "unknown_role", "messages[0].from"),
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
