"""What somebody corrects in the table of a document is taught, also where nobody presses "Save"."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.data.documents.edited import EDITED
from core.workspace.data_paths import uploads_of
from core.workspace.files import read_json
from core.workspace.paths import Workspace
from tests.browser import chromium, settle, tab
from tests.conftest import end_leftovers
from tests.server import Dashboard
from tests.small_model import make_small_model
from tests.waiting import until

LIST = "# Shop\n\nSoup: 5 euros\nTea: 2 euros\nBread: 3 euros\nCake: 4 euros\n"
FAKE = {"TUNEBOARD_ENGINE": "tests.fake_engine"}
NEW = "Has the soup got a price?"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    found = Workspace(tmp_path / "工作 区")
    make_small_model(found.starter)
    (tmp_path / "list.md").write_text(LIST, encoding="utf-8")
    yield found
    end_leftovers(tmp_path)


@pytest.fixture
def page(browser: Browser, workspace: Workspace) -> Iterator[Page]:
    """The table, its first question changed and not saved."""
    with Dashboard(workspace.root, "--no-token", **FAKE) as server:
        found = tab(browser)
        open_the_table(found, server, workspace)
        change_the_first_question(found)
        yield found
        found.context.close()


def open_the_table(page: Page, server: Dashboard, workspace: Workspace) -> None:
    page.goto(server.url())
    settle(page)
    page.get_by_label("Whose assistant?").fill("Ada")
    page.locator('input[type="file"]').set_input_files(workspace.root.parent / "list.md")
    page.get_by_role("button", name="Check the file").click()
    table = page.get_by_test_id("stDataFrame").first
    expect(table.locator("canvas").first).to_be_visible()
    table.scroll_into_view_if_needed()
    settle(page)


def change_the_first_question(page: Page, to: str = NEW) -> None:
    """The table is a canvas: its first cell is written over as with a keyboard."""
    page.get_by_test_id("stDataFrame").first.click(position={"x": 120, "y": 52})
    page.keyboard.press("Enter")
    page.locator("textarea.gdg-input").fill(to)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not saved yet")).to_have_count(int(to == NEW))


def kept(workspace: Workspace) -> list[str]:
    return [file.read_text(encoding="utf-8") for file in uploads_of(workspace).glob(f"*{EDITED}")]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["its button", "the navigation", "a look at another page"])
def test_a_correction_is_kept_however_the_table_is_left(page: Page, workspace: Workspace, way: str) -> None:
    if way == "a look at another page":
        page.get_by_role("link", name="Config").click()
        settle(page)
        page.get_by_role("link", name="Data").click()
        expect(page.get_by_text("You have changed questions")).to_be_visible()
    elif way == "the navigation":
        page.get_by_role("link", name="Start", exact=True).click()
    else:
        page.get_by_role("button", name="Back to Start").click()
    if way != "a look at another page":
        expect(page.get_by_text("as you changed it in the table")).to_be_visible()
    assert [NEW in one for one in kept(workspace)] == [True]
    assert not re.search("Traceback", page.content())


@pytest.mark.slow
def test_a_correction_is_taught_by_what_is_made_of_the_table(page: Page, workspace: Workspace) -> None:
    page.get_by_role("button", name="Prepare the data").click()
    until(lambda: list(workspace.runs.glob("*/data.json")), patience=120)
    (about,) = workspace.runs.glob("*/data.json")
    given = read_json(about) or {}
    assert NEW in Path(given["source"]).read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_was_changed_and_put_back_makes_no_version(page: Page, workspace: Workspace) -> None:
    change_the_first_question(page, "How much is Soup?")
    page.get_by_role("button", name="Back to Start").click()
    expect(page.get_by_label("Whose assistant?")).to_be_visible()
    assert not kept(workspace)
