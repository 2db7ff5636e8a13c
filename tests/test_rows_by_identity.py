"""What is picked in a list is the thing that was shown, also when the list changes meanwhile."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, TimeoutError

from core.jobs.job import JobSpec
from core.jobs.launch import launch, wait
from core.workspace.paths import RunPaths, Workspace
from tests.browser import chromium, settle, tab
from tests.server import Dashboard
from ui.shell.frame import list_key

# Of Streamlit's table: where the box of the first row is, below its head.
FIRST_ROW = {"x": 12, "y": 52}
TRIES = 5


def run_of(workspace: Workspace, day: int) -> RunPaths:
    """One whose training has ended: a live one cannot be deleted."""
    run = workspace.new_run(f"run {day}", datetime(2026, 1, day))
    launch(run.job("train"), JobSpec(("true",), run.root))
    wait(run.job("train"), poll=0.05, timeout=30)
    return run


def table(page: Page) -> Locator:
    found = page.get_by_test_id("stDataFrame")
    found.locator("canvas").first.wait_for()
    return found


@pytest.mark.slow
def test_a_run_that_starts_meanwhile_does_not_take_the_picked_ones_place(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "工作 区")
    first, second = run_of(workspace, 1), run_of(workspace, 2)
    with Dashboard(workspace.root) as server, chromium() as browser:
        page = tab(browser)
        page.goto(server.url())
        settle(page)
        shown = table(page)
        third = run_of(workspace, 3)  # nobody has told the page
        delete = page.get_by_role("button", name="Delete", exact=True)
        for _ in range(TRIES):  # a canvas takes no click before it has laid itself out
            shown.click(position=FIRST_ROW)
            with suppress(TimeoutError):
                delete.wait_for(timeout=4000)
                break
        settle(page)
        delete.click()
        page.get_by_test_id("stPopoverBody").get_by_text(second.id).wait_for()
        fourth = run_of(workspace, 4)
        page.get_by_role("button", name="Delete permanently").click()
        page.get_by_text("Select a run to open").wait_for()
        left = {folder.name for folder in workspace.run_folders()}
        assert left == {first.id, third.id, fourth.id}, page.inner_text("body")


def test_another_list_is_another_widget() -> None:
    assert list_key("runs", ["b", "a"]) == list_key("runs", ["b", "a"])
    assert len({list_key("runs", ids) for ids in (["b", "a"], ["c", "b", "a"], ["a", "b"], ["ba"], [])}) == 5
