"""Every page's way to the others, in a real browser: each link takes a click wherever it is touched."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from playwright.sync_api import Browser, Page

from core.chat.history import ChatMessage, change, new_chat
from core.workspace.paths import RunPaths, Workspace
from tests.browser import chromium, settle, tab
from tests.conftest import end_leftovers
from tests.publishable import make_publishable
from tests.server import Dashboard
from ui.shell.frame import STEPS

WIDTHS = (360, 400, 600, 768, 1024, 1400)
# The page scrolled as far as it goes without its links leaving the window.
SCROLL = """
() => {
  const place = document.querySelector(".stMain")
  place.scrollTop = place.scrollHeight
  place.scrollTop += Math.min(0, document.querySelector(".st-key-strip").getBoundingClientRect().top - 2)
}
"""
# What lies over a link or a choice of the language, in three of its heights. A row of links may have to be
# pushed aside to show one of them; what the page was scrolled out of the window is in nobody's way.
COVERED = """
() => [...document.querySelectorAll(".st-key-strip a, .st-key-language_choice button")]
  .filter(e => e.getClientRects().length)
  .flatMap(e => {
    e.closest(".st-key-strip")?.scrollTo(e.offsetLeft + e.offsetWidth - innerWidth / 2, 0)
    const box = e.getBoundingClientRect()
    return [1 / 6, 1 / 2, 5 / 6].filter(part => box.top + box.height * part >= 0).flatMap(part => {
      const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height * part)
      return hit && e.contains(hit) ? [] : [`${e.innerText} at ${part}: ${hit?.outerHTML.slice(0, 200)}`]
    })
  })
"""
# Whether all the steps stand there, and how many in each row.
ROWS = """
steps => {
  const boxes = [...document.querySelectorAll(".st-key-strip a")]
    .map(e => e.getBoundingClientRect()).filter(box => box.width)
  const rows = boxes.reduce((found, {top}) => ({...found, [top]: (found[top] || 0) + 1}), {})
  return boxes.length === steps && Object.values(rows)
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@dataclass(frozen=True)
class Place:
    """A dashboard, and a run of it that is done."""

    server: Dashboard
    run: RunPaths

    def address(self, step: str) -> str:
        where = "" if step == "start" else step
        return f"http://127.0.0.1:{self.server.port}/{where}?run={self.run.id}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With a chat longer than any window."""
    folder = tmp_path_factory.mktemp("navigation")
    workspace = Workspace(folder / "工作 区" / "a b")
    run = make_publishable(workspace, "林小满 & Co")
    question, answer = (
        ChatMessage("user", "Where? " * 90),
        ChatMessage("assistant", "Here. " * 90, "base:tiny"),
    )
    change(workspace, new_chat(workspace).id, lambda chat: replace(chat, messages=(question, answer) * 9))
    with Dashboard(workspace.root, TUNEBOARD_ENGINE="tests.fake_engine") as server:
        yield Place(server, run)
    end_leftovers(folder)


def sizes(page: Page, place: Place, step: str) -> Iterator[int]:
    """The widths of a window that show a step's page, opened once, except for what has a sidebar: whether
    that is folded is decided as it opens."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if step == "chat" or width == WIDTHS[0]:
            page.goto(place.address(step))
            settle(page)
        yield width


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_nothing_lies_over_a_link_or_the_language_and_no_link_stands_alone(
    browser: Browser, place: Place, locale: str
) -> None:
    page = tab(browser, locale)
    page.goto(place.server.url())
    for step in STEPS:
        for width in sizes(page, place, step):
            rows = page.wait_for_function(ROWS, arg=len(STEPS)).json_value()
            assert max(rows) <= 2 * min(rows), (step, width, rows)
            assert page.evaluate(COVERED) == [], (step, width)
            page.evaluate(SCROLL)
            assert page.evaluate(COVERED) == [], (step, width, "scrolled")
    page.context.close()
