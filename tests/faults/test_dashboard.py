"""The dashboard that started a chain is killed, or asked to end: the chain does not notice."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from core.jobs.job import JobPaths
from core.jobs.launch import make_room
from core.jobs.status import State, read_status
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN
from core.workspace.paths import Workspace
from scripts.benches.viewer import Viewer
from tests.conftest import RecordFault, end_leftovers
from tests.faults.moments import HeldChain, Moment
from tests.faults.test_kills import KILL, TERM, goes_on, log, whole
from tests.server import Dashboard
from tests.small_run import NAME

pytestmark = pytest.mark.slow
AT_ALL, AT_SOME = list(Moment), [Moment.step, Moment.checkpoint, Moment.merge]


class Presser(Viewer):
    """A session that presses a button: ``buttons`` are the ids of those on its page."""

    def press(self, key: str) -> None:
        (found,) = (one for one in self.buttons if one.endswith(f"-{key}"))
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = self._page, self._query
        message.rerun_script.widget_states.widgets.add(id=found, trigger_value=True)
        self._socket.send(message.SerializeToString())
        self._until_finished()

    def _heed(self, message: ForwardMsg) -> None:
        super()._heed(message)
        if message.delta.new_element.HasField("button"):
            self.buttons.add(message.delta.new_element.button.id)

    @property
    def buttons(self) -> set[str]:
        return self.__dict__.setdefault("_buttons", set())


class HeldChainOfADashboard(HeldChain):
    """One that a real dashboard started: it was asked for and never begun, and is begun by its button."""

    def begin(self) -> None:
        job = JobPaths(self.run.job(CHAIN))
        job.folder.mkdir(parents=True)
        make_room(job, chain.plan(self.workspace, self.run, TuneRequest(NAME), "test", "en"))
        os.utime(job.spec, (0, 0))
        assert read_status(job.folder).state is State.lost
        self.server = Dashboard(self.workspace.root)
        with Presser(self.server) as viewer:
            viewer.open("start", self.run.id)
            viewer.press("chain_go_on")


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    end_leftovers(tmp_path)


@pytest.mark.parametrize(
    ("number", "moment"), [*((KILL, one) for one in AT_ALL), *((TERM, one) for one in AT_SOME)]
)
def test_the_dashboard_ends(
    page_workspace: Workspace,
    tmp_path: Path,
    number: signal.Signals,
    moment: Moment,
    record_fault: RecordFault,
) -> None:
    held = HeldChainOfADashboard(page_workspace, moment, tmp_path)
    kept = whole(held.run)
    held.server.end(number)
    held.let_go()
    state = held.ended()
    assert state is State.finished, log(held.run)
    what = "KILL" if number == KILL else "TERM"
    record_fault(what, "dashboard", moment, goes_on(held, state, kept))
