"""What strangers' files hold: nothing that changes a row's meaning passes for harmless, nothing is trained
that should not be, and no row is too odd or too long."""

import time
from typing import Any

import pytest

from core.data.conversations import Turn
from core.data.findings import KINDS
from core.data.formats.messages import Assembled
from core.data.formats.reading import Format, detect, read_row

QA = {"question": "a", "answer": "b"}
ASKED, SAID = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
AB = [Turn("a", "b")]


def read(row: Any) -> Assembled:
    return read_row(row, detect([row]).format or Format("xtuner"))


def codes(made: Assembled) -> list[str]:
    return [fault.code for fault in made.faults]


TELLING: list[tuple[str, Any]] = [
    ("rating", "thumbs_down"),
    ("quality", "bad"),
    ("score", -1),
    ("reward", 0.0),
    ("score", "0"),
    ("ratings", [{"rating": 0}]),
    ("toxicity_score", 0.98),
    ("split", "test"),
    ("标签", "错误"),
    ("category", "Rejected"),
    ("subset", "Validation"),
    ("task", "Translate into French"),
    ("type", "把下面的句子翻译成英文"),
    ("source", "The pier was built in 1904. " * 9),
    ("path", "pictures/dog.JPG"),
    ("url", "https://example.org/a.png?size=3"),
    ("image_id", 17),
    ("audioTrackURL", "https://example.org/3"),
    ("video_url", "https://example.org/watch"),
    ("answer_idx", 2),
    ("better_response_id", 1),
    ("turn_id", 3),
    ("session_id", "x"),
    ("会话ID", 3),
    ("parent_id", "x"),
    ("metadata", {"system": "Speak like a pirate."}),
    ("meta", '{"label": false}'),
    ("weight", "heavy"),
]


@pytest.mark.parametrize(("key", "value"), TELLING)
def test_a_harmless_name_does_not_hide_what_it_says(key: str, value: Any) -> None:
    made = read({**QA, key: value})
    assert made.turns == AB and made.unread == [(key, value)] and not made.harmless


HARMLESS: list[tuple[str, Any]] = [
    ("rating", 5),
    ("score", "0.7"),
    ("scores", {"style": 3}),
    ("split", "train"),
    ("task", "open qa"),
    ("type", "问答"),
    ("source", "https://example.org/" + "a" * 300),
    ("path", "data/part-3.jsonl"),
    ("user_id", 17),
    ("客户ID", "x"),
    ("metadata", {"lang": "en", "system": ""}),
    ("meta", '{"lang": "en"}'),
    ("工单号", 3),
    ("创建时间", "2024-01-01"),
]


@pytest.mark.parametrize(("key", "value"), HARMLESS)
def test_what_is_harmless_asks_nobody(key: str, value: Any) -> None:
    made = read({**QA, key: value})
    assert made.turns == AB and made.harmless == [key] and not made.unread


def test_a_class_beside_a_mere_text_is_what_the_row_is_there_for() -> None:
    for key, value in (("category", "sports"), ("标签", "正面"), ("rating", 5)):
        made = read({"text": "a review", key: value, "id": 3})
        assert made.unread == [(key, value)] and made.harmless == ["id"]
    assert not read({"text": "a page", "url": "https://example.org", "lang": "en"}).unread


@pytest.mark.parametrize("good", [True, False])
def test_a_label_of_a_mere_text_is_no_judgement_of_an_answer(good: bool) -> None:
    made = read({"text": "cheap watches!", "label": good})
    assert made.turns == [Turn("", "cheap watches!")] and made.unread == [("label", good)]


def test_a_dialogue_s_number_beside_all_of_it_is_harmless() -> None:
    for row in ({"messages": [ASKED, SAID]}, {**QA, "history": [["c", "d"]]}):
        assert read({**row, "session_id": 3}).harmless == ["session_id"]


def node(parent: str | None, role: str, *parts: Any, kind: str = "text") -> dict[str, Any]:
    said = {"author": {"role": role}, "content": {"content_type": kind, "parts": list(parts)}}
    return {"message": said, "parent": parent, "children": []}


def test_an_exported_chat_is_the_branch_that_was_seen_last() -> None:
    mapping = {
        "root": {"message": None, "parent": None, "children": ["1"]},
        "1": node("root", "system", ""),
        "2": node("1", "user", "a"),
        "3": node("2", "assistant", "c"),
        "4": node("2", "assistant", "b"),
        "5": node("4", "user", "d"),
        "6": node("5", "assistant", "e"),
    }
    row = {"title": "x", "mapping": mapping, "current_node": "6", "create_time": 1.5}
    made = read(row)
    assert made.turns == [*AB, Turn("d", "e")] and codes(made) == ["other_answers_left_out"]
    assert made.faults[0].values["example"] == "c" and made.harmless == ["title", "create_time"]
    assert read({**row, "current_node": "4"}).turns == AB
    assert read({**row, "current_node": None}).turns == made.turns
    mapping["1"]["parent"] = "6"  # a ring
    assert read(row).turns == made.turns
    mapping["5"] = node("4", "user", {"content_type": "image_asset_pointer"}, "d", kind="multimodal_text")
    assert "not_text_part" in codes(read(row))
    mapping["5"] = node("4", "user", "I am a baker", kind="user_editable_context")
    assert read(row).unread[0][0] == "mapping.content.user_editable_context"


def test_inside_a_dialogue_a_turn_s_number_is_harmless() -> None:
    made = read({"messages": [{**ASKED, "turn_id": 1}, {**SAID, "turn_id": 2}]})
    assert made.turns == AB and made.harmless == ["messages[].turn_id"] * 2


READ: dict[str, tuple[dict[str, Any], list[Turn]]] = {
    "the best-rated answer": (
        {"question": "a", "answers": [{"text": "c", "score": 1}, {"text": "b", "score": 9}]},
        AB,
    ),
    "the answer ranked first": (
        {"prompt": "a", "answers": [{"answer": "c", "rank": 2.0}, {"answer": "b", "rank": 1.0}]},
        AB,
    ),
    "lists side by side": ({"question": "a", "answers": {"text": ["c", "b"], "score": [1, 5]}}, AB),
    "equal objects": ({"question": "a", "answers": [{"text": "b", "answer_start": 3}] * 2}, AB),
    "a marked question": (
        {"prompt": "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n", "completion": "b<|im_end|>"},
        AB,
    ),
    "a marked question with a preface": (
        {"prompt": "<s>[INST] <<SYS>>\ns\n<</SYS>>\n\na [/INST]", "completion": " b </s>"},
        [Turn("a", "b", "s")],
    ),
    "Gemma's marks": ({"text": "<start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb"}, AB),
    "DeepSeek's marks": (
        {"text": "<｜begin▁of▁sentence｜>s<｜User｜>a<｜Assistant｜>b<｜end▁of▁sentence｜>"},
        [Turn("a", "b", "s")],
    ),
    "Llama 4's marks": (
        {"text": "<|header_start|>user<|header_end|>\na<|eot|><|header_start|>assistant<|header_end|>\nb"},
        AB,
    ),
    "letters": ({"text": "Q: a\nA: b"}, AB),
    "words": ({"text": "Question: a\nAnswer: b"}, AB),
    "Chinese words": ({"text": "问题：a\n回答：b"}, AB),
    "marked texts in turn": ({"dialogue": ["问：a", "答：b"]}, AB),
    "a marked conversation": ({"conversation": "Human: a\n\nAssistant: b"}, AB),
    "Python's lists": ({"messages": f"{[ASKED, SAID]!r}"}, AB),
    "other cases": (
        {"Messages": [{"Role": "User", "Content": "a"}, {"Role": "Assistant", "Content": "b"}]},
        AB,
    ),
    "a byte order mark": ({"\ufeffquestion": "a", "answer": "b"}, AB),
    "Gemini's system prompt": (
        {
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": "b"}]},
            ],
        },
        [Turn("a", "b", "s")],
    ),
    "Cohere's history": (
        {
            "chat_history": [{"role": "User", "message": "c"}, {"role": "Chatbot", "message": "d"}],
            "message": "a",
            "response": "b",
        },
        [Turn("c", "d"), *AB],
    ),
    "a word about HTML": (
        {"question": "What is <video> for?", "answer": "For films:\n<video>\n</video>"},
        [Turn("What is <video> for?", "For films:\n<video>\n</video>")],
    ),
    "a list beside a question": ({**QA, "synonyms": [["c", "d"], ["e", "f"]]}, AB),
    "a list with a harmless name": ({"text": "b", "tags": [["c", "d"]]}, [Turn("", "b")]),
    "several choices": ({"text": "Q: a\nA: c\nB: d"}, [Turn("", "Q: a\nA: c\nB: d")]),
    "a text about questions": (
        {"text": "Dear Q: read it.\nQ: a\nA: b"},
        [Turn("", "Dear Q: read it.\nQ: a\nA: b")],
    ),
    "a mask of axolotl's": (
        {"messages": [ASKED, {**SAID, "training": False}, ASKED, SAID]},
        [Turn("a", "b", trained=False), *AB],
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_a_row_holds_is_read(name: str) -> None:
    row, turns = READ[name]
    made = read(row)
    assert made.turns == turns
    assert all(KINDS[fault.code].usable for fault in made.faults), made.faults


HARMONY = (
    "<|start|>system<|message|>s<|end|><|start|>user<|message|>a<|end|>"
    "<|start|>assistant<|channel|>analysis<|message|>c<|end|>"
    "<|start|>assistant<|channel|>final<|message|>b<|return|>"
)


def test_the_analysis_channel_is_thoughts() -> None:
    made = read({"text": HARMONY})
    assert made.turns == [Turn("a", "b", "s")] and codes(made) == ["thinking_left_out"]
    tool = HARMONY + "<|start|>functions.f to=assistant<|channel|>commentary<|message|>3<|end|>"
    assert codes(read({"text": tool})) == ["unknown_role"]


THOUGHTS: list[Any] = [
    "<|begin_of_thought|>\nc\n<|end_of_thought|>\n\n<|begin_of_solution|>\nb\n<|end_of_solution|>",
    "c\n</think>\n\nb",
    [{"type": "thinking", "thinking": "c"}, {"type": "text", "text": "b"}],
]


@pytest.mark.parametrize("content", THOUGHTS)
def test_thoughts_are_known_however_they_are_written(content: Any) -> None:
    row = {"messages": [ASKED, {"role": "assistant", "content": content}]}
    made = read(row)
    assert made.turns == AB and codes(made) == ["thinking_left_out"] and not made.unread
    assert read_row(row, Format("openai", thoughts=True)).turns == [Turn("a", "<think>\nc\n</think>\n\nb")]


def test_the_thoughts_before_a_tool_s_call_are_said() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": "f()", "reasoning_content": "c"}
    assert "thinking_left_out" in codes(read({"messages": [ASKED, call]}))


@pytest.mark.parametrize("content", ["<think>c", "<think>c</think>", "<think>c</think>\n "])
def test_thoughts_without_an_answer_are_none(content: str) -> None:
    made = read({"messages": [ASKED, {"role": "assistant", "content": content}]})
    assert "empty_answer" in codes(made) and not KINDS["empty_answer"].usable


@pytest.mark.parametrize(
    "text",
    [
        "<image>what?",
        "what?\n<image>",
        "<img>a.jpg</img> what?",
        "<|image_pad|> what?",
        "![](data:image/png;base64,A)",
        "[图片]",
        "<Media omitted>",
    ],
)
def test_a_picture_in_a_text_is_one_however_it_is_written(text: str) -> None:
    assert "not_text" in codes(read({"question": text, "answer": "b"}))


@pytest.mark.parametrize("weight", [2, 0.5, "0.5", -1])
def test_a_weight_that_is_neither_0_nor_1_is_said(weight: Any) -> None:
    assert codes(read({**QA, "weight": weight})) == ["weight_rounded"]


def test_a_part_s_other_keys_are_accounted_for() -> None:
    part = {"type": "text", "text": "a", "mood": "sad", "id": 3}
    made = read({"messages": [{"role": "user", "content": [part]}, SAID]})
    assert made.turns == AB and made.unread == [("messages[].content[].mood", "sad")]
    picture = {"text": "a", "image": "a.jpg"}
    assert "not_text" in codes(read({"messages": [{"role": "user", "content": [picture]}, SAID]}))


def test_who_of_several_people_speaks_is_accounted_for() -> None:
    made = read({"messages": [{**ASKED, "name": "Ada"}, {**ASKED, "name": "Ben"}, SAID]})
    assert made.unread == [("messages[].name", "Ada"), ("messages[].name", "Ben")]


def test_a_text_beside_a_question_is_not_learned_without_it() -> None:
    for row in ({"input": "a", "content": "b", "reasoning_content": "c"}, {"text": "a", "target": "b"}):
        assert codes(read(row)) == ["unknown_format"]
    assert read({"text": "a", "target": 1}).unread == [("target", 1)]


def test_several_questions_in_one_row_are_not_one() -> None:
    for answer in ("c", ["c", "d"]):
        made = read({"question": ["a", "b"], "answer": answer})
        assert codes(made) == ["wrong_type"] and not made.turns


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown speaker": (
        {"text": "<|im_start|>user\na<|im_start|>assistant\nb<|im_start|>narrator\nc"},
        "unknown_role",
    ),
    "a role in a role": (
        {"messages": [{"role": {"role": {"role": "user"}}, "content": "a"}]},
        "unknown_role",
    ),
    "a part of a listed type": (
        {"messages": [ASKED, {"role": "assistant", "content": [{"type": [1], "text": "b"}]}]},
        "not_text_part",
    ),
    "MOSS's turn without a number": (
        {"chat": {"turn_1": {"Human": "a", "MOSS": "b"}, "turn_x1": {}, "": {}}},
        "empty_answer",
    ),
    "a number of replies": (
        {"prompt": {"role": "prompter", "text": "a", "replies": [{"replies": 5}]}},
        "unknown_role",
    ),
    "ranks of two types": (
        {
            "prompt": {
                "role": "prompter",
                "text": "a",
                "replies": [
                    {"role": "assistant", "text": "c", "rank": "2"},
                    {"role": "assistant", "text": "b", "rank": 1, "replies": 5},
                ],
            }
        },
        "other_answers_left_out",
    ),
    "a broken character in a call": (
        {"messages": [ASKED, {"role": "assistant", "tool_calls": [{"name": "\ud800"}]}]},
        "broken_character",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_row_is_a_finding(name: str) -> None:
    row, code = ODD[name]
    assert code in codes(read(row))


LONG: dict[str, dict[str, Any]] = {
    "empty answers": {"messages": [ASKED, {"role": "assistant", "content": ""}] * 10_000},
    "pictures' marks": {
        "messages": [{"role": "user", "content": "<image></image>" * 2000 + "x" * 5_000_000}, SAID]
    },
    "system prompts": {"text": "[INST] " + "<<SYS>> " * 600_000 + "[/INST] b"},
    "blanks": {"text": "[INST] <<SYS>>" + " " * 200_000 + "x [/INST] b"},
    "line breaks": {"text": "\n" * 1_000_000},
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_row_takes_no_more_than_its_length(name: str) -> None:
    before = time.process_time()
    read(LONG[name])
    assert time.process_time() - before < 3
