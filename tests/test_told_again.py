"""What was chosen stays chosen in the browser when its options are called otherwise."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from core.workspace.paths import PROJECT, Workspace
from tests.browser import PATIENCE_MS, chromium, settle, tab
from tests.conftest import end_leftovers
from tests.publishable import make_publishable
from tests.server import Dashboard

STICK = "KINGSTON 8"
# A stick of 2 GB that has less room once something was copied to it.
PLUGGED_IN = """
from pathlib import Path
import core.publish.disks as disks
stick = Path({stick!r})
disks.disks = lambda workspace: [disks.Disk(stick, 1_600_000_000 if [*stick.iterdir()] else 1_900_000_000)]
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def counted() -> None:
    import streamlit as st

    from ui.shell.text import told_again

    names = {"a": f"a · {st.session_state['count']}", "b": "b"}
    st.radio("one", list(names), format_func=names.__getitem__, key=told_again("one", names))
    key = told_again("some", names)
    st.pills("some", list(names), format_func=names.__getitem__, selection_mode="multi", key=key)


def test_a_browser_is_told_its_choice_in_the_new_words_and_only_then() -> None:
    page = AppTest.from_function(counted)
    page.session_state["count"] = 1
    page.run()
    page.radio[0].set_value("a").run()
    page.get("button_group")[0].set_value(["a"]).run()
    page.run()
    assert [one.value for one in widgets(page)] == ["a", ["a"]]
    assert not any(one.proto.set_value for one in widgets(page))
    page.session_state["count"] = 2
    page.run()
    one, some = widgets(page)
    assert one.proto.set_value and one.proto.raw_value == "a · 2"
    assert some.proto.set_value and some.proto.raw_values == ["a · 2"]


def widgets(page: AppTest) -> list[Any]:
    return [page.radio[0], page.get("button_group")[0]]


@pytest.mark.slow
def test_the_stick_stays_chosen_after_something_was_copied_to_it(browser: Browser, tmp_path: Path) -> None:
    stick = tmp_path / "media" / STICK
    stick.mkdir(parents=True)
    (tmp_path / "sitecustomize.py").write_text(PLUGGED_IN.format(stick=str(stick)))
    workspace = Workspace(tmp_path / "工作 区" / "a b")
    run = make_publishable(workspace)
    with Dashboard(workspace.root, PYTHONPATH=f"{tmp_path}:{PROJECT}") as server:
        page = tab(browser)
        page.goto(server.url())
        page.goto(f"http://127.0.0.1:{server.port}/publish?run={run.id}")
        settle(page)
        page.get_by_text("Give it to somebody").click()
        page.get_by_text(re.compile(f"^{STICK}.*1.9 GB")).click()
        page.get_by_role("button", name="Copy", exact=True).click()
        chosen = page.get_by_role("radio", name=re.compile(f"^{STICK}.*1.6 GB"))
        expect(chosen).to_be_checked(timeout=3 * PATIENCE_MS)
        page.get_by_role("button", name="Check without sending").click()
        expect(chosen).to_be_checked()
        page.context.close()
    end_leftovers(tmp_path)
