"""The tab without a browser: which refresh a run of Streamlit's answers."""

import time
from typing import Any, cast

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from scripts.benches.viewer import Viewer


class Line:
    """A connection on which comes what is put there."""

    def __init__(self) -> None:
        self.comes: list[bytes] = []

    def send(self, _: bytes) -> None:
        pass

    def recv(self, _: float) -> bytes:
        return self.comes.pop(0)


def a_run_of(*fragments: str, finished: "ForwardMsg.ScriptFinishedStatus.ValueType") -> list[bytes]:
    begun, ended = ForwardMsg(), ForwardMsg()
    begun.new_session.name = "run"
    ended.script_finished = finished
    for message in (begun, ended):
        message.metadata.run.fragment_ids.extend(fragments)
    return [begun.SerializeToString(), ended.SerializeToString()]


def viewer_that_waits(*asked: str) -> tuple[Viewer, Line]:
    viewer, line = Viewer(cast(Any, None)), Line()
    viewer._socket = cast(Any, line)
    for fragment in asked:
        viewer._ask(fragment, due=time.monotonic())
    return viewer, line


def comes(viewer: Viewer, line: Line, messages: list[bytes]) -> int:
    """How many refreshes have come with these messages."""
    before, line.comes = len(viewer.late), messages
    while line.comes:
        viewer._receive(0)
    return len(viewer.late) - before


DONE = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


def test_one_run_answers_all_that_was_asked_for_meanwhile() -> None:
    viewer, line = viewer_that_waits("a", "b", "b")
    assert comes(viewer, line, a_run_of("a", "b", finished=DONE)) == 3
    viewer._ask("a", due=time.monotonic())
    assert comes(viewer, line, a_run_of("a", finished=DONE)) == 1, "no answer is left over for the next"


def test_a_run_answers_nothing_that_it_does_not_draw() -> None:
    viewer, line = viewer_that_waits("a", "b")
    assert comes(viewer, line, a_run_of("b", finished=DONE)) == 1
    assert comes(viewer, line, a_run_of("b", finished=DONE)) == 0
    assert comes(viewer, line, a_run_of("a", finished=DONE)) == 1


def test_a_run_that_is_broken_off_has_not_brought_it() -> None:
    viewer, line = viewer_that_waits("a")
    assert comes(viewer, line, a_run_of("a", finished=ForwardMsg.FINISHED_EARLY_FOR_RERUN)) == 0
    assert comes(viewer, line, a_run_of(finished=ForwardMsg.FINISHED_SUCCESSFULLY)) == 1


def test_a_whole_page_answers_for_all_its_parts() -> None:
    viewer, line = viewer_that_waits("a", "b")
    assert comes(viewer, line, a_run_of(finished=ForwardMsg.FINISHED_SUCCESSFULLY)) == 2
