"""A document on the Data page: what is made of it is seen before it is trained."""

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.caching import hashing
from streamlit.testing.v1 import AppTest

from core.data.documents.rows import read_rows_of
from core.data.row_parts import TaughtRows
from core.jobs.launch import wait
from core.jobs.status import State
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import DATA
from core.steps.taught import to_teach
from core.workspace.paths import RunPaths, Workspace
from tests.page import no_errors, open_test_page
from tests.test_data_page import choose
from tests.test_document_rows import MENU
from ui.data import documents, panel


def chosen(content: str) -> AppTest:
    page = choose(open_test_page("data"), "data_source", "documents")
    return page.file_uploader[0].set_value(("menu.md", content.encode(), "text/markdown")).run()


def test_a_menu_is_shown_with_what_is_not_used(page_workspace: Workspace) -> None:
    page = chosen(MENU)
    assert not page.exception and not page.error
    (facts,) = (frame.value for frame in page.dataframe)
    (unused,) = [one.proto.body for one in page.get("html") if 'class="tb-unused"' in one.proto.body]
    assert "宫保鸡丁的价格是38元。" in set(facts["answer"]) and unused.count('class="tb-unused"') == 2
    tested = [one for one in facts["tested"] if one]
    assert f"asks for {len(tested)} of the {len(facts)} facts" in "".join(one.value for one in page.caption)
    assert any("2 pieces of the document" in one.label for one in page.expander)


def test_a_document_without_text_says_so_and_nothing_is_made(page_workspace: Workspace) -> None:
    page = chosen("![a](b.png)")
    assert any("no question can be made of it" in one.value for one in page.error)
    assert not page.dataframe


LOOKED_AT = "# 面馆\n\n牛肉面：22 元\n\n我妈妈做的辣酱很香。\n"


def edited_page(
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
) -> AppTest:
    """The page where somebody has changed the table so: a test cannot type into one."""
    monkeypatch.setattr(st, "data_editor", lambda rows, **_: change([*rows]))
    page = chosen(content)
    assert not page.exception
    return page


def test_what_should_be_looked_at_is_marked_in_the_table(page_workspace: Workspace) -> None:
    page = chosen(LOOKED_AT)
    (facts,) = (frame.value for frame in page.dataframe)
    marked = {row["answer"]: row["check"] for row in facts.to_dict("records")}
    assert [answer for answer, why in marked.items() if why] == ["文档里写着：“我妈妈做的辣酱很香。”"]
    assert any("1 row should be looked at" in one.value for one in page.caption)


def test_questions_and_answers_are_changed_and_taught_as_they_are_saved(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**rows[0], "answer": "宫保鸡丁现在40元。"},
            *rows[2:],
            {"question": "有包间吗？", "answer": "有。"},
        ]

    page = edited_page(monkeypatch, MENU, change)
    before = page.session_state[documents.KEPT]
    page.button(key="document_save").click().run()
    assert not page.exception and not page.error
    path, name = page.session_state[documents.KEPT]
    assert (path, name) != before and name == "menu.md"
    now = {fact.questions[0]: fact.answer for fact in read_rows_of(path).facts}
    was = {fact.questions[0]: fact.answer for fact in read_rows_of(before[0]).facts}
    first, gone, *_ = was
    assert now[first] == "宫保鸡丁现在40元。" and gone not in now and now["有包间吗？"] == "有。"
    said = to_teach("Ada", path, document=True)
    assert said.document and {row[0].output for row in said.own} == {*now.values()} and said.facts
    page.button(key="document_back").click().run()
    assert page.session_state[documents.KEPT] == before, "nothing of the file was changed"


def test_everything_that_is_wrong_is_said_at_once(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        same = {"question": rows[2]["question"], "answer": "No."}
        return [{**rows[0], "answer": " "}, {**rows[1], "question": ""}, *rows[2:], same]

    page = edited_page(monkeypatch, MENU, change)
    said = page.error[0].value
    assert (
        "Row 1 has no answer" in said and "Row 2 has no question" in said and "answers it otherwise" in said
    )
    assert page.button(key="document_save").disabled


def test_of_a_table_in_which_all_is_deleted_nothing_is_saved(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = edited_page(monkeypatch, MENU, lambda _: [])
    assert "Nothing is left" in page.error[0].value and page.button(key="document_save").disabled


@pytest.fixture
def taught_menu(page_workspace: Workspace) -> RunPaths:
    """A run whose data is made of the menu."""
    menu = page_workspace.root / "menu.md"
    menu.parent.mkdir(parents=True, exist_ok=True)
    menu.write_text(MENU, encoding="utf-8")
    run = chain.start_data(page_workspace, TuneRequest("Ada", menu, iterations=10), "test", "en")
    assert wait(run.job(DATA), timeout=60).state is State.finished
    return run


def test_a_run_that_was_taught_a_document_leads_to_its_questions(taught_menu: RunPaths) -> None:
    page = open_test_page("data", run=taught_menu.id)
    page.button(key="data_edit").click().run()
    assert no_errors(page) and page.text_input(key="data_name").value == "Ada"
    assert page.session_state[documents.KEPT][1] == "menu.md"
    assert "宫保鸡丁的价格是38元。" in {*page.dataframe[-1].value["answer"]}


def test_what_is_read_of_a_run_is_read_under_words_and_once(
    taught_menu: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a training has the processor nobody looks at an empty page, and no look reads all of it again, as
    a key of Streamlit's cache would."""
    said: list[str] = []
    real, spinner = panel.read_conversations, st.spinner
    monkeypatch.setattr(panel, "read_conversations", lambda file: said.append("read") or real(file))
    monkeypatch.setattr(st, "spinner", lambda text: said.append(text) or spinner(text))
    plain = hashing._CacheFuncHasher.to_bytes

    def no_rows(self: Any, obj: Any) -> bytes:
        assert not isinstance(obj, TaughtRows), "hashed at each look"
        return plain(self, obj)

    monkeypatch.setattr(hashing._CacheFuncHasher, "to_bytes", no_rows)
    panel.known_source.clear()
    page = open_test_page("data", run=taught_menu.id)
    assert no_errors(page) and said.count("read") == 1
    assert said.index("Reading this data …") < said.index("read")
    assert no_errors(page.run()) and said.count("read") == 1
