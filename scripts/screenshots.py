"""Every page in both languages, both themes and two widths, as pictures in a folder.

    .venv/bin/python -m scripts.screenshots FOLDER [--pages start,train@live] [--languages zh] …

A workspace of its own is filled first, by the fast stand-ins of the tests: one run that is done, one that
failed and one that is training.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser

from core.jobs.launch import wait
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN
from core.workspace.paths import RunPaths, Workspace
from tests.browser import chromium, settle, tab
from tests.server import Dashboard
from ui.shell.frame import STEPS

LOCALES = {"en": "en-US", "zh": "zh-CN"}
SETTLE_SECONDS = 1.5
# A page with a chat scrolls in another element.
HEIGHT = "document.querySelector('[data-testid=stMain],[data-testid^=stAppScroll]').scrollHeight"
# Pages whose look depends on the run: a step @ a run that is not the finished one.
ALSO = ("start@live", "start@failed", "train@live", "train@failed")
FAKE_ENGINE = "tests.fake_engine"
Runs = dict[str, RunPaths]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", default=",".join([*STEPS, *ALSO]))
    parser.add_argument("--languages", default="en,zh")
    parser.add_argument("--schemes", default="light,dark")
    parser.add_argument("--widths", default="1280,400")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace.of(Path(root) / "workspace")
        with (
            filled(workspace) as runs,
            Dashboard(workspace.root, TUNEBOARD_ENGINE=FAKE_ENGINE) as server,
            chromium() as browser,
        ):
            take_all(browser, server, runs, asked)


@contextmanager
def filled(workspace: Workspace) -> Iterator[Runs]:
    """Runs in every state, by name; the live one is stopped at the end."""
    failed = start(workspace, "Grace Hopper", FAKE_XTUNER_SECONDS="0.005", FAKE_XTUNER_OOM_AT="90")
    wait(failed.job(CHAIN), timeout=120)
    done = start(workspace, "Maria Gonzalez", FAKE_XTUNER_SECONDS="0.01")
    wait(done.job(CHAIN), timeout=120)
    live = start(workspace, "李明", FAKE_XTUNER_SECONDS="2")
    try:
        yield {"": done, "live": live, "failed": failed}
    finally:
        chain.halt(live, "screenshots")
        wait(live.job(CHAIN), timeout=60)


def start(workspace: Workspace, name: str, **faults: str) -> RunPaths:
    """A run made by the stand-ins; XTuner's goes wrong as ``faults`` say."""
    with environment_of(faults):
        return chain.start(workspace, TuneRequest(name), "screenshots", "en")


@contextmanager
def environment_of(faults: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({"TUNEBOARD_ENGINE": FAKE_ENGINE, **faults})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def take_all(browser: Browser, server: Dashboard, runs: Runs, asked: argparse.Namespace) -> None:
    """One picture a page, language, theme and width, each in a fresh session."""
    site = server.url().partition("?")[0]
    for language, scheme, width in product(
        asked.languages.split(","), asked.schemes.split(","), asked.widths.split(",")
    ):
        page = tab(browser, LOCALES[language], int(width), scheme)
        page.goto(server.url())
        for picture in asked.pages.split(","):
            step, _, which = picture.partition("@")
            page.goto(f"{site}{'' if step == 'start' else step}?run={runs[which].id}")
            settle(page)
            time.sleep(SETTLE_SECONDS)
            # The page scrolls inside a container: the window grows to its height instead.
            height = page.evaluate(HEIGHT)
            page.set_viewport_size({"width": int(width), "height": max(600, min(6000, height))})
            time.sleep(0.5)
            page.screenshot(path=asked.folder / f"{picture}-{language}-{scheme}-{width}.png")
            page.set_viewport_size({"width": int(width), "height": 900})
        page.context.close()


if __name__ == "__main__":
    main()
