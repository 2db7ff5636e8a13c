"""A closed tab costs the server no open file, and one whose connection broke finds its session again."""

import time
from collections.abc import Iterator

import psutil
import pytest

from core.workspace.paths import Workspace
from scripts.benches.viewer import Viewer
from tests.server import Dashboard

TABS = 8


@pytest.fixture
def server(home: Workspace) -> Iterator[Dashboard]:
    with Dashboard(home.root) as found:
        found.url()
        yield found


def test_closed_tabs_hold_no_files(server: Dashboard) -> None:
    process = psutil.Process(server.process.pid)
    look(server)
    before = process.num_fds()
    for _ in range(TABS):
        look(server)
    deadline = time.monotonic() + 30
    while process.num_fds() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.num_fds() <= before


def test_a_tab_that_comes_back_has_its_session(server: Dashboard) -> None:
    first = look(server)
    assert look(server, first) == look(server, first) == first
    assert look(server) != first
    assert "event loop" not in server.said()


def look(server: Dashboard, session: str = "") -> str:
    """Open a page in a tab, of an earlier session or a new one, and close it; the session's name."""
    with Viewer(server, session) as viewer:
        viewer.open("train", "")
        return viewer.session
