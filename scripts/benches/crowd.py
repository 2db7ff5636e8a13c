"""Many at once: browser sessions on one server, each watching one of several jobs that run.

    scripts/bench crowd [--sessions N] [--jobs N] [--minutes M]

The jobs are real, with their supervisors; what trains in them only writes what XTuner writes, so that the
server's work is measured and not theirs. Each session speaks Streamlit's protocol and draws nothing. A
refresh is late by the seconds from its being due until its last message has come. An error is also a tab
that the server let go of, and a sentence in red on a page.

One session is a real browser's, on a training's page: of each line that the training writes the seconds are
counted until the browser shows it or a later one. Of these the page waits some between two looks, on purpose.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from core.jobs.launch import stop, wait
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.held import Held
from scripts.benches.viewer import Viewer
from tests.browser import chromium, tab
from tests.server import Dashboard
from tests.small_run import make_run, make_workspace, start_training

STEP_SECONDS = "0.3"
LOOKS = 10
# So does a training's page on a machine without a GPU (ui.jobs.training).
PAGE_LOOKS_EVERY = 5.0
# The browser starts on the same two cores, with everybody else.
PATIENCE_MS = 120_000
PAGES = ("train", "start", "config", "")
# What the bar above the curve says, with when: whenever the page changes.
NOTE = """
() => {
  window.shown = [];
  let last = "";
  const look = () => {
    const said = document.querySelector('[data-testid="stProgress"]')?.textContent ?? "";
    const at = said.match(/\\d+/)?.[0];
    if (at && at !== last) { last = at; window.shown.push([Date.now() / 1000, Number(at)]); }
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, characterData: true});
  look();
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=5.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder))
        runs = train_at_once(workspace, asked.jobs)
        try:
            with Dashboard(workspace.root) as server:
                crowd(server, runs, asked.sessions, asked.minutes * 60)
        finally:
            for run in runs:
                stop(run.job("train"), by="bench", grace=1)
                wait(run.job("train"), timeout=30)


def train_at_once(workspace: Workspace, jobs: int) -> list[RunPaths]:
    runs = [
        make_run(workspace, datetime(2026, 1, 1, 0, number), iterations=100_000) for number in range(jobs)
    ]
    for run in runs:
        start_training(run, FAKE_XTUNER_SECONDS=STEP_SECONDS)
    return runs


def crowd(server: Dashboard, runs: Sequence[RunPaths], sessions: int, seconds: float) -> None:
    """All sessions at once for so long, then a minute after the last has closed."""
    server.url()
    print(f"nobody there      {Held.of(server)}", flush=True)
    over, late, failed, waits = threading.Event(), list[float](), list[str](), list[float]()
    tabs = [
        threading.Thread(
            target=sit, args=(server, runs[n % len(runs)], PAGES[n % len(PAGES)], over, late, failed)
        )
        for n in range(sessions - 1)
    ]
    tabs.append(threading.Thread(target=look_at, args=(server, runs[0], over, waits, failed)))
    for session in tabs:
        session.start()
    began, before = time.monotonic(), Held.of(server)
    for look in range(LOOKS):
        time.sleep(max(0.0, began + seconds * (look + 1) / LOOKS - time.monotonic()))
        print(f"{time.monotonic() - began:5.0f} s           {Held.of(server)}", flush=True)
    used = (Held.of(server).used - before.used) / (time.monotonic() - began)
    over.set()
    for session in tabs:
        session.join()
    time.sleep(60)
    print(f"a minute after    {Held.of(server)}")
    print(f"{len(late)} refreshes by {sessions} sessions, {len(failed)} errors {failed[:3]}")
    print(f"late by           {spread(late)}")
    print(f"in a browser      {spread(waits)} after it was written; a look every {PAGE_LOOKS_EVERY:.0f} s")
    print(f"the server takes  {used:.0%} of one core")


def sit(
    server: Dashboard,
    run: RunPaths,
    page: str,
    over: threading.Event,
    late: list[float],
    failed: list[str],
) -> None:
    try:
        with Viewer(server) as viewer:
            viewer.open(page, run.id)
            viewer.watch(over)
            late += viewer.late
            failed += viewer.complaints
            if not over.is_set():
                failed.append(f"closed: {page}")
    except Exception as error:
        failed.append(repr(error))


def look_at(
    server: Dashboard, run: RunPaths, over: threading.Event, waits: list[float], failed: list[str]
) -> None:
    """In a real browser; ``waits``: of each line written since, the seconds until it or a later one showed.
    The last ones, which no look was due for any more, are left out."""
    try:
        with chromium() as browser:
            page = tab(browser)
            page.set_default_timeout(PATIENCE_MS)
            name, _, value = server.cookie().partition("=")
            address = f"http://127.0.0.1:{server.port}/"
            page.context.add_cookies([{"name": name, "value": value, "url": address}])
            page.goto(f"{address}train?run={run.id}")
            page.locator('[data-testid="stProgress"]').first.wait_for()
            page.evaluate(NOTE)
            written = follow(run, over)
            shown, end = page.evaluate("() => window.shown"), time.time()
        for at, when in written:
            if end - when > PAGE_LOOKS_EVERY + 1:
                waits.append(next((seen for seen, number in shown if number >= at), end) - when)
    except Exception as error:
        failed.append(repr(error))


def follow(run: RunPaths, over: threading.Event) -> list[tuple[int, float]]:
    """Each line that the training writes from here on until ``over``: its iteration, and when it came."""
    (file,) = run.work_dir.glob("*/vis_data/scalars.json")
    found: list[tuple[int, float]] = []
    with file.open(encoding="utf-8") as lines:
        lines.seek(0, os.SEEK_END)
        while not over.wait(0.05):
            found += [(json.loads(line)["iter"], time.time()) for line in lines]
    return found


def spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "nothing came"
    cuts = statistics.quantiles(seconds, n=100)
    return f"median {cuts[49]:.2f} s, 95 % {cuts[94]:.2f} s, most {max(seconds):.2f} s"


if __name__ == "__main__":
    main()
