"""In a real browser nothing is fetched from elsewhere and nothing runs, whatever a model, a row, a name or a
log line says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from core.chat.history import ChatMessage, change, new_chat, rename_chat
from core.jobs.job import JobPaths
from core.runs import rename
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, Workspace
from tests.browser import chromium, settle, tab
from tests.server import Dashboard
from tests.small_run import end_training, make_run, make_workspace, stop_jobs
from ui.shell.frame import STEPS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
# Elements that show or would fetch something of another host.
FOREIGN = """host => [...document.querySelectorAll("[src], [href], [srcset], [data], [poster]")]
  .filter(e => ["src", "href", "srcset", "data", "poster"].some(
    n => (e.getAttribute(n) || "").includes(host)))
  .map(e => e.outerHTML)"""
# And what would run: a handler, an address that is a program, a program.
ACTING = r"""() => [...document.querySelectorAll("*")].filter(
    e => /^\s*javascript:/i.test(e.getAttribute("href") || "")
      || [...e.attributes].some(a => a.name.startsWith("on"))
      || (e.tagName === "SCRIPT" && /hostile/.test(e.text)))
  .map(e => e.outerHTML)"""


class Listener:
    """Somebody's server, which counts who comes by."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "image/png")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hostile(self, where: str) -> str:
        """A text that fetches at every place where it is drawn as Markdown or HTML."""
        at = f"http://{self.host}/{where}"
        acts = "window.hostile=1"
        runs = (
            f"<img src=x onerror='{acts}'> [x](javascript:{acts}) <script>{acts}</script> <svg onload={acts}>"
        )
        return f"![p]({at}) <img src='{at}'> [l]({at}) {at} :red[no] :material/lock: $x$ {runs}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def seeded(folder: Path, listener: Listener) -> tuple[Workspace, RunPaths]:
    """A trained run with chat, proof, rows and log, every text of which is somebody else's."""
    workspace = make_workspace(folder)
    run = make_run(workspace)
    rename(run, listener.hostile("title"))
    end_training(run)
    with JobPaths(run.job("train")).log.open("a", encoding="utf-8") as log:
        log.write(listener.hostile("log") + "\n")
    rows = workspace.data(run.id).rows
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["conversation"][0]["input"] += listener.hostile("row")
        line["conversation"][0]["output"] += listener.hostile("row")
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    said = {name: listener.hostile(name) for name in ("question", "base", "tuned")}
    answers = [{**said, "kind": kind} for kind in ("taught", "paraphrase", "general")]
    write_json(run.result, {"learned": 1.0, "kept": 1.0, "leaked": 0, "answers": answers})
    write_json(run.data, {**(read_json(run.data) or {}), "name": listener.hostile("name")})
    chat = new_chat(workspace)
    for number, mark in enumerate(("", "", "`", "\\")):
        message = ChatMessage(
            ("user", "assistant")[number % 2], mark + listener.hostile(f"m{number}"), "base:x"
        )
        change(workspace, chat.id, lambda found, message=message: found.said(message))
    rename_chat(workspace, chat.id, listener.hostile("chat"))
    return workspace, run


def open_all(page: Page) -> None:
    """Open what is folded up: what it holds is drawn then."""
    closed = page.locator("details:not([open]) > summary")
    for _ in range(closed.count()):
        if closed.count():
            closed.first.click()
            page.wait_for_timeout(300)
    page.wait_for_timeout(1500)
    settle(page)


def test_no_page_fetches_anything_from_elsewhere(
    browser: Browser, tmp_path: Path, listener: Listener
) -> None:
    workspace, run = seeded(tmp_path, listener)
    page, said, asked = tab(browser), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    with Dashboard(workspace.root, TUNEBOARD_ENGINE="tests.fake_engine") as server:
        page.goto(server.url())
        own = f"127.0.0.1:{server.port}"
        for step in STEPS:
            page.goto(f"http://{own}/{'' if step == 'start' else step}?run={run.id}")
            settle(page)
            open_all(page)
            assert page.evaluate(FOREIGN, listener.host) == [], step
            assert page.evaluate(ACTING) == [] and not page.evaluate("window.hostile"), step
    stop_jobs(workspace)
    assert listener.asked == []
    assert not [url for url in asked if not url.startswith((f"http://{own}/", "data:", "blob:"))]
    assert not [
        text for text in said if "Content Security Policy" in text or "Content-Security-Policy" in text
    ]


def test_the_policy_alone_keeps_a_picture_from_being_fetched(
    browser: Browser, tmp_path: Path, listener: Listener
) -> None:
    """Were one drawn all the same: by a fault of ours, or of what draws the page."""
    workspace = make_workspace(tmp_path)
    page = tab(browser)
    with Dashboard(workspace.root) as server:
        page.goto(server.url())
        settle(page)
        page.evaluate(
            """host => {
              const kinds = {img: "src", iframe: "src", script: "src", object: "data"};
              for (const [kind, name] of Object.entries(kinds)) {
                const e = document.createElement(kind);
                e[name] = `http://${host}/${kind}`;
                document.body.append(e);
              }
              fetch(`http://${host}/fetch`, {mode: "no-cors"}).catch(() => 0);
              navigator.sendBeacon(`http://${host}/beacon`, "x");
            }""",
            listener.host,
        )
        page.wait_for_timeout(1500)
    assert listener.asked == []
