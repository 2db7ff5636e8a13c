"""A document on the Data page: what is made of it is seen before it is trained."""

from streamlit.testing.v1 import AppTest

from core.workspace.paths import Workspace
from tests.page import open_test_page
from tests.test_data_page import choose
from tests.test_document_rows import MENU


def chosen(content: str) -> AppTest:
    page = choose(open_test_page("data"), "data_source", "documents")
    return page.file_uploader[0].set_value(("menu.md", content.encode(), "text/markdown")).run()


def test_a_menu_is_shown_with_what_is_not_used(page_workspace: Workspace) -> None:
    page = chosen(MENU)
    assert not page.exception and not page.error
    (facts,) = (frame.value for frame in page.dataframe)
    (unused,) = [one.proto.body for one in page.get("html") if 'class="tb-unused"' in one.proto.body]
    assert "宫保鸡丁的价格是38元。" in set(facts.iloc[:, 1]) and unused.count('class="tb-unused"') == 2
    tested = [one for one in facts.iloc[:, 2] if one]
    assert f"asks for {len(tested)} of the {len(facts)} facts" in "".join(one.value for one in page.caption)
    assert any("2 pieces of the document" in one.label for one in page.expander)


def test_a_document_without_text_says_so_and_nothing_is_made(page_workspace: Workspace) -> None:
    page = chosen("![a](b.png)")
    assert any("no question can be made of it" in one.value for one in page.error)
    assert not page.dataframe
