"""A file's questions and answers changed on its page: what a check found is marked, and a version is made."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.data.opening import read_conversations
from core.data.upload import file_of
from core.workspace.paths import Workspace
from tests.page import no_errors, open_test_page
from tests.test_data_page import choose
from ui.data import row_editor
from ui.data.file import UPLOAD

Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
ASKED = [("How much is soup?", "5 euros"), ("How much is tea?", "2 euros"), ("Who are you?", "I am ChatGPT.")]
LONG = [{"role": role, "content": f"{role} {n}"} for n in range(2) for role in ("user", "assistant")]


def a_file() -> bytes:
    rows = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        for question, answer in ASKED
    ]
    return "".join(json.dumps({"messages": row}) + "\n" for row in [*rows, LONG]).encode()


def edited_page(monkeypatch: pytest.MonkeyPatch, change: Change) -> tuple[AppTest, list[dict[str, Any]]]:
    """The page where somebody has changed the table so, and the table as it was."""
    seen: list[dict[str, Any]] = []

    def editor(rows: list[dict[str, Any]], **_: object) -> list[dict[str, Any]]:
        seen[:] = rows
        return change([*rows])

    monkeypatch.setattr(st, "data_editor", editor)
    page = choose(open_test_page("data"), "data_source", "upload")
    page.text_input(key="data_name").set_value("Ada").run()
    page = page.file_uploader(key="data_file").set_value(("rows.jsonl", a_file(), "application/json")).run()
    page.session_state["edit_rows"] = True
    return page.run(), seen


def rows_of(page: AppTest, workspace: Workspace) -> list[list[tuple[str, str]]]:
    file = file_of(workspace, page.session_state[UPLOAD])
    return [[(turn.input, turn.output) for turn in row] for row in read_conversations(file)]


def test_rows_are_changed_deleted_and_added_and_the_others_stay(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**rows[0], "answer": "6 euros"}, *rows[2:], {"question": "Dogs?", "answer": "Yes."}]

    page, table = edited_page(monkeypatch, change)
    assert no_errors(page) and [(row["question"], row["answer"]) for row in table] == ASKED
    before, given = rows_of(page, page_workspace), page.session_state[UPLOAD]
    assert "1 row of several turns" in "".join(one.value for one in page.caption)
    page.button(key="rows_save").click().run()
    assert no_errors(page)
    now = rows_of(page, page_workspace)
    assert now == [[("How much is soup?", "6 euros")], before[2], before[3], [("Dogs?", "Yes.")]]
    assert page.session_state[UPLOAD].parent == given.digest
    page.button(key="data_back").click().run()
    assert page.session_state[UPLOAD] == given and rows_of(page, page_workspace) == before


def test_what_a_check_found_is_marked_beside_its_row(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, table = edited_page(monkeypatch, lambda rows: rows)
    marked = {row["question"]: row["check"] for row in table if row["check"]}
    assert set(marked) == {"Who are you?"} and "ChatGPT" in marked["Who are you?"]
    assert not [one for one in page.button if one.key == "rows_save"], "nothing was changed"


def test_rows_that_cannot_be_taught_are_all_named(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _ = edited_page(
        monkeypatch, lambda rows: [{**rows[0], "answer": ""}, {**rows[1], "question": " "}, rows[2]]
    )
    assert page.button(key="rows_save").disabled
    said = page.error[0].value
    assert "Row 1 has no answer" in said and "Row 2 has no question" in said


def test_a_file_that_nobody_reads_to_its_end_has_no_table(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_editor, "MOST_ROWS", 3)
    page, table = edited_page(monkeypatch, lambda rows: rows)
    assert no_errors(page) and not table
