"""Data files: what is read, what is refused and in which words."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import Turn, one_turn, write_rows, write_source
from core.data.opening import read_conversations
from core.errors import (
    EmptyData,
    InputError,
    NoSuchFile,
    NotConversations,
    NotJson,
    NoUsableRow,
    UnknownRows,
    Unreadable,
)
from core.wording import say

# What a person may write: none of it may change on the way to XTuner.
ODD_TEXTS = [
    "\"quotes\" 'and' `ticks`",
    "{braces} {{twice}} {name} %s %(x)d 100%",
    "back\\slash \\n \\u0041 $HOME ${X}",
    "--leading dashes",
    "👩‍🔧 👨‍👩‍👧 🏳️‍🌈 🫨",
    "中文，标点：“引号”……",
    "e\u0301 n\u0303 \u0e17\u0e35\u0e48",
    "two\nlines\tand a tab\r\n",
    "line\u2028separator\u2029 \x85 \x0b \x0c",
    "<|im_end|> </s> <script>alert(1)</script>",
    "\ufeffmark in the middle\ufeff",
]


def row(*turns: dict[str, Any]) -> dict[str, Any]:
    return {"conversation": list(turns)}


GOOD = row({"input": "你是谁？", "output": "我是张伟的小助手。"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "工作 区" / "a b"
    folder.mkdir(parents=True)
    return folder / "data 数据.json"


def write(file: Path, content: object) -> Path:
    data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    file.write_bytes(data)
    return file


def line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (line([GOOD, GOOD]), 2),
        (b"\xef\xbb\xbf" + line([GOOD]), 1),
        (line(GOOD), 1),
        (json.dumps(GOOD, indent=2).encode(), 1),
        (line(GOOD) + b"\n" + line(GOOD), 2),
        (line(GOOD) + b"\r\n\r\n  " + line(GOOD) + b"\r\n\n", 2),
        (b"\n" + line(GOOD) + b"\n", 1),
    ],
    ids=[
        "array",
        "byte order mark",
        "one object",
        "one object, indented",
        "lines",
        "windows lines",
        "one line",
    ],
)
def test_what_is_read(file: Path, content: bytes, rows: int) -> None:
    assert read_conversations(write(file, content)) == [one_turn("你是谁？", "我是张伟的小助手。")] * rows


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts_survive_both_forms(file: Path, text: str) -> None:
    conversations = [(Turn(text, text, text), Turn("", text)), one_turn("next", "row")]
    for writer in (write_source, write_rows):
        writer(file, conversations)
        assert read_conversations(file) == conversations


def test_rows_are_one_a_line_and_the_source_is_an_array(file: Path) -> None:
    conversations = [one_turn(text, text) for text in ODD_TEXTS]
    write_rows(file, conversations)
    assert file.read_bytes().count(b"\n") == len(conversations)
    write_source(file, conversations)
    text = file.read_text(encoding="utf-8")
    assert isinstance(json.loads(text), list) and "中文，标点" in text, "not for a person to read"


def test_an_empty_system_prompt_is_left_out_as_the_tutorial_does(file: Path) -> None:
    write_source(file, [(Turn("q", "a", "be brief"), Turn("q2", "a2"))])
    assert json.loads(file.read_text(encoding="utf-8")) == [
        {
            "conversation": [
                {"system": "be brief", "input": "q", "output": "a"},
                {"input": "q2", "output": "a2"},
            ]
        }
    ]


def test_null_and_missing_are_empty_as_in_xtuner(file: Path) -> None:
    write(file, [row({"input": None, "system": None, "output": "a"}, {"output": "b"})])
    assert read_conversations(file) == [(Turn("", "a"), Turn("", "b"))]


@pytest.mark.parametrize(
    ("content", "place", "key"),
    [
        (b"not json", (1, 1), "json.value"),
        (b"[1,]", (1, 4), "json.value"),
        (b'{"a": 1,}', (1, 9), "json.name"),
        (b"{'a': 1}", (1, 2), "json.name"),
        (b'{"a" 1}', (1, 6), "json.colon"),
        (b'[\n {"conversation": [\n  {"input": "a" "output": "b"}]}\n]', (3, 17), "json.comma"),
        (b'[{"conversation": []}', (1, 22), "json.end"),
        (line(GOOD) + b"\n\n" + line(GOOD)[:-1] + b"\n", (3, len(line(GOOD).decode())), "json.comma"),
        (line(GOOD) + b"\n{broken}\n", (2, 2), "json.name"),
        (b'{"conversation": oops}\n' + line(GOOD), (1, 18), "json.value"),
        (b"[1] x", (1, 5), "json.value"),
        (b'{"a": 1} x', (1, 10), "json.value"),
        (b'["tab\there"]', (1, 6), "json.control"),
        (b'["C:\\x"]', (1, 5), "json.escape"),
        (b'["\\u12"]', (1, 4), "json.escape"),
        (b'[\n"open]', (2, 1), "json.open"),
    ],
)
def test_broken_json_is_named_by_line_and_column(
    file: Path, content: bytes, place: tuple[int, int], key: str
) -> None:
    with pytest.raises(NotJson) as caught:
        read_conversations(write(file, content))
    assert (caught.value.values["line"], caught.value.values["column"]) == place
    assert caught.value.values["detail"] == say(key)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([GOOD, {"messages": []}], "row 2: this row has no messages"),
        ([GOOD, row()], "row 2: this row has no messages"),
        ([GOOD, {"a": 1}], "row 2: no known format has these keys: a"),
        ([{"conversation": {"input": "a"}}], "row 1, conversation: expected text or a list of messages"),
        ([row("a")], "row 1, conversation[0]: expected text or a list of messages"),  # type: ignore[arg-type]
        ([row({"input": "a"})], "row 1, conversation[0].output: the answer is empty"),
        ([row({"input": "a", "output": None})], "row 1, conversation[0].output: the answer is empty"),
        ([row({"input": "a", "output": " \n"})], "row 1, conversation[0].output: the answer is empty"),
        ([row({"input": "a", "output": {}})], "row 1, conversation[0].output: expected text"),
        ([row({"input": 5, "output": "b"})], "row 1, conversation[0].input: expected text"),
        ([row({"output": "b", "system": 1})], "row 1, conversation[0].system: expected text"),
        (
            b'[{"conversation": [{"input": "\\ud83d", "output": "b"}]}]',
            "row 1, conversation[0].input: broken character",
        ),
    ],
)
def test_what_is_not_a_conversation(
    file: Path, content: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    with pytest.raises((NotConversations, NoUsableRow)) as caught:
        read_conversations(write(file, content))
    assert str(caught.value.values["problems"]).startswith(problem)


@pytest.mark.parametrize("content", [[1], [None], [[GOOD]], "text"])
def test_rows_that_are_no_objects_are_shown_as_they_are(file: Path, content: object) -> None:
    with pytest.raises(UnknownRows) as caught:
        read_conversations(write(file, content))
    assert caught.value.values["row"] and caught.value.exit_code == 1


def test_all_problems_are_counted_and_the_first_ones_shown(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "zh")
    write(file, [row({"input": 1, "output": 2}), *[{}] * 6, GOOD])
    with pytest.raises(NotConversations) as caught:
        read_conversations(file)
    text = caught.value.text()
    assert "8 处" in text and "第 1 行" in text and "第 4 行" in text and "第 5 行" not in text
    assert "另有 3 处" in text and "row" not in text


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf", b"[]"])
def test_nothing_in_it(file: Path, content: bytes) -> None:
    with pytest.raises(EmptyData):
        read_conversations(write(file, content))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "PNG"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"a\x00b" * 100, "not text"),
        (b"\x1f\x8b" + b"x" * 50, "damaged"),
    ],
    ids=["picture", "paper", "zeros", "archive"],
)
def test_what_cannot_be_read(
    file: Path, content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    with pytest.raises(Unreadable) as caught:
        read_conversations(write(file, content))
    assert reason in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.parametrize("path", ["/dev/null", "/proc/self/mem", "/", "/etc/passwd/x", "/a" * 3000])
def test_places_that_are_no_data_file(path: str) -> None:
    with pytest.raises(InputError) as caught:
        read_conversations(Path(path))
    assert path in str(caught.value)


@pytest.mark.parametrize("content", [b"[" * 200_000, b"[" + b"[" * 100_000 + b"]" * 100_001])
def test_nesting_without_end_is_no_json(file: Path, content: bytes) -> None:
    with pytest.raises(NotJson, match=say("file.too_deep")):
        read_conversations(write(file, content))


@pytest.mark.timeout(20)
def test_a_device_that_never_ends_is_not_read() -> None:
    with pytest.raises(Unreadable):
        read_conversations(Path("/dev/zero"))


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(NoSuchFile):
        read_conversations(file)
    file.symlink_to(file.parent / "nowhere")
    with pytest.raises(NoSuchFile):
        read_conversations(file)


def test_a_pipe_is_read(file: Path) -> None:
    """``--data <(make-data)`` is a pipe."""
    os.mkfifo(file)
    writer = threading.Thread(target=lambda: file.write_bytes(line([GOOD])))
    writer.start()
    assert len(read_conversations(file)) == 1
    writer.join()
