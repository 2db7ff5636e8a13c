"""What is picked in a list is the thing that was shown, also when the list changes meanwhile."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import playwright.sync_api as playwright
import pytest
from playwright.sync_api import Locator, Page

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


def appear(run: RunPaths) -> None:
    run.root.with_name(f".{run.id}").rename(run.root)


def table(page: Page) -> Locator:
    found = page.get_by_test_id("stDataFrame")
    found.locator("canvas").first.wait_for()
    return found


def until(found: Locator, act: Callable[[], None]) -> None:
    """What is being drawn anew loses a click."""
    for _ in range(TRIES):
        act()
        with suppress(playwright.TimeoutError):
            found.wait_for(timeout=4000)
            return
    found.wait_for()


@pytest.mark.slow
def test_a_run_that_starts_meanwhile_does_not_take_the_picked_ones_place(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "工作 区")
    first, second, third, fourth = (run_of(workspace, day) for day in range(1, 5))
    for run in (third, fourth):
        run.root.rename(run.root.with_name(f".{run.id}"))  # not there yet
    with Dashboard(workspace.root) as server, chromium() as browser:
        page = tab(browser)
        page.goto(server.url())
        settle(page)
        shown = table(page)
        page.get_by_text("This machine is ready").wait_for()  # looked at apart, and drawn last
        settle(page)
        appear(third)  # nobody has told the page
        delete = page.get_by_role("button", name="Delete", exact=True)
        until(delete, lambda: shown.click(position=FIRST_ROW))
        asked = page.get_by_test_id("stPopoverBody").get_by_text(re.compile(r"Delete run"))
        until(asked, delete.click)
        assert second.id in asked.inner_text()
        appear(fourth)
        page.get_by_role("button", name="Delete permanently").click()
        delete.wait_for(state="detached")  # no run is open any more
        left = {folder.name for folder in workspace.run_folders()}
        assert left == {first.id, third.id, fourth.id}, page.inner_text("body")


def test_another_list_is_another_widget() -> None:
    assert list_key("runs", ["b", "a"]) == list_key("runs", ["b", "a"])
    assert len({list_key("runs", ids) for ids in (["b", "a"], ["c", "b", "a"], ["a", "b"], ["ba"], [])}) == 5
