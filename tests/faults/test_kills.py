"""A chain that is struck anywhere loses nothing: its page says what happened, and goes on to its end."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.jobs.curves import read_curve
from core.jobs.job import JobPaths
from core.jobs.launch import stop, wait
from core.jobs.process import is_alive, read_identity
from core.jobs.status import State, read_status
from core.runs import CHAIN
from core.steps.checkpoints import checkpoints, is_whole
from core.steps.proof import PROOF
from core.workspace.files import read_json
from core.workspace.paths import RunPaths, Workspace
from tests.conftest import RecordFault, end_leftovers
from tests.fake_xtuner.training import ASKED
from tests.faults.moments import TIMEOUT, HeldChain, Late, Moment, Victim
from tests.page import open_test_page
from tests.waiting import until

pytestmark = pytest.mark.slow

KILL, TERM = signal.SIGKILL, signal.SIGTERM
AFTER_TRAINING = {Moment.convert, Moment.merge, Moment.asking}
# Whoever is not needed for the rest, and is not missed: of a step without its supervisor its tool says that
# it is done.
MISSED_BY_NOBODY = {Victim.worker, Victim.supervisor, Victim.chain_supervisor}


@pytest.fixture
def hold(page_workspace: Workspace, tmp_path: Path) -> Iterator[Callable[[Moment], HeldChain]]:
    yield lambda moment: HeldChain(page_workspace, moment, tmp_path)
    end_leftovers(tmp_path)


@pytest.mark.parametrize("victim", Victim)
@pytest.mark.parametrize("moment", Moment)
def test_killed(
    hold: Callable[[Moment], HeldChain], moment: Moment, victim: Victim, record_fault: RecordFault
) -> None:
    chain = hold(moment)
    kept = whole(chain.run)
    chain.strike(victim, KILL)
    chain.let_go()
    state = chain.ended()
    assert (state is State.finished) == (victim in MISSED_BY_NOBODY), log(chain.run)
    record_fault("KILL", victim, moment, goes_on(chain, state, kept))


@pytest.mark.parametrize("victim", [Victim.tool, Victim.supervisor, Victim.chain, Victim.chain_supervisor])
@pytest.mark.parametrize("moment", [Moment.step, Moment.checkpoint, Moment.merge])
def test_asked_to_end(
    hold: Callable[[Moment], HeldChain], moment: Moment, victim: Victim, record_fault: RecordFault
) -> None:
    """By SIGTERM, as a machine that shuts down does."""
    chain = hold(moment)
    kept = whole(chain.run)
    chain.strike(victim, TERM)
    state = chain.ended()
    assert state in {State.stopped, State.failed}
    record_fault("TERM", victim, moment, goes_on(chain, state, kept))


@pytest.mark.parametrize("moment", Moment)
def test_stop_pressed_twice(
    hold: Callable[[Moment], HeldChain], moment: Moment, record_fault: RecordFault
) -> None:
    chain = hold(moment)
    kept = whole(chain.run)
    for _ in range(2):
        stop(chain.run.job(CHAIN), by="test")
    assert chain.ended() is State.stopped
    record_fault("stop pressed twice", "", moment, goes_on(chain, State.stopped, kept))


@pytest.mark.parametrize("moment", Late)
def test_stop_pressed_while_it_ends(
    page_workspace: Workspace, moment: Late, tmp_path: Path, record_fault: RecordFault
) -> None:
    """The training has ended by itself then, and is finished; what comes after it is stopped."""
    chain = HeldChain(page_workspace, moment, tmp_path)
    kept = whole(chain.run)
    paths = JobPaths(chain.run.job("train"))
    for folder in (chain.run.job(CHAIN), paths.folder):
        stop(folder, by="test")
    tool = read_identity(paths.tool)
    assert tool
    until(lambda: not is_alive(tool) if moment is Late.done else ASKED in log(chain.run, "train"))
    chain.let_go()
    assert chain.ended() is State.stopped
    assert read_status(paths.folder).state is State.finished
    assert [one.iteration for one in checkpoints(chain.run.work_dir)][-1] == 40
    page = open_test_page("train", chain.run.id)
    assert not page.exception and not page.error
    came = goes_on(chain, State.stopped, kept)
    assert not paths.previous.exists(), "it was not trained again"
    half = {
        Late.last: "its last checkpoint half written",
        Late.done: "its work done, its process still there",
    }
    record_fault(
        "stop pressed while it ends",
        "",
        "",
        f"{half[moment]}: the training is finished, the chain {came}, and goes on after it",
    )


def whole(run: RunPaths) -> dict[Path, bytes]:
    """The whole checkpoints, byte for byte."""
    found = (one.checkpoint for one in checkpoints(run.work_dir))
    return {path: path.read_bytes() for path in found if is_whole(path)}


def goes_on(chain: HeldChain, state: State, kept: dict[Path, bytes]) -> str:
    """Nothing that was whole is lost or changed, its page says so, and it comes to its end from there."""
    run = chain.run
    left = whole(run)
    # A training that went on has written newer ones, and only for them deleted the oldest.
    assert all(left.get(path, data) == data for path, data in kept.items())
    assert not kept or len(left) >= len(kept)
    page = open_test_page("start", run.id)
    assert not page.exception
    if state is not State.finished:
        assert bool(page.error) == (state in {State.failed, State.lost}), page.error
        # What was stopped while it was tested lacks nothing else: it is tested by a press of its own. A chain
        # whose training ended at the same instant may have come as far before it was told to stop.
        reached = chain.moment is Moment.asking or (chain.moment is Late.done and run.merged.exists())
        untested = state is State.stopped and reached
        page.button(key="begin_test" if untested else "chain_go_on").click().run()
        assert not page.exception
        job = PROOF if untested else CHAIN
        assert wait(run.job(job), poll=0.05, timeout=TIMEOUT).state is State.finished, log(run, job)
    result = read_json(run.result) or {}
    assert result["run"] == run.id and result["learned"] == 1.0
    assert [point.iter for point in read_curve(run.work_dir).points] == list(range(2, 41, 2))
    return f"{state}{_from(chain)}"


def _from(chain: HeldChain) -> str:
    """Where training went on; it was not done again where it had ended."""
    log_text = log(chain.run)
    if chain.moment in AFTER_TRAINING or "from the checkpoint" not in log_text:
        return ""
    return ", on from " + log_text.rpartition("from the checkpoint at iteration ")[2].split()[0].rstrip(".")


def log(run: RunPaths, job: str = CHAIN) -> str:
    return JobPaths(run.job(job)).log.read_text(encoding="utf-8")
