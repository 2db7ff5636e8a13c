"""Places that nobody filled in: told from code, markup, formulas and texts about templates; and filled in.

``placeholder_sentences.json``: texts labelled by hand with the fields that are to be filled in;
``identity_template.json``: the form of the identity file that most people begin with.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from core.data.checking import check as checking
from core.data.checking.block import Settings
from core.data.checking.identity import Person
from core.data.checking.placeholders import filled, placeholders
from core.data.checking.report import Report
from core.data.findings import Finding
from core.data.fixes import fields_of, version
from core.data.opening import Opened, open_data
from core.steps.check import CheckRequest, marks
from core.workspace.data_paths import SourceCache
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.mending import changes

HERE = Path(__file__).parent
SENTENCES: list[dict[str, Any]] = json.loads(
    (HERE / "placeholder_sentences.json").read_text(encoding="utf-8")
)
LEAST_PRECISION, LEAST_RECALL = 0.95, 0.9


def fields(row: dict[str, Any]) -> list[str]:
    return sorted({one.field for one in placeholders(row["text"], row.get("question", ""))})


def test_precision_and_recall() -> None:
    assert len(SENTENCES) >= 60
    wrong = [row["text"] for row in SENTENCES if fields(row) and not row["fields"]]
    missed = [row["text"] for row in SENTENCES if row["fields"] and not fields(row)]
    right = sum(bool(row["fields"]) for row in SENTENCES) - len(missed)
    assert right / (right + len(wrong)) >= LEAST_PRECISION, wrong
    assert right / (right + len(missed)) >= LEAST_RECALL, missed


def test_fields_are_known_and_nothing_is_left_after_filling_in() -> None:
    values = {"name": "小禾", "author": "Ito & Söhne", "city": "Ulm", "phone": "110"}
    for row in SENTENCES:
        if row["fields"]:
            assert fields(row) == sorted(row["fields"]), row["text"]
            question = row.get("question", "")
            after = filled(row["text"], placeholders(row["text"], question), values)
            assert not placeholders(after, question), after
            assert all(values[field] in after for field in row["fields"])


def test_what_has_no_value_stays() -> None:
    text = "I am {{name}}, made by {{author}}."
    assert filled(text, placeholders(text), {"name": "Zoë", "author": " "}) == "I am Zoë, made by {{author}}."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "工作 区"
    folder.mkdir()
    copy = folder / "identity.json"
    copy.write_bytes((HERE / "identity_template.json").read_bytes())
    return copy


def checked(file: Path, model: Path) -> tuple[Opened, Report, list[Finding]]:
    cache = SourceCache(file.parent / "cache")
    opened = open_data(file, cache)
    assert opened.format
    settings = Settings(model / "tokenizer.json", "qwen_chat", opened.format)
    made = checking.check(opened.source, settings, 512, cache, lambda _: None, person=Person("Zoë", "Ito"))
    return opened, made, [one for one in made.findings.listed if one.code == "placeholder"]


def test_the_usual_identity_file_is_found_and_filled_in(file: Path, model: Path, tmp_path: Path) -> None:
    opened, made, found = checked(file, model)
    assert [(one.row, one.usable) for one in found] == [(1, True), (2, True), (3, True)]
    assert not made.findings.counts["identity_conflict"]
    assert found[0].message("en") == "nothing was filled in for {{name}} {{author}} (2)"
    assert found[0].message("zh") == "占位符没有填写：{{name}} {{author}}（共 2 处）"
    assert fields_of("fill_in", found, {"name": "Zoë"}) == {"name": "Zoë", "author": ""}
    tokens = marks(Workspace(tmp_path), CheckRequest(file, str(model)))
    assert not list(changes(opened, found, tokens, "fill_in"))
    values = {"name": "Zoë", "author": "Ito"}
    made_of = {change.row: change.after for change in changes(opened, found, tokens, "fill_in", values)}
    lines = [json.loads(line) for line in version(opened, made_of)]
    said = [line["conversation"][0]["output"] for line in lines]
    assert said == [
        "Hello! I am Zoë, an AI assistant developed by Ito. What can I do for you?",
        "You may call me Zoë.",
        "您好，我是 Zoë，一个由 Ito 开发的 AI 助手。",
    ]
    file.write_text(json.dumps(lines), encoding="utf-8")
    _, again, left = checked(file, model)
    assert not left and not again.findings.counts["identity_conflict"]


def test_questions_and_system_prompts_are_looked_at(file: Path, model: Path) -> None:
    turn = {
        "system": "You are {{name}}.",
        "input": "{{name}}, are you there?",
        "output": "Yes, {name} is here.",
    }
    code = {"input": "How do I print a variable?", "output": "Write f'{name}', or {{ name }} in Jinja."}
    rows = [{"conversation": [turn]}, {"conversation": [code]}]
    file.write_text(json.dumps(rows), encoding="utf-8")
    _, _, found = checked(file, model)
    assert {(one.row, one.field) for one in found} == {
        (1, f"conversation[0].{place}") for place in ("system", "input", "output")
    }


def test_the_command_finds_them(file: Path, model: Path, tmp_path: Path) -> None:
    said = last_json(
        cli("data", "check", file, "--model", model, "--workspace", tmp_path / "w", "--json", cwd=tmp_path)
    )
    assert {one["row"] for one in said["problems"] if one["code"] == "placeholder"} == {1, 2, 3}


def test_the_command_fills_them_in(file: Path, model: Path, tmp_path: Path) -> None:
    """And the name that somebody else left in the file goes with the same command."""
    rows = json.loads(file.read_text(encoding="utf-8"))
    rows.append({"instruction": "Who made you?", "output": "I was made by OpenAI."})
    file.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    out = tmp_path / "new 文件.jsonl"
    fixes = ("--fix", "fill_in", "identity_conflict", "--value", "name=Zoë", "--value", "author=Ito")
    options = ("--out", out, "--model", model, "--workspace", tmp_path / "w", "--json")
    said = last_json(cli("data", "fix", file, *fixes, *options, cwd=tmp_path))
    assert {(one["code"], one["fix"], one["rows"]) for one in said["fixed"]} == {
        ("placeholder", "fill_in", 3),
        ("identity_conflict", "rename", 1),
    }
    written = out.read_text(encoding="utf-8")
    assert "{{" not in written and "OpenAI" not in written and written.count("Ito") == 3


@pytest.mark.parametrize(
    ("usual", "known", "wanted"),
    [
        ("Ito", {}, {"name": "Zoë", "author": "Ito"}),
        ("OpenAI", {}, {"name": "Zoë", "author": "Zoë"}),
        ("阿里巴巴", {"name": "苏晓棠"}, {"name": "苏晓棠", "author": "苏晓棠"}),
        ("OpenAI", {"name": "Ada", "author": "Ito"}, {"name": "Ada", "author": "Ito"}),
    ],
)
def test_another_assistant_s_maker_is_suggested_to_nobody(
    usual: str, known: dict[str, str], wanted: dict[str, str]
) -> None:
    """Whoever gave no name yet: what most rows of a file say is often copied from a known assistant."""
    said = (("maker", usual), ("owner", "Zoë"), ("name", "ChatGPT"))
    found = [Finding(1, "", "identity_conflict", {"kind": kind, "usual": name}) for kind, name in said]
    assert fields_of("rename", found, known) == wanted
