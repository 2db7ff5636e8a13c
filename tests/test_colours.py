"""What the page's own colours are for, in a real browser and on both grounds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.workspace.paths import Workspace
from tests.browser import Scheme, chromium, settle, tab
from tests.publishable import log_losses, make_publishable
from tests.server import Dashboard
from ui.jobs.training import LEAST_POINTS

READABLE = 4.5
# WCAG 2.2's contrast of an element's words to its own ground.
CONTRAST = """
element => {
  const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(it => it / 255)
    .map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4)
    .reduce((sum, it, place) => sum + it * [0.2126, 0.7152, 0.0722][place], 0)
  const {color, backgroundColor} = getComputedStyle(element)
  const [low, high] = [light(color), light(backgroundColor)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_was_chosen_of_a_list_can_be_read_and_no_ring_is_cut_off(
    browser: Browser, tmp_path: Path, scheme: Scheme
) -> None:
    workspace = Workspace(tmp_path / "a b")
    make_publishable(workspace, "Bo", logged=False)
    run = make_publishable(workspace, logged=False)
    log_losses(run, LEAST_POINTS)
    with Dashboard(workspace.root) as server:
        page = tab(browser, scheme=scheme)
        page.goto(server.url())
        settle(page)
        choices = page.get_by_role("combobox", name="Made from which model?")
        choices.click()
        expect(page.get_by_role("option").first).to_be_visible()
        assert choices.evaluate("element => getComputedStyle(element).outlineStyle") == "none"
        page.goto(f"http://127.0.0.1:{server.port}/train?run={run.id}")
        settle(page)
        assert chip(page).evaluate(CONTRAST) >= READABLE
        page.context.close()


def chip(page: Page) -> Locator:
    """A run whose curve was chosen to be laid over this one's."""
    page.locator("[data-testid=stMultiSelect] input").click()
    page.get_by_role("option").first.click()
    return page.locator("[data-tag]").first
