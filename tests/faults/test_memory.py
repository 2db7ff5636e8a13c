"""Out of memory in a container: the kernel kills what takes too much in a control group with a limit, and
gives no word to any log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.curves import read_curve
from core.jobs.ending import Reason
from core.jobs.failure import why_failed
from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.process import read_identity
from core.jobs.status import State, read_status
from core.pipeline import chain_stages
from core.runs import CHAIN
from core.steps import train
from core.wording import say
from core.workspace.paths import Workspace
from tests.conftest import RecordFault
from tests.faults.memory_group import MemoryGroup, NoGroupError
from tests.faults.moments import TIMEOUT, HeldChain, Moment, Victim
from tests.faults.test_kills import goes_on, whole
from tests.page import open_test_page
from tests.small_run import make_run
from tests.waiting import until

pytestmark = pytest.mark.slow
MB = 1 << 20
# What the training takes at once after it was held, and how much of that there is room for: so little that
# the training is the largest by far, or just too little. In MB.
TAKES, LITTLE, JUST_TOO_LITTLE = 400, 200, 370


@pytest.fixture
def memory_group(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryGroup]:
    """Whose trainings take a lot of memory at their 26th step."""
    try:
        made = MemoryGroup.make()
    except NoGroupError as why:
        pytest.skip(f"no control group can be made here: {why}")
    monkeypatch.setenv("FAKE_XTUNER_TAKE_AT", "26")
    monkeypatch.setenv("FAKE_XTUNER_TAKE", str(TAKES))
    yield made
    made.remove()


@pytest.mark.parametrize("victim", [Victim.tool, Victim.chain])
def test_the_kernel_kills_one_of_a_chain(
    page_workspace: Workspace,
    memory_group: MemoryGroup,
    victim: Victim,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_fault: RecordFault,
) -> None:
    """The largest as a rule, or whom it was told to prefer; the others go on."""
    with memory_group.entered():
        held = HeldChain(page_workspace, Moment.step, tmp_path)
    monkeypatch.delenv("FAKE_XTUNER_TAKE_AT")
    kept = whole(held.run)
    if victim is Victim.chain:
        prefer(JobPaths(held.run.job(CHAIN)))
    memory_group.leave_room((JUST_TOO_LITTLE if victim is Victim.chain else LITTLE) * MB)
    held.let_go()
    # Who sees the killed go has room again: what they take for it is not what is looked at here.
    until(lambda: memory_group.kills)
    memory_group.lift()
    state = held.ended()
    assert state is State.failed and memory_group.kills == 1
    job = held.run.job(CHAIN if victim is Victim.chain else "train")
    status = read_status(job)
    assert (status.signal, status.reason) == ("SIGKILL", Reason.out_of_memory)
    failed = chain_stages.failure(page_workspace, held.run)
    assert failed and failed[1].cause == "killed_out_of_memory"
    page = open_test_page("start", held.run.id)
    assert any(say("cause.killed_out_of_memory", "en") in error.value for error in page.error), page.error
    record_fault("OOM", victim, Moment.step, goes_on(held, state, kept))


def test_the_kernel_kills_a_training_of_its_own(
    page_workspace: Workspace,
    memory_group: MemoryGroup,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_fault: RecordFault,
) -> None:
    """Started on its page, and continued there."""
    run, held = make_run(page_workspace), tmp_path / "held"
    job = run.job("train")
    with monkeypatch.context() as patch, memory_group.entered():
        patch.setenv("FAKE_HOLD", Moment.step)
        patch.setenv("FAKE_HOLD_FILE", str(held))
        train.start(run)
        until(held.exists)
    monkeypatch.delenv("FAKE_XTUNER_TAKE_AT")
    kept = whole(run)
    memory_group.leave_room(LITTLE * MB)
    held.unlink()
    status = wait(job, poll=0.05, timeout=TIMEOUT)
    memory_group.lift()
    assert (status.state, status.reason, memory_group.kills) == (State.failed, Reason.out_of_memory, 1)
    why = why_failed(job, status)
    assert why and why.cause == "killed_out_of_memory"
    page = open_test_page("train", run.id)
    assert not page.exception
    assert any(say("cause.killed_out_of_memory", "en") in error.value for error in page.error), page.error
    assert kept and whole(run) == kept
    page.button(key="resume").click().run()
    assert not page.exception
    assert wait(job, poll=0.05, timeout=TIMEOUT).state is State.finished
    assert [point.iter for point in read_curve(run.work_dir).points] == list(range(2, 41, 2))
    record_fault(
        "a training alone is killed by the kernel for memory (control group)",
        "",
        "",
        f"{status.state}, “{say('cause.killed_out_of_memory', 'en')}”; its checkpoints are kept, on from 20",
    )


def prefer(job: JobPaths) -> None:
    """Of this job's tool the kernel gets rid first."""
    tool = read_identity(job.tool)
    assert tool
    Path(f"/proc/{tool.pid}/oom_score_adj").write_text("1000")
