"""Who ends the chat's model: the last dashboard of its workspace, and no other."""

import signal

import pytest

from core.chat import server as chat_server
from core.chat.server import Readiness
from core.chat.users import ChatUser
from core.jobs.status import LIVE, status_of
from core.workspace.paths import Workspace
from tests.server import Dashboard
from tests.small_model import make_small_model
from tests.small_run import make_run, start_training
from tests.waiting import until


@pytest.fixture
def loaded(page_workspace: Workspace) -> Workspace:
    """A workspace whose chat has a model."""
    make_small_model(page_workspace.model("tiny"))
    chat_server.start(page_workspace, chat_server.speakers(page_workspace, None)[0])
    until(lambda: readiness(page_workspace) is Readiness.ready)
    return page_workspace


def readiness(workspace: Workspace) -> Readiness:
    return chat_server.server(workspace).readiness


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_the_last_dashboard_ends_the_chat_s_model_and_no_training(
    loaded: Workspace, by: signal.Signals
) -> None:
    run = make_run(loaded, iterations=400)
    start_training(run, FAKE_XTUNER_SECONDS="0.2")
    with Dashboard(loaded.root, "--no-token") as first:
        first.url()
        second = Dashboard(loaded.root, "--no-token")
        second.url()
        second.end(by)
        assert readiness(loaded) is Readiness.ready, "the first one is open"
        first.end(by)
    until(lambda: readiness(loaded) is Readiness.off)
    training = status_of(run.job("train"))
    assert training and training.state in LIVE


def test_a_model_that_somebody_else_asks_stays(loaded: Workspace) -> None:
    """And one who only asks never ends it."""
    dashboard, asks = ChatUser.of(loaded), ChatUser.of(loaded)
    dashboard.leave(by="dashboard", end=True)
    assert readiness(loaded) is Readiness.ready
    asks.leave(by="documents")
    dashboard.leave(by="dashboard", end=True)
    assert readiness(loaded) is Readiness.ready, "it has left before"
    ChatUser.of(loaded).leave(by="dashboard", end=True)
    until(lambda: readiness(loaded) is Readiness.off)


def test_where_no_lock_can_be_held_nothing_is_ended(
    loaded: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as without:
        without.setattr("core.chat.users.fcntl.flock", refused)
        ChatUser.of(loaded).leave(by="dashboard", end=True)
    assert readiness(loaded) is Readiness.ready
    chat_server.unload(loaded)
