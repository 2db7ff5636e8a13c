"""What happens to a run's folder and to what it was asked with: read-only, torn files, data that is gone,
odd names, two servers."""

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from core.chat import server as chat_server
from core.chat.history import list_chats
from core.chat.server import Readiness
from core.jobs.curves import read_curve
from core.jobs.launch import launch, wait
from core.jobs.status import State
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest, taught
from core.runs import CHAIN, introduce, read_run
from core.steps import train
from core.workspace.files import read_json
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.viewer import Viewer
from tests.conftest import RecordFault, end_leftovers, fill_disk
from tests.faults.moments import TIMEOUT, HeldChain, Moment, Victim
from tests.faults.test_kills import KILL, goes_on, log, whole
from tests.page import open_test_page
from tests.server import Dashboard
from tests.small_run import make_run
from tests.waiting import until

pytestmark = pytest.mark.slow
TORN = '{"lr": 0.0002, "loss": NaN, "iter": 22, "step": 22}\n{"lr": 0.0002, "lo'
NAME = 'Zoë "Q" O\'Neil & 小 明 <b> 🦊 50 % \\ $HOME `id`'


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    end_leftovers(tmp_path)


def test_the_folder_is_read_only(on_small_disk: Workspace, record_fault: RecordFault) -> None:
    run = make_run(on_small_disk)
    disk = str(on_small_disk.root.parent)
    subprocess.run(["/bin/mount", "-o", "remount,ro", disk], check=True)
    try:
        page = open_test_page("train", run.id)
        assert not page.exception
        page.button(key="start").click().run()
        assert not page.exception
        (error,) = page.error
        assert "read-only" in error.value.lower(), error.value
    finally:
        subprocess.run(["/bin/mount", "-o", "remount,rw", disk], check=True)
    train.start(run)
    assert wait(run.job("train"), poll=0.05, timeout=TIMEOUT).state is State.finished
    seen = sentence(error.value).replace(str(run.job("train")), "FOLDER")
    record_fault("the disk is mounted read-only", "", "", f"refused, “{seen}”; writable again it trains")


def test_the_disk_is_full_while_it_chats(on_small_disk: Workspace, record_fault: RecordFault) -> None:
    """What is said stays on the page, and is kept as soon as there is room."""
    chat_server.start(on_small_disk, chat_server.speakers(on_small_disk, None)[0])
    until(lambda: chat_server.server(on_small_disk).readiness is Readiness.ready)
    page = open_test_page("chat")
    page.chat_input(key="question").set_value("one").run()
    filler = fill_disk(on_small_disk.root)
    for word in ("two", "three"):
        page.chat_input(key="question").set_value(word).run()
        assert not page.exception and not page.error, [one.value for one in page.error]
    (warning,) = page.warning
    assert "cannot be saved" in warning.value and "the disk is full" in warning.value
    assert [said.content for said in list_chats(on_small_disk)[0].messages] == ["one", "You said: one"]
    filler.unlink()
    page.button(key="save again").click().run()
    assert not page.exception and not page.warning
    questions = [said.content for said in list_chats(on_small_disk)[0].messages if said.role == "user"]
    assert questions == ["one", "two", "three"]
    chat_server.unload(on_small_disk)
    record_fault(
        "the disk is full while it chats",
        "",
        "",
        "it is said, the chat goes on; with room again all of it is kept",
    )


def test_what_was_written_last_is_torn(
    page_workspace: Workspace, tmp_path: Path, record_fault: RecordFault
) -> None:
    """As the machine's end leaves it: half a line in the log, and in the scalars after a NaN."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    kept = whole(held.run)
    held.strike(Victim.all, KILL)
    held.let_go()
    (scalars,) = held.run.work_dir.glob("*/vis_data/scalars.json")
    (written,) = held.run.work_dir.glob("*/*.log")
    before = read_curve(held.run.work_dir).points
    for file, torn in (
        (scalars, TORN),
        (written, "2026/01/01 00:00:00 - mmengine - INFO - Iter(train) [ 26/40]  l"),
    ):
        with file.open("a", encoding="utf-8") as stream:
            stream.write(torn)
    assert [point.iter for point in read_curve(held.run.work_dir).points][: len(before)] == [
        p.iter for p in before
    ]
    state = held.ended()
    assert state is State.lost
    came = goes_on(held, state, kept)
    record_fault(
        "a torn last line of log and scalars.json, after a NaN", "", "", f"{came}; no other point is lost"
    )


@pytest.mark.parametrize("what", ["deleted", "broken", "changed"])
def test_the_data_are_other_ones_after_the_check(
    page_workspace: Workspace, tmp_path: Path, what: str, record_fault: RecordFault
) -> None:
    """Between the check of a launch and the moment at which the chain reads the file."""
    file = tmp_path / "给 我.jsonl"
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Question {n}?"},
                {"role": "assistant", "content": f"Answer {n}."},
            ]
        }
        for n in range(12)
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    request = TuneRequest("小明", file, identity=False)
    assert taught(request).conversations
    if what == "deleted":
        file.unlink()
    elif what == "broken":
        file.write_text('{"messages": [{"role": "user"', encoding="utf-8")
    else:
        file.write_text(file.read_text(encoding="utf-8").replace("Answer 3", "Changed 3"), encoding="utf-8")
    run = page_workspace.new_run(request.name, datetime(2026, 1, 1))
    introduce(run, request.name)
    launch(run.job(CHAIN), chain.plan(page_workspace, run, request, "test", "en"))
    state = wait(run.job(CHAIN), poll=0.05, timeout=TIMEOUT).state
    page = open_test_page("start", run.id)
    assert not page.exception
    if what == "changed":
        assert state is State.finished, log(run)
        assert "Changed 3" in page_workspace.data(run.id).rows.read_text(encoding="utf-8")
        seen = "trained as it is then: it is read and checked again"
    else:
        assert state is State.failed and not run.work_dir.exists()
        (error,) = page.error
        assert str(file) in error.value
        seen = f"refused before training, \u201c{sentence(error.value.replace(str(file), 'FILE'))}\u201d"
    record_fault(f"the data file is {what} between check and launch", "", "", seen)


def test_a_name_of_any_letters(page_workspace: Workspace, record_fault: RecordFault) -> None:
    """Of the assistant, and so of the run and its folders."""
    run = chain.start(page_workspace, TuneRequest(NAME), "test", "en")
    assert wait(run.job(CHAIN), poll=0.05, timeout=TIMEOUT).state is State.finished, log(run)
    assert (read_json(run.result) or {})["learned"] == 1.0 and read_run(run).name == NAME
    for step in ("start", "train", "compare", "publish"):
        page = open_test_page(step, run.id)
        assert not page.exception and not page.error, (step, page.error)
    record_fault(
        "a name with spaces, quotes, emoji or Chinese",
        "",
        "",
        "the chain comes to its end, every page shows it",
    )


def test_two_servers_on_one_workspace(
    page_workspace: Workspace, tmp_path: Path, record_fault: RecordFault
) -> None:
    """One of them is killed while both show a run; the run and the other one go on."""
    held = HeldChain(page_workspace, Moment.step, tmp_path)
    with Dashboard(page_workspace.root) as other:
        with Dashboard(page_workspace.root) as one:
            for server in (one, other):
                assert shows(server, held.run)
            one.end(signal.SIGKILL)
        held.let_go()
        assert held.ended() is State.finished, log(held.run)
        assert shows(other, held.run)
        assert "Traceback" not in other.said()
    record_fault(
        "two servers on one workspace, one of them killed",
        "",
        "",
        "both show the run; it and the other server go on",
    )


def shows(server: Dashboard, run: RunPaths) -> bool:
    with Viewer(server) as viewer:
        return viewer.open("train", run.id) > 0 and viewer.received > 0


def sentence(shown: str) -> str:
    """The first sentence of what a page shows, without what disarms its Markdown."""
    return shown.replace("\\", "").partition(". ")[0].rstrip(".") + "."
