"""A file of one's own on the start page: what is said of it, and the one run that teaches it."""

import json
from collections.abc import Iterator
from pathlib import Path

import docx
import pytest
from streamlit.testing.v1 import AppTest

from core.data.documents.rows import document_of
from core.jobs.launch import wait
from core.jobs.status import State
from core.runs import CHAIN
from core.steps.data import about_data
from core.workspace.data_paths import uploads_of
from core.workspace.paths import RunPaths, Workspace
from tests.page import open_test_page
from tests.test_start import NAME, PATIENCE, fast_workspace, log_of, press_make, text_of

ROWS = [{"question": f"What does dish {n} cost?", "answer": f"It costs {n} yuan."} for n in range(1, 6)]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    with fast_workspace(tmp_path, monkeypatch) as found:
        yield found


def drop(page: AppTest, name: str, text: str) -> AppTest:
    return page.file_uploader(key="wish_file").set_value((name, text.encode(), "text/plain")).run()


def lines(*more: str) -> str:
    return "\n".join([*(json.dumps(row) for row in ROWS), *more])


def test_a_dropped_file_is_taught_beside_the_identity_in_one_run(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "menu.jsonl", lines('{"question": "x", "answer":'))
    assert not page.exception and not page.error
    assert "**menu.jsonl**: 5 conversations" in text_of(page) and "1 row cannot be trained" in text_of(page)
    page = press_make(page, NAME)
    assert not page.exception and not page.error
    run = RunPaths(workspace.run_folders()[0])
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    taught = workspace.data(run.id).rows.read_text(encoding="utf-8")
    assert "It costs 3 yuan." in taught
    assert json.dumps(NAME, ensure_ascii=False)[1:-1] in taught
    assert about_data(run)["left_out"]["rows"] == 1
    assert "is ready" in text_of(page.run())


def test_a_document_is_counted_as_it_is_taught_and_can_be_looked_through(workspace: Workspace) -> None:
    text = "# Menu\n\n- Fried rice: 12 yuan\n- Soup: 5 yuan\n\n![a](b.png)"
    page = drop(open_test_page("start"), "menu.md", text)
    made = document_of(next(uploads_of(workspace).glob("*.md")))
    assert made and len(made.unused) == 1
    count = len(made.conversations)
    said = f"**menu.md**: {len(made.facts)} facts, asked for in {count} questions"
    assert not page.exception and said in text_of(page)
    assert "Please look at 1 piece of the document" in text_of(page)
    page = press_make(page, NAME)
    run = RunPaths(workspace.run_folders()[0])
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    about = about_data(run)
    assert about["own"] == about["document"]["questions"] == count


def test_what_is_made_of_a_document_is_shown_on_the_data_page(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "menu.md", "# Menu\n\n- Fried rice: 12 yuan\n- Soup: 5 yuan")
    page.text_input(key="wish_name").set_value(NAME).run()
    page = page.button(key="wish_look").click().run()
    assert not page.exception
    assert page.session_state["data_source"] == "documents"
    assert page.session_state["data_document"][0] == next(uploads_of(workspace).glob("*.md"))
    assert "**menu.md**" in text_of(page), "it is called what it was called"
    assert page.text_input(key="data_name").value == NAME and page.get("page_link")


@pytest.mark.parametrize(
    ("name", "text", "box"),
    [("menu.md", "# Menu\n\n- Fried rice: 12 yuan\n- Soup: 5 yuan", "data_documents"),
     ("odd.jsonl", '{"a": 1}', "data_file")],
)  # fmt: skip
def test_a_file_whose_box_is_empty_is_removed_beside_its_name(
    workspace: Workspace, name: str, text: str, box: str
) -> None:
    """A box forgets its file when its page is left; what is taught does not."""
    page = drop(open_test_page("start"), name, text)
    assert not removes(page), "the box has a button of its own"
    page = page.button(key="wish_look").click().run()
    assert removes(page) == {f"remove {box}": f"Remove {name}"}
    page = page.switch_page("../../pages/0_start.py").run()
    assert removes(page) == {"remove wish_file": f"Remove {name}"}
    page = page.button(key="remove wish_file").click().run()
    assert not page.exception and not page.error and not removes(page) and name not in text_of(page)
    page = page.switch_page("../../pages/1_data.py").run()
    page = page.button(key=f"remove {box}").click().run()
    assert not page.exception and not page.error and not removes(page) and name not in text_of(page)
    page = page.file_uploader(key=box).set_value((name, text.encode(), "text/plain")).run()
    assert name in text_of(page) and not removes(page)
    page = page.file_uploader(key=box).set_value(None).run()
    assert name not in text_of(page), "taken out of its box"


OTHER = "# Menu\n\n- Fried rice: 14 yuan\n- Soup: 6 yuan\n- Tea: 3 yuan\n- Buns: 2 yuan"


def test_a_document_chosen_again_on_the_data_page_is_the_one_that_start_trains(workspace: Workspace) -> None:
    """ "Correct the document and choose it again" is what the Data page says."""
    page = drop(open_test_page("start"), "menu.md", "# Menu\n\n- Fried rice: 12 yuan\n- Soup: 5 yuan")
    page = page.button(key="wish_look").click().run()
    page = page.button(key="remove data_documents").click().run()
    page = page.file_uploader(key="data_documents").set_value(("menu.md", OTHER.encode(), "text/plain")).run()
    page = page.switch_page("../../pages/0_start.py").run()
    assert not page.exception and not page.error
    assert "**menu.md**: 5 facts" in text_of(page) and "from the Data page" in text_of(page)
    run = made(page, workspace)
    taught = workspace.data(run.id).rows.read_text(encoding="utf-8")
    assert "14 yuan" in taught and "12 yuan" not in taught


def test_a_file_dropped_later_on_start_is_the_one_of_the_data_page_too(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "menu.md", "# Menu\n\n- Fried rice: 12 yuan\n- Soup: 5 yuan")
    page = page.button(key="wish_look").click().run()
    page = drop(page.switch_page("../../pages/0_start.py").run(), "menu.md", OTHER)
    assert "from the Data page" not in text_of(page)
    page = page.switch_page("../../pages/1_data.py").run()
    assert not page.exception and "**menu.md**: 5 facts" in text_of(page)


def test_a_file_of_the_data_page_alone_is_not_on_the_card(workspace: Workspace) -> None:
    page = open_test_page("data")
    page = page.button_group(key="data_source").set_value("documents").run()
    page = page.file_uploader(key="data_documents").set_value(("menu.md", OTHER.encode(), "text/plain")).run()
    page = page.switch_page("../../pages/0_start.py").run()
    assert not page.exception and "menu.md" not in text_of(page)


def made(page: AppTest, workspace: Workspace) -> RunPaths:
    press_make(page, NAME)
    run = RunPaths(workspace.run_folders()[0])
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    return run


def removes(page: AppTest) -> dict[str, str]:
    return {one.key: one.label for one in page.button if one.key and one.key.startswith("remove ")}


def test_a_file_that_is_none_is_said_under_its_name_and_taken_away(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "broken.json", "[")
    assert "broken.json" in page.error[0].value and str(workspace.root) not in page.error[0].value
    page = page.file_uploader(key="wish_file").set_value(None).run()
    assert not page.error and not page.exception


def test_a_file_nothing_can_be_taught_of_is_looked_at_on_its_page(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "odd.jsonl", '{"a": 1}\n{"b": 2}')
    assert "odd.jsonl" in page.error[0].value
    assert page.button(key="wish_look").label == "Check the file"


def test_how_a_text_is_read_is_said_and_can_be_changed(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "menu.txt", "# Menu\n\n- Fried rice: 12 yuan\n- Soup: 5 yuan")
    assert "**menu.txt**: 3 facts" in text_of(page) and "asks for 3 of the 3" in text_of(page)
    (chosen,) = [one for one in page.button_group if one.key and one.key.startswith("wish_read_as")]
    page = chosen.set_value("text").run()
    assert not page.exception and "passage" in text_of(page) and "facts" not in text_of(page)


def test_a_word_document_is_taken_as_under_my_documents(workspace: Workspace, tmp_path: Path) -> None:
    written = docx.Document()
    written.add_heading("Menu", 1)
    written.add_paragraph("Soup: 5 yuan", style="List Bullet")
    written.save(str(tmp_path / "menu.docx"))
    page = open_test_page("start")
    page.file_uploader(key="wish_file").set_value(
        ("menu.docx", (tmp_path / "menu.docx").read_bytes(), "application/octet-stream")
    )
    page = page.run()
    assert not page.exception and not page.error and "**menu.docx**: 2 facts" in text_of(page)
    page = page.button(key="wish_look").click().run()
    assert page.session_state["data_document"][0].suffix == ".docx"


def test_a_document_that_cannot_be_read_is_said_under_its_name(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "menu.pdf", "no PDF")
    assert "menu.pdf" in page.error[0].value and not page.exception


def test_a_file_is_read_as_was_chosen_on_the_data_page(workspace: Workspace) -> None:
    """Keys that nobody reads stop it, until somebody has said that they may be left out."""
    rows = "\n".join(json.dumps({**row, "who": {"asked": "a guest"}}) for row in ROWS)
    page = drop(open_test_page("start"), "menu.jsonl", rows)
    assert "Read as you chose" not in text_of(page)
    page = page.button(key="wish_look").click().run()
    (keys,) = [one for one in page.button_group if one.key and one.key.startswith("data_ignore")]
    page = keys.set_value([*keys.options]).run()
    page = page.button(key="data_to_start").click().run()
    assert not page.exception and not page.error
    assert "**menu.jsonl**: 5 conversations" in text_of(page) and "Read as you chose" in text_of(page)
    assert "It costs 3 yuan." in workspace.data(made(page, workspace).id).rows.read_text(encoding="utf-8")
