"""Every page in a browser: another language changes every word of it, Streamlit's own included, and axe-core
finds nothing that keeps somebody from reading or using it, in both languages, light and dark.

A page that was switched must say what it says when it is opened in that language, letter by letter.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from core.jobs.launch import wait
from core.jobs.status import State
from core.pipeline import chain
from core.runs import CHAIN
from core.wording import Language, sentences
from core.workspace.paths import RunPaths, Workspace
from tests.browser import Scheme, chromium, settle, tab
from tests.server import Dashboard
from tests.test_walk import stop_jobs
from ui.shell import browser as in_browser
from ui.shell.door import PAGE
from ui.shell.frame import STEPS
from ui.shell.text import LANGUAGES

FAKE = {"TUNEBOARD_ENGINE": "tests.fake_engine"}
LOCALES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}
TAGS = {"en": "en", "zh": "zh-CN"}
# Every word that is seen or read aloud, in the page's order. Icons are drawn by their names.
WORDS = """
() => {
  const said = [], seen = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const [text, around] = [walker.currentNode.data.trim(), walker.currentNode.parentElement];
    if (text && seen(around) && !around.closest("style,script,noscript,[data-testid=stIconMaterial]"))
      said.push(text);
  }
  for (const element of document.querySelectorAll("[aria-label],[title],[placeholder],input,textarea")) {
    for (const name of ["aria-label", "title", "placeholder"])
      if (element.getAttribute(name) && seen(element)) said.push(`${name}: ${element.getAttribute(name)}`);
    if (element.value && seen(element)) said.push(`value: ${element.value}`);
  }
  return said;
}
"""
# Streamlit puts a value between two parts of a sentence, and one sentence after another.
PARTS = re.compile(r"\{value\}|\. (?=[A-Z])")
# The words of another session that looked a moment later; the disk's free space and the memory that a model
# takes change meanwhile, too.
PASSING = re.compile(
    r"\d+ (?:minutes?|seconds?) ago|\d+ 分钟前|刚刚|Just now|icon$|^[\d.]+ [GT]B$"
    r"|^占用内存 [\d.]+ [MG]B$|^uses [\d.]+ [MG]B of memory$",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPaths]:
    """A run that is done, of somebody whose name has no Chinese characters. Nothing that runs beside it, as
    the chat's server, outlives the tests."""
    workspace = Workspace(tmp_path_factory.mktemp("工作 区") / "a b")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
        run = chain.start(workspace, chain.TuneRequest("Ada Lovelace"), "test", "en")
        assert wait(run.job(CHAIN), timeout=120).state is State.finished
    yield run
    stop_jobs(workspace)


@pytest.fixture(scope="module")
def server(made: RunPaths) -> Iterator[Dashboard]:
    with Dashboard(made.root.parent.parent, "--no-token", **FAKE) as started:
        started.url()
        yield started


def opened(
    browser: Browser, server: Dashboard, step: str, run: RunPaths, language: Language, scheme: Scheme
) -> Page:
    page = tab(browser, LOCALES[language], scheme=scheme)
    page.goto(f"{server.url()}{'' if step == 'start' else step}?run={run.id}")
    settle(page)
    return page


def words(page: Page, language: Language) -> set[str]:
    """What a page says, once two looks find the same."""
    expect(page.locator(f"html[lang={TAGS[language]}]")).to_be_attached()
    before: list[str] = []
    for _ in range(40):
        settle(page)
        page.wait_for_timeout(500)
        if (found := page.evaluate(WORDS)) == before:
            break
        before = found
    return {text for text in before if not PASSING.search(text)}


def switch(page: Page, language: Language) -> None:
    page.get_by_text(LANGUAGES[language], exact=True).first.click()


def hindrances(page: Page) -> list[str]:
    """What axe-core calls serious or critical, by its rule and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_page_that_is_switched_says_what_it_says_when_it_is_opened_and_everybody_can_use_it(
    browser: Browser, server: Dashboard, made: RunPaths, step: str
) -> None:
    light = opened(browser, server, step, made, "en", "light")
    dark = opened(browser, server, step, made, "zh", "dark")
    told = {"en": words(light, "en"), "zh": words(dark, "zh")}
    wrong = hindrances(light) + hindrances(dark)
    switch(light, "zh")
    switch(dark, "en")
    assert words(light, "zh") == told["zh"]
    assert words(dark, "en") == told["en"]
    wrong += hindrances(light) + hindrances(dark)
    light.context.close()
    dark.context.close()
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_the_first_stop_of_the_keyboard_leads_to_the_page_s_main_button(
    browser: Browser, server: Dashboard, made: RunPaths
) -> None:
    page = tab(browser)
    leads = {"start": "Chat with it", "merge": "Next: put it on a memory stick", "publish": "Copy"}
    for step, button in leads.items():
        page.goto(f"{server.url()}{'' if step == 'start' else step}?run={made.id}")
        settle(page)
        expect(page.get_by_role("button", name=button).first).to_be_visible()
        expect(page.get_by_role("button", name="Go to the main button")).to_be_attached()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator(":focus")).to_contain_text(button)
        expect(page.locator(".st-key-strip [aria-current=page]").first).to_be_attached()
    page.context.close()


@pytest.mark.slow
def test_what_was_chosen_stays_and_is_called_by_its_new_name_also_on_a_page_that_was_left(
    browser: Browser, server: Dashboard
) -> None:
    """Streamlit 1.67 keeps a choice by the words it was shown with: the old language's stayed."""
    page = tab(browser)
    page.goto(server.url())
    settle(page)
    on_start = page.locator(".st-key-wish_language")
    on_start.get_by_role("radio", name="Chinese", exact=True).click()
    expect(on_start.get_by_role("radio", name="Chinese", exact=True)).to_be_checked()
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    settle(page)
    box = page.locator(".st-key-data_language").get_by_role("combobox")
    box.click()
    page.get_by_role("option", name="Chinese", exact=True).click()
    expect(box).to_have_value("Chinese")
    switch(page, "zh")
    expect(box).to_have_value("中文")
    page.get_by_role("link", name="首页", exact=True).click()
    expect(on_start.get_by_role("radio", name="中文", exact=True)).to_be_checked()
    switch(page, "en")
    expect(on_start.get_by_role("radio", name="Chinese", exact=True)).to_be_checked()
    page.context.close()


@pytest.mark.slow
def test_streamlit_s_own_words_are_in_the_page_s_language_and_back_again(
    browser: Browser, server: Dashboard, tmp_path: Path
) -> None:
    page = tab(browser, "zh-CN")
    page.goto(f"{server.url()}data")
    settle(page)
    page.get_by_test_id("stRadio").or_(page.get_by_test_id("stButtonGroup")).get_by_text("文件").first.click()
    upload = page.get_by_test_id("stFileUploader").first
    expect(upload.get_by_text("上传", exact=True)).to_be_visible()
    expect(upload.get_by_text("每个文件最大 200MB")).to_be_visible()
    box = page.get_by_role("combobox").first
    box.fill("nothing is called so")
    expect(page.get_by_text("没有匹配的选项")).to_be_visible()
    page.keyboard.press("Escape")
    switch(page, "en")
    expect(upload.get_by_text("Upload", exact=True)).to_be_visible()
    expect(upload.get_by_text("200MB per file")).to_be_visible()
    page.context.close()


def test_streamlit_has_the_words_that_are_replaced() -> None:
    """In its own scripts; another version may say them otherwise."""
    scripts = (PAGE.parent / "static" / "js").glob("*.js")
    source = "".join(path.read_text(encoding="utf-8") for path in scripts)
    # Keys are named before what is done with them, and what a value stands in is divided there.
    put_together = {"apply", "submit", "lines", "mac", "of", "in"}
    english = {key: text for key, text in sentences("en").items() if key.startswith(in_browser.FAMILY)}
    gone = [
        text
        for key, text in english.items()
        if key.rpartition(".")[2].rpartition("_")[2] not in put_together
        and not all(part in source for part in PARTS.split(text) if part.strip(" :."))
    ]
    assert not gone


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_of_them_are_called_the_same(language: Language) -> None:
    """Else what was replaced could not be put back."""
    said = [text for key, text in sentences(language).items() if key.startswith(in_browser.FAMILY)]
    assert len(said) == len({*said})
