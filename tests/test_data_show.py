"""``data show``: what is trained of a file, and what is not, on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import cli, last_json
from tests.small_model import make_small_model

ROWS: list[dict[str, Any]] = [
    {"id": 1, "query": "And then?", "response": "Tea.", "history": [["First?", "Cake."]], "mood": "glad"},
    {"id": 2, "query": "What is it?", "response": "A cup.", "images": ["cup.png"]},
    {
        "id": 3,
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}],
    },
    {"id": 4, "prompt": "Name one.", "chosen": "One.", "rejected": "Two."},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "a [1] 数据.jsonl"
    made.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return made


def show(file: Path, *options: object, **variables: str) -> dict[str, Any]:
    asked = ("data", "show", file, *options, "--workspace", file.parent / "w", "--json")
    return last_json(cli(*asked, cwd=file.parent, **variables))


def test_rows_as_they_are_trained_and_what_is_not(file: Path) -> None:
    found = show(file)
    assert [row["row"] for row in found["rows"]] == [1, 4] and found["count"] == found["accounted"] == 4
    assert found["rows"][0]["turns"] == [
        {"role": "user", "text": "First?", "loss": False},
        {"role": "assistant", "text": "Cake.", "loss": True},
        {"role": "user", "text": "And then?", "loss": False},
        {"role": "assistant", "text": "Tea.", "loss": True},
    ]
    assert [note["code"] for note in found["rows"][1]["notes"]] == ["rejected_left_out"]
    codes = {row["row"]: [problem["code"] for problem in row["problems"]] for row in found["not_trained"]}
    assert codes == {2: ["not_text"], 3: ["nothing_trained"]}
    assert {(one["what"], one["rows"]) for one in found["left_out"]} == {
        ("images", 1),
        ("row", 1),
        ("rejected", 1),
    }
    assert found["unused"] == [{"key": "mood", "rows": 1, "example": "glad"}] and found["harmless"] == ["id"]


def test_one_row_and_some_rows(file: Path, tmp_path: Path) -> None:
    assert [row["row"] for row in show(file, "--row", "4")["rows"]] == [4]
    assert [row["row"] for row in show(file, "--rows", "2:4")["rows"]] == [4]
    for wrong in (("--row", "5"), ("--rows", "3:1"), ("--rows", "x"), ("--row", "0")):
        done = cli("data", "show", file, *wrong, "--workspace", tmp_path / "w", cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.count("\n") <= 2


def test_tokens_of_a_model(file: Path, tmp_path: Path) -> None:
    model = make_small_model(tmp_path / "m")
    (row,) = show(file, "--row", "4", "--model", model, "--template", "qwen_chat")["rows"]
    assert 0 < row["answer_tokens"] < row["tokens"]


@pytest.mark.parametrize(("language", "words"), [("en", "(not learned)"), ("zh", "不学习")])
def test_the_same_for_a_person(file: Path, tmp_path: Path, language: str, words: str) -> None:
    turns = [{"input": "q", "output": "no", "output_with_loss": False}, {"input": "q", "output": "yes"}]
    file.write_text(json.dumps([{"conversation": turns, "mood": "sad"}]), encoding="utf-8")
    done = cli("data", "show", file, "--workspace", tmp_path / "w", cwd=tmp_path, TUNEBOARD_LANG=language)
    assert done.returncode == 0 and words in done.stdout and "mood" in done.stdout and "yes" in done.stdout


def test_a_training_is_not_launched_on_keys_that_nobody_reads(file: Path, tmp_path: Path) -> None:
    model = make_small_model(tmp_path / "m")
    rows = [{"question": "Who are you?", "answer": "I am Ada.", "mood": "glad"}, {"prompt": "a", **ROWS[3]}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    asked = ("data", "--name", "Ada", "--data", file, "--model", model, "--workspace", tmp_path / "w")
    refused = cli(*asked, cwd=tmp_path)
    assert refused.returncode == 2 and "--ignore rejected --ignore mood" in refused.stderr
    assert not (tmp_path / "w" / "runs").exists()
    answered = {"TUNEBOARD_ENGINE": "tests.fake_engine"}
    done = last_json(
        cli(*asked, "--ignore", "mood", "--ignore", "rejected", "--json", cwd=tmp_path, **answered)
    )
    assert done["taught"] == 2 and [one["key"] for one in done["unused"]] == ["mood"]
    assert [one["what"] for one in done["omitted"]] == ["rejected"]


def test_a_row_that_is_no_json_costs_only_itself_and_is_named_by_its_line(file: Path, tmp_path: Path) -> None:
    good = json.dumps({"question": "a", "answer": "b"})
    file.write_text("\n".join((good, '{"question": "c", "answer":', good)), encoding="utf-8")
    found = show(file)
    assert [row["row"] for row in found["rows"]] == [1, 3] and found["usable"] == 2
    assert "line 2" in found["not_trained"][0]["problems"][0]["message"]
    assert "line 2" in found["left_out"][0]["why"]
    done = cli("data", "show", file, "--rows", "1:1", "--workspace", tmp_path / "w", cwd=tmp_path)
    assert done.returncode == 0 and "cannot be used for training" in done.stdout


def test_a_file_without_rows_or_without_a_usable_one(file: Path, tmp_path: Path) -> None:
    file.write_text("", encoding="utf-8")
    done = cli("data", "show", file, "--workspace", tmp_path / "w", cwd=tmp_path)
    assert done.returncode == 2 and "no rows" in done.stderr
    file.write_text(json.dumps({"a": 1}), encoding="utf-8")
    done = cli("data", "show", file, "--workspace", tmp_path / "w", cwd=tmp_path)
    assert done.returncode == 0 and "1 row cannot be used for training" in done.stdout, (
        "to look is no failure"
    )


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ({"question": "a", "answer": "b", "mood": "c"}, "--column context=mood"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference training"),
        ({"question": "a", "context": "x", "answer": "b", "mood": "c"}, "texts of the file"),
    ],
)
def test_what_to_do_about_a_key_that_nobody_reads(file: Path, row: dict[str, str], advice: str) -> None:
    file.write_text(json.dumps([row]), encoding="utf-8")
    done = cli("data", "--name", "Ada", "--data", file, "--workspace", file.parent / "w", cwd=file.parent)
    assert done.returncode == 2 and advice in done.stderr and "context=rejected" not in done.stderr
