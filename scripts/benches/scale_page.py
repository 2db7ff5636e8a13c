"""The Start page of very many runs in a real browser: until when it can be used, what it is sent, what its
tab holds. Part of ``scripts/bench scale --browser``."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil
from playwright.sync_api import Browser, Page, WebSocket

from scripts.benches.held import Held
from tests.browser import tab
from tests.server import Dashboard

LOOKS = 5
WATCHED = 30.0
PATIENCE_MS = 60_000
TABLE = ".st-key-runs_table [data-testid=data-grid-canvas]"
# By its class the table says which runs it shows, and which of them is open.
LISTED = """document.querySelector('.st-key-runs_table [class*="st-key-runs-"]')?.className ?? ''"""
# Whatever of the page was asked for has come: its script rests, another table than before stands, and
# nothing is grey.
STANDS = f"""
before => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning"
  && document.querySelector(".st-key-runs_table canvas")?.clientHeight > 0
  && !document.querySelector('[data-stale="true"]')
  && ({LISTED}) !== before
"""
# Milliseconds between the frames that a browser draws while it scrolls to the end and back.
SCROLL = """
() => new Promise(done => {
  const main = document.querySelector('[data-testid="stMain"]'), gaps = [];
  let last = performance.now(), step = 0;
  const next = () => {
    const now = performance.now();
    gaps.push(now - last); last = now;
    main.scrollTop = (step < 60 ? step : 120 - step) / 60 * main.scrollHeight;
    if (step++ < 120) requestAnimationFrame(next); else done(gaps);
  };
  requestAnimationFrame(next);
})
"""


@dataclass
class Tab:
    """A tab of its own session, which counts what it is sent."""

    page: Page
    address: str
    received: int = 0

    @classmethod
    def of(cls, browser: Browser, server: Dashboard) -> "Tab":
        page, address = tab(browser, width=1400), f"http://127.0.0.1:{server.port}/"
        page.set_default_timeout(PATIENCE_MS)
        name, _, value = server.cookie().partition("=")
        page.context.add_cookies([{"name": name, "value": value, "url": address}])
        made = cls(page, address)
        page.on("websocket", made._hear)
        return made

    def _hear(self, socket: WebSocket) -> None:
        def count(payload: bytes | str) -> None:
            self.received += len(payload)

        socket.on("framereceived", count)

    def until_listed(self, act: Callable[[], object], before: str = "") -> float:
        """Seconds from an act until the page stands with another list than ``before``."""
        began = time.perf_counter()
        act()
        self.page.wait_for_function(STANDS, arg=before, polling="raf")
        return time.perf_counter() - began

    def changes(self, act: Callable[[], object]) -> float:
        """The same of the list that stands now."""
        return self.until_listed(act, self.page.evaluate(LISTED))

    def open(self, query: str = "") -> float:
        return self.until_listed(lambda: self.page.goto(self.address + query, wait_until="commit"))


def measure_page(browser: Browser, server: Dashboard, oldest: str) -> None:
    """A line for each thing that a person does with the page, then what it costs to leave it open."""
    opened = [_opened_anew(browser, server) for _ in range(LOOKS)]
    tell("opened, nothing kept", [seconds for seconds, _ in opened])
    print(f"sent for it: {statistics.median(sent for _, sent in opened) / 1e3:.0f} kB", flush=True)
    here = Tab.of(browser, server)
    here.open()
    tell("reloaded", [here.open() for _ in range(LOOKS)])
    tell("from another page", [_come_back(here) for _ in range(LOOKS)])
    tell("the oldest run, by its address", [here.open(f"?run={oldest}") for _ in range(LOOKS)])
    here.open()
    tell("first search, no index", [_find(here, "person 42")])
    tell("found by its title", [_find(here, f"person {number}") for number in range(1, LOOKS + 1)])
    tell("opened by a click", [_open_second(here)])
    here.open()
    tell("30 more", [_show_more(here) for _ in range(LOOKS)])
    gaps = here.page.evaluate(SCROLL)
    print(f"scrolled: frames {statistics.median(gaps):.0f} ms apart, most {max(gaps):.0f} ms", flush=True)
    here.open()
    _leave_open(here, server)
    here.page.context.close()


def tell(name: str, seconds: Sequence[float]) -> None:
    least, most = min(seconds), max(seconds)
    print(f"{name:31} {statistics.median(seconds):6.2f} s ({least:.2f} to {most:.2f})", flush=True)


def _opened_anew(browser: Browser, server: Dashboard) -> tuple[float, int]:
    """In a browser that has nothing of the dashboard: the seconds, and the bytes that its socket has sent."""
    fresh = Tab.of(browser, server)
    seconds = fresh.open()
    fresh.page.context.close()
    return seconds, fresh.received


def _come_back(here: Tab) -> float:
    """From the press on Start until it stands."""
    strip = here.page.locator(".st-key-strip a")
    strip.nth(1).click()
    here.page.locator(TABLE).wait_for(state="detached")
    return here.until_listed(strip.first.click)


def _find(here: Tab, text: str) -> float:
    """From the key that ends what is looked for."""
    field = here.page.locator(".st-key-runs_find input")
    field.fill(text)
    return here.changes(lambda: field.press("Enter"))


def _open_second(here: Tab) -> float:
    """From a click in the table's second row until the page is that run's."""
    rows = here.page.locator(".st-key-runs_table .dvn-scroller")
    return here.changes(lambda: rows.click(position={"x": 120, "y": 88}))


def _show_more(here: Tab) -> float:
    return here.changes(here.page.locator(".st-key-runs_show_more button").click)


def _leave_open(here: Tab, server: Dashboard) -> None:
    """What a tab that nobody touches is sent, costs the server and holds itself."""
    before, received, began = Held.of(server), here.received, time.monotonic()
    here.page.wait_for_timeout(WATCHED * 1000)
    after, took = Held.of(server), time.monotonic() - began
    share, rate = (after.used - before.used) / took, (here.received - received) / took
    print(f"left open: {rate / 1e3:.1f} kB/s, {share:.1%} of a core of the server", flush=True)
    print(f"server {after.memory:.0f} MB, tab {_tab_memory():.0f} MB", flush=True)


def _tab_memory() -> float:
    """What the largest of this program's tabs holds for itself, in MB."""
    tabs = [one for one in psutil.Process().children(recursive=True) if "--type=renderer" in one.cmdline()]
    return max(one.memory_full_info().uss for one in tabs) / 1e6
