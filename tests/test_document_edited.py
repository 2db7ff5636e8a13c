"""A document's questions and answers as a person has changed them, in the document's place."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from core.data.documents.edited import (
    EDITED,
    EditedRow,
    as_rows,
    edited,
    problems,
    read_edited,
    to_check,
    write_edited,
)
from core.data.documents.facts import DocumentRows
from core.data.documents.rows import document_rows, read_rows_of
from core.data.questions import same_question
from core.data.upload import find_upload, keep_document, keep_edited
from core.errors import NotADocument
from core.steps.taught import to_teach
from core.workspace.paths import Workspace

MENU = """# 裁缝铺 价目表
剪裤脚 15
收腰 35
补洞 20

我妈妈教我做的盘扣最好看
取衣凭小票，超过60天没来取就捐了
"""


@pytest.fixture
def menu() -> DocumentRows:
    return document_rows(MENU, "menu", "zh")


def table(document: DocumentRows) -> list[EditedRow]:
    return [EditedRow(row["question"], row["answer"], row["fact"]) for row in as_rows(document)]


def test_what_is_not_changed_stays_as_it_was(menu: DocumentRows) -> None:
    assert edited(menu, table(menu)) == menu


def test_what_is_said_of_a_line_is_said_of_its_fact(menu: DocumentRows) -> None:
    marked = [fact.answer for fact, why in zip(menu.facts, to_check(menu), strict=True) if why]
    assert marked and all("盘扣" in answer for answer in marked)
    rows = [row for row in table(menu) if "盘扣" not in row.answer]
    assert not any(to_check(edited(menu, rows))), "what is gone is not to be looked at"


def test_a_line_that_a_row_was_added_for_is_asked_about_no_more(menu: DocumentRows) -> None:
    rows = [EditedRow(row["question"], row["answer"], row["fact"]) for row in as_rows(menu)]
    (line,) = {one.text for one in menu.unused if "盘扣" in one.text}
    other = edited(menu, [*rows, EditedRow("几点关门？", "晚上八点")])
    assert line in {one.text for one in other.unused}
    new = EditedRow("什么最好看？", "妈妈教我做的盘扣")
    half = edited(menu, [*rows, new])
    assert line in {one.text for one in half.unused}, "the other line of it is not said yet"
    added = edited(menu, [*rows, new, EditedRow("取衣要什么？", "凭小票，超过60天没来取就捐了")])
    assert line not in {one.text for one in added.unused}


def test_a_reworded_question_is_asked_in_its_own_words_only(menu: DocumentRows) -> None:
    (place,) = [n for n, fact in enumerate(menu.facts) if fact.key == "收腰"]
    rows = table(menu)
    rows[place] = EditedRow("腰围改小多少钱？", "35元，当天取。", place)
    fact = edited(menu, rows).facts[place]
    assert fact.questions[0] == "腰围改小多少钱？" and fact.answer == "35元，当天取。"
    assert len(fact.questions) > 10 and all("腰围改小" in question for question in fact.questions)
    assert not fact.tested, "what was to be tested asked for the other question"


def test_no_question_asks_for_two_facts(menu: DocumentRows) -> None:
    """Not even where a person's own is what another one is asked by as well."""
    taken = menu.facts[0].questions[3]
    found = edited(menu, [*table(menu), EditedRow(taken, "Something else.")])
    asked = [same_question(question) for fact in found.facts for question in fact.questions]
    assert len(asked) == len(set(asked)) and all(fact.questions for fact in found.facts)
    (mine,) = [fact for fact in found.facts if taken in fact.questions]
    assert mine.answer == "Something else."


def test_all_that_is_wrong_is_told(menu: DocumentRows) -> None:
    rows = [
        EditedRow("", ""),
        EditedRow("q" * 501, "a" * 4001),
        EditedRow("Tea?", "2"),
        EditedRow("tea ?", "3"),
        EditedRow("Tea!", "2"),
    ]
    assert [(one.row, one.key) for one in problems(rows)] == [
        (1, "no_question"),
        (1, "no_answer"),
        (2, "long_question"),
        (2, "long_answer"),
        (4, "two_answers"),
    ]
    assert [one.key for one in problems([])] == ["none"] and problems([])[0].text()
    assert not problems(rows[2:], one_answer=False)


def test_it_is_taught_and_tested_as_the_document(menu: DocumentRows, tmp_path: Path) -> None:
    file = tmp_path / f"a b{EDITED}"
    write_edited(file, menu)
    assert read_rows_of(file) == menu
    said = to_teach("Ada", file)
    assert said.document == menu and len(said.own) == len(menu.conversations) and said.facts
    kept = keep_document(Workspace(tmp_path / "工作 区"), file.read_bytes(), file.name)
    assert kept.kind == "facts" and kept.name == file.name


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text[:-20],
        lambda text: text.replace('"answer"', '"answers"'),
        lambda text: json.dumps(
            {**json.loads(text), "facts": [{**json.loads(text)["facts"][0], "questions": []}]}
        ),
        lambda _: "[]",
        lambda _: '{"facts": []}',
    ],
)
def test_what_is_none_is_refused_by_name(
    menu: DocumentRows, tmp_path: Path, broken: Callable[[str], str]
) -> None:
    file = tmp_path / f"x{EDITED}"
    file.write_text(broken(json.dumps(asdict(menu), ensure_ascii=False)), encoding="utf-8")
    with pytest.raises(NotADocument):
        read_rows_of(file)


def test_a_file_that_would_fill_the_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.data.documents.edited.LARGEST", 10)
    file = tmp_path / f"x{EDITED}"
    file.write_text(" " * 11, encoding="utf-8")
    with pytest.raises(NotADocument):
        read_edited(file)


def test_what_is_changed_back_is_the_version_that_it_was(menu: DocumentRows, workspace: Workspace) -> None:
    """And no version is made of itself by way of another: each way back ends at the document."""
    given = keep_document(workspace, MENU.encode(), "menu.md")
    first = keep_edited(workspace, given, edited(menu, [EditedRow("几点关门？", "八点")]))
    second = keep_edited(workspace, first, edited(menu, [EditedRow("几点关门？", "九点")]))
    keep_edited(workspace, second, edited(menu, [EditedRow("几点关门？", "八点")]))
    known = find_upload(workspace, first.digest)
    assert known is not None and known.parent == given.digest
