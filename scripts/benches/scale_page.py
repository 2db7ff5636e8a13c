"""The Start page of very many runs in a real browser: until when it can be used, what it is sent, what its
tab holds. Part of ``scripts/bench scale --browser``."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
from playwright.sync_api import Browser, Page, WebSocket

from scripts.benches.held import Held
from tests.browser import tab
from tests.server import Dashboard

LOOKS = 5
WATCHED = 30.0
PATIENCE_MS = 60_000
TABLE = ".st-key-runs_table canvas"
# Whatever of the page is asked for has come: its script rests, the table stands, nothing of it is grey.
STANDS = """
() => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning"
  && document.querySelector(".st-key-runs_table canvas")?.clientHeight > 0
  && !document.querySelector('[data-stale="true"]')
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

    def until(self, act: Callable[[], object], there: str = STANDS) -> float:
        """Seconds from an act until the page says so."""
        began = time.perf_counter()
        act()
        self.page.wait_for_function(there, polling="raf")
        return time.perf_counter() - began

    def open(self, query: str = "") -> float:
        return self.until(lambda: self.page.goto(self.address + query, wait_until="commit"))


def measure_page(browser: Browser, server: Dashboard, oldest: str) -> None:
    """A line for each thing that a person does with the page, then what it costs to leave it open."""
    tell("opened, nothing kept", _opened_anew(browser, server))
    here = Tab.of(browser, server)
    here.open()
    tell("reloaded", (here.open() for _ in range(LOOKS)))
    tell("from another page", (_come_back(here) for _ in range(LOOKS)))
    tell("the oldest run, by its address", (here.open(f"?run={oldest}") for _ in range(LOOKS)))
    here.open()
    tell("found by its title", (_find(here, f"person {number}") for number in range(1, LOOKS + 1)))
    tell("opened by a click", [_click_first(here)])
    here.open()
    tell("30 more", (_more(here) for _ in range(LOOKS)))
    gaps = here.page.evaluate(SCROLL)
    print(f"scrolled: frames {statistics.median(gaps):.0f} ms apart, most {max(gaps):.0f} ms", flush=True)
    here.open()
    _leave_open(here, server)
    here.page.context.close()


def tell(name: str, seconds: Iterator[float] | list[float]) -> None:
    found = sorted(seconds)
    print(f"{name:31} {statistics.median(found):6.2f} s ({found[0]:.2f} to {found[-1]:.2f})", flush=True)


def _opened_anew(browser: Browser, server: Dashboard) -> Iterator[float]:
    """In a browser that has nothing of the dashboard, each time."""
    for _ in range(LOOKS):
        fresh = Tab.of(browser, server)
        yield fresh.open()
        print(f"  {fresh.received / 1e3:.0f} kB of it by the page's socket", flush=True)
        fresh.page.context.close()


def _come_back(here: Tab) -> float:
    """From the press on Start until it stands."""
    strip = here.page.locator(".st-key-strip a")
    strip.nth(1).click()
    here.page.wait_for_url("**/data*")
    here.page.locator(TABLE).wait_for(state="detached")
    return here.until(lambda: strip.first.click())


def _find(here: Tab, text: str) -> float:
    field, said = here.page.locator(".st-key-runs_find input"), here.page.locator(".st-key-runs_left")
    before = said.inner_text() if said.count() else ""

    def changed() -> None:
        field.fill(text)
        field.press("Enter")
        here.page.wait_for_function(
            """before => {
              const said = document.querySelector(".st-key-runs_left")?.innerText ?? "";
              return said !== before;
            }""",
            arg=before,
        )

    return here.until(changed)


def _click_first(here: Tab) -> float:
    """Its second column, below the table's head, until the run's panel says its name."""
    place = here.page.locator(TABLE).first
    address = here.page.url

    def click() -> None:
        place.click(position={"x": 120, "y": 52})
        here.page.wait_for_function("before => location.href !== before", arg=address)

    return here.until(click)


def _more(here: Tab) -> float:
    said = here.page.locator(".st-key-runs_left")
    before = said.inner_text()

    def press() -> None:
        here.page.locator(".st-key-runs_show_more button").click()
        here.page.wait_for_function(
            "before => document.querySelector('.st-key-runs_left')?.innerText !== before", arg=before
        )

    return here.until(press)


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
