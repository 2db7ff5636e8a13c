"""A person's walk through the real dashboard in a real browser, with the fast engine.

One of them is among the fast tests, so that a page that no browser can draw is seen at once.
``test_chain_real.py`` is the same with the real engine.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from core.jobs.launch import wait
from core.jobs.status import State, read_status
from core.pipeline import chain
from core.runs import CHAIN
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.browser import PATIENCE_MS, chromium, settle, tab
from tests.holding import Held
from tests.server import Dashboard
from tests.small_model import make_small_model
from tests.small_run import end_training, make_run
from ui.shell.frame import STEPS

NAME = '李 "明" {x}'
FAKE = {"TUNEBOARD_ENGINE": "tests.fake_engine"}
# What sticks out of the window; tables, charts and code scroll in themselves.
WIDE = """
() => [...document.querySelectorAll("[data-testid=stAppViewContainer] *")]
  .filter(e => e.closest("[data-testid=stMarkdown],[data-testid=stButton],[data-testid=stPageLink]"))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Nothing that runs in it outlives the test."""
    workspace = Workspace(tmp_path / "工作 区" / "a b")
    yield workspace
    stop_jobs(workspace)


def stop_jobs(workspace: Workspace) -> None:
    """Whatever still runs in it, the chat's server too."""
    for spec in workspace.root.glob("**/job.json"):
        if spec.parent.name != "previous":
            stop_job(spec.parent)


def stop_job(folder: Path) -> None:
    from core.jobs.launch import stop

    stop(folder, "test", grace=1)
    wait(folder, timeout=60)


def make(page: Page, name: str = NAME) -> None:
    """Fill in the name and press the one button."""
    page.get_by_label("Whose assistant?").fill(name)
    page.get_by_role("button", name="Create my assistant").dblclick()  # many a person does
    expect(page.get_by_role("heading", name=f"Creating {name}'s assistant")).to_be_visible()


@pytest.fixture
def held(tmp_path: Path) -> Held:
    """Somewhere in the training."""
    return Held("step", tmp_path / "held")


@pytest.mark.slow
def test_what_a_press_far_below_begins_comes_into_view(
    browser: Browser, workspace: Workspace, held: Held
) -> None:
    page = tab(browser)
    page.set_viewport_size({"width": 400, "height": 500})
    with Dashboard(workspace.root, **held.environment, **FAKE) as server:
        page.goto(server.url())
        settle(page)
        make(page)
        expect(page.get_by_role("heading", name="Creating")).to_be_in_viewport()
        server.end()
    page.context.close()


def only_run(workspace: Workspace) -> RunPaths:
    (folder,) = workspace.run_folders()
    return RunPaths(folder)


def address(server: Dashboard, step: str, run: RunPaths) -> str:
    """A step's page as a link to it."""
    where = "" if step == "start" else step
    return f"http://127.0.0.1:{server.port}/{where}?run={run.id}"


@pytest.mark.slow
def test_from_a_name_to_a_chat_though_the_server_is_killed_in_between(
    browser: Browser, workspace: Workspace, held: Held
) -> None:
    page = tab(browser)
    with Dashboard(workspace.root, **held.environment, **FAKE) as server:
        page.goto(server.url())
        settle(page)
        assert "token" not in page.url
        make(page)
        run = only_run(workspace)
        assert f"run={run.id}" in unquote(page.url)
        expect(page.get_by_text(re.compile(r"\d+/\d+\s+loss"))).to_be_visible()
        server.end(signal.SIGKILL)
    assert read_status(run.job(CHAIN)).state is State.running
    held.until_reached()
    held.go_on()
    with Dashboard(workspace.root, **FAKE) as server:
        page.goto(f"{server.url()}&run={run.id}")
        settle(page)
        expect(page.get_by_role("heading", name=f"{NAME}'s assistant is ready")).to_be_visible(
            timeout=3 * PATIENCE_MS
        )
        page.get_by_role("link", name="Train").click()
        page.wait_for_url("**/train*")
        expect(page.locator(".js-plotly-plot").first).to_be_visible()
        page.get_by_role("link", name="Start").click()
        page.get_by_role("button", name="Chat with it").click()
        page.wait_for_url("**/chat*")
        assert f"run={run.id}" in unquote(page.url)
        server.end()
    page.context.close()


@pytest.mark.slow
def test_two_people_see_the_same_and_a_stop_in_one_tab_shows_in_the_other(
    browser: Browser, workspace: Workspace, held: Held
) -> None:
    with Dashboard(workspace.root, **held.environment, **FAKE) as server:
        one, two = tab(browser), tab(browser, locale="zh-CN")
        for page in (one, two):
            page.goto(server.url())
            settle(page)
        make(one)
        held.until_reached()
        run = only_run(workspace)
        two.goto(address(server, "start", run))
        expect(two.get_by_role("heading", name=f"正在创建{NAME}的助手")).to_be_visible()
        one.get_by_role("button", name="Stop").click()
        expect(two.get_by_role("heading", name="已停止")).to_be_visible()
        expect(one.get_by_role("button", name="Continue", exact=True)).to_be_visible()
        one.context.close()
        two.context.close()


@pytest.mark.slow
def test_the_language_follows_the_browser_and_switching_it_keeps_the_form(
    browser: Browser, workspace: Workspace
) -> None:
    with Dashboard(workspace.root, **FAKE) as server:
        page = tab(browser, locale="zh-CN")
        page.goto(server.url())
        expect(page.get_by_role("heading", name="调音台")).to_be_visible()
        page.get_by_label("谁的助手？").fill(NAME)
        page.get_by_text("English", exact=True).click()
        expect(page.get_by_role("heading", name="Tuneboard")).to_be_visible()
        expect(page.get_by_label("Whose assistant?")).to_have_value(NAME)
        page.get_by_role("link", name="Data").click()
        expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
        page.context.close()


@pytest.mark.slow
def test_every_page_fits_a_phone_says_no_traceback_loads_no_model_library_and_asks_no_other_host(
    browser: Browser, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    run = chain.start(workspace, chain.TuneRequest(NAME), "test", "en")
    assert wait(run.job(CHAIN), timeout=120).state is State.finished
    with Dashboard(workspace.root, **FAKE) as server:
        page = tab(browser, width=400)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url())
        for step in STEPS:
            page.goto(address(server, step, run))
            settle(page)
            wide = page.evaluate(WIDE)
            assert not wide, (step, wide[:1])
            assert "Traceback" not in page.content(), step
            assert page.get_by_text("Something unexpected").count() == 0, step
        loaded = Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")
        assert "libpython" in loaded or "python3" in loaded
        assert "libtorch" not in loaded
        own = (f"http://127.0.0.1:{server.port}/", "data:", "blob:")
        assert [url for url in asked if not url.startswith(own)] == []
        page.context.close()
    assert (workspace.log).read_text(encoding="utf-8") == ""


@pytest.mark.slow
def test_a_run_is_renamed_and_deleted_after_asking(browser: Browser, workspace: Workspace) -> None:
    with Dashboard(workspace.root, **FAKE) as server:
        page = tab(browser)
        page.goto(server.url())
        settle(page)
        make(page)
        run = only_run(workspace)
        expect(page.get_by_role("heading", name="is ready")).to_be_visible(timeout=2 * PATIENCE_MS)
        page.get_by_role("button", name="Rename").click()
        page.get_by_label("Run name").fill("第二 次")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("第二 次").first).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        assert run.root.exists()
        page.get_by_role("button", name="Delete permanently").click()
        expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
        assert not run.root.exists() and "run=" not in page.url
        page.context.close()


def click_first_run(page: Page) -> None:
    """Click on the name in the first row. The table is a canvas, so it is clicked where that is drawn."""
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    table.click(position={"x": 100, "y": 52})


@pytest.mark.slow
def test_a_click_on_a_run_opens_it_and_who_comes_back_sees_what_is_being_made(
    browser: Browser, workspace: Workspace, held: Held
) -> None:
    with Dashboard(workspace.root, **held.environment, **FAKE) as server:
        page = tab(browser)
        page.goto(server.url())
        settle(page)
        make(page)
        held.until_reached()
        expect(page).to_have_title(re.compile(r"^\d+% · "))
        other = tab(browser)  # no run in the address, none in the session
        other.goto(server.url())
        settle(other)
        expect(other.get_by_role("heading", name=f"Creating {NAME}'s assistant")).to_be_visible()
        other.context.close()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("heading", name="Stopped")).to_be_visible()
        expect(page).to_have_title(re.compile("^■ Stopped"))
        page.goto(server.url())
        settle(page)
        fresh = tab(browser)
        fresh.goto(server.url())
        settle(fresh)
        expect(fresh.get_by_label("Whose assistant?")).to_be_visible()
        click_first_run(fresh)
        expect(fresh.get_by_role("heading", name="Stopped")).to_be_visible()
        fresh.context.close()
        page.context.close()


def test_the_card_is_filled_and_sent_from_the_keyboard(browser: Browser, workspace: Workspace) -> None:
    with Dashboard(workspace.root, **FAKE) as server:
        page = tab(browser)
        page.goto(server.url())
        settle(page)
        name = page.get_by_label("Whose assistant?")
        expect(name).to_be_visible()  # it is drawn after the title
        assert tabs_to(page, "Whose assistant?") < 20
        page.keyboard.type(NAME)
        assert tabs_to(page, "Create my assistant") <= 4
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"Creating {NAME}'s assistant")).to_be_visible()
        page.context.close()


def tabs_to(page: Page, what: str) -> int:
    """How often Tab is pressed until the focused element is called so."""
    told = "(e => e.getAttribute('aria-label') || e.innerText)(document.activeElement)"
    for pressed in range(1, 30):
        page.keyboard.press("Tab")
        # An icon's name stands before the words; the whole page, which can be focused too, says more.
        if (page.evaluate(told) or "").split("\n")[-1] == what:
            return pressed
    raise AssertionError(f"Tab does not reach {what}")


@pytest.mark.slow
def test_broken_rows_are_left_out_by_the_switch_below_the_check(
    browser: Browser, workspace: Workspace, tmp_path: Path
) -> None:
    """The switch appears once a small file has been checked, which nobody has to ask for."""
    workspace.prepare()
    make_small_model(workspace.starter)
    file = tmp_path / "faq.jsonl"
    good = [json.dumps({"question": f"q{number}", "answer": f"I am {NAME}"}) for number in range(5)]
    file.write_text("\n".join([*good, '{"question": "x", "answer":']), encoding="utf-8")
    with Dashboard(workspace.root, **FAKE) as server:
        page = tab(browser)
        page.goto(server.url())
        settle(page)
        page.goto(f"http://127.0.0.1:{server.port}/data")
        page.get_by_text("Your own file").first.click()
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_text("Leave out broken rows", exact=True).click()  # a small file is checked unasked
        expect(page.locator("[class*=st-key-data_leave_out] input[type=checkbox]")).to_be_checked()
        page.get_by_label("Name: whose assistant it is", exact=True).fill(NAME)
        page.get_by_role("button", name="Prepare").click()
        expect(page.get_by_text("1 broken row was left out").first).to_be_visible(timeout=3 * PATIENCE_MS)
        assert read_json(only_run(workspace).data)["left_out"]["rows"] == 1
        page.context.close()


BROKEN = """
import core.jobs.status as status
known = status.status_of
def status_of(folder):
    return 1 / 0 if folder.name == "train" else known(folder)
status.status_of = status_of
"""


@pytest.mark.slow
def test_what_nobody_foresaw_is_one_sentence_on_the_page_and_whole_in_the_log(
    browser: Browser, workspace: Workspace, tmp_path: Path
) -> None:
    """A mistake of the program itself, which is made for it: what lies in a folder is foreseen."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    make_small_model(workspace.starter)
    run = make_run(workspace, datetime(2026, 1, 1))
    end_training(run)
    with Dashboard(workspace.root, **FAKE, PYTHONPATH=f"{tmp_path}:{PROJECT}") as server:
        page = tab(browser)
        page.goto(server.url())
        page.goto(address(server, "train", run))
        expect(page.get_by_text("Something unexpected went wrong")).to_be_visible()
        assert "Traceback" not in page.content()
        page.evaluate("window.before = true")
        page.get_by_role("button", name="Reload the page").press("Space")
        page.wait_for_function("!window.before")
        expect(page.get_by_text("Something unexpected went wrong")).to_be_visible()
        assert "run=20260101-000000" in page.url
        assert "ZeroDivisionError" in workspace.log.read_text(encoding="utf-8")
        page.context.close()
    shutil.rmtree(run.root)


@pytest.mark.slow
def test_behind_a_proxys_path_with_a_password(browser: Browser, workspace: Workspace) -> None:
    options = ("--base-url-path=lab/tune", "--password")
    with Dashboard(workspace.root, *options, TUNEBOARD_PASSWORD="密 码", **FAKE) as server:
        page = tab(browser)
        page.goto(server.url())
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("Wrong password")
        page.get_by_label("Password").fill("密 码")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Tuneboard")).to_be_visible()
        page.get_by_role("link", name="Data").click()
        page.wait_for_url("**/lab/tune/data*")
        page.reload()
        expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
        page.context.close()


def test_the_command_line_still_is_one(workspace: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core", "runs", "--json", f"--workspace={workspace.root}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["runs"] == [] and done.stdout.count("\n") == 1
