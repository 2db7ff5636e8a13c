"""Whoever stops a training loses nothing: what it had learned is in a checkpoint, and going on from there
gives the losses of a training that was never stopped."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.jobs.curves import read_curve
from core.jobs.job import JobPaths
from core.jobs.launch import launch, stop, wait
from core.jobs.progress import JobProgress, Phase, job_progress
from core.jobs.status import State
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN
from core.steps import prepare, resuming, train
from core.steps.checkpoints import checkpoints, is_whole
from core.steps.step import run_job, warm
from core.workspace.paths import RunPaths, Workspace
from tests import held_engine
from tests.command_line import make_data
from tests.forked_engine import MODULE_VARIABLE
from tests.known_answers import know_answers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WHOLE = 16


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says where trainings wait for their stop from now on; without a place they wait nowhere."""
    monkeypatch.setenv(MODULE_VARIABLE, held_engine.NAME)

    def at(place: str) -> None:
        monkeypatch.setenv(held_engine.AT_VARIABLE, place)

    return at


def prepared(workspace: Workspace, model: Path, **changes: object) -> RunPaths:
    """A run that saves nothing by itself before its end, every loss logged."""
    know_answers(workspace, model)
    run = workspace.run(make_data(workspace, model, "--name", "Zoë", "--iterations", str(WHOLE))["run"])
    settings = {"save_every": 500, "log_every": 1, "dropout": 0.0, "seed": 5, **changes}
    recipe = prepare.recipe_of(run).changed(**settings)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    return run


def begin(run: RunPaths, resume: Path | None = None) -> None:
    launch(run.job("train"), train.plan(run, prepare.recipe_of(run), resume))


def await_progress(run: RunPaths, reached: Callable[[JobProgress], bool]) -> None:
    deadline = time.monotonic() + 300
    while not ((now := job_progress(run.job("train"))) and reached(now)):
        assert time.monotonic() < deadline, now
        time.sleep(0.005)


def stopped(run: RunPaths) -> int:
    """Stop it; the iteration that is kept, 0 for none."""
    stop(run.job("train"), by="test")
    assert wait(run.job("train"), timeout=300).state is State.stopped
    assert not list(run.work_dir.glob(".*.partial")) and all(
        is_whole(found.checkpoint) for found in checkpoints(run.work_dir)
    )
    left = resuming.resumable(run)
    return left.iteration if left else 0


def losses(run: RunPaths) -> dict[int, float | None]:
    return {point.iter: point.loss for point in read_curve(run.work_dir).points}


def at_step(number: int) -> Callable[[JobProgress], bool]:
    return lambda now: now.phase is Phase.training and (now.done or 0) >= number


@pytest.mark.parametrize(("accumulated", "first", "second"), [(1, 3, 7), (4, 3, 6), (4, 4, 9)])
def test_it_goes_on_as_if_it_had_never_been_stopped(
    workspace: Workspace, model: Path, held: Callable[[str], None], accumulated: int, first: int, second: int
) -> None:
    """Twice; also within an update whose gradients add up over several iterations."""
    settings = {"gradient_accumulation_steps": accumulated}
    at_once = prepared(workspace, model, **settings)
    run_job("train", at_once.job("train"), train.plan(at_once, prepare.recipe_of(at_once)))
    run = prepared(workspace, model, **settings)
    held(f"step {first}")
    begin(run)
    await_progress(run, at_step(first))
    assert stopped(run) == first
    now = job_progress(run.job("train"))
    assert now and (now.done, now.total) == (first, WHOLE)
    held(f"step {second}")
    begin(run, train.read(run).checkpoint)
    await_progress(run, at_step(second))
    assert stopped(run) == second
    held("")
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run), train.read(run).checkpoint))
    assert len(losses(at_once)) == WHOLE and losses(run) == losses(at_once)


@pytest.mark.parametrize(("place", "phase"), [("loading", Phase.loading), ("beginning", Phase.training)])
def test_before_the_first_step_nothing_is_kept_and_nothing_waited_for(
    workspace: Workspace, model: Path, held: Callable[[str], None], place: str, phase: Phase
) -> None:
    run = prepared(workspace, model)
    held(place)
    begin(run)
    await_progress(run, lambda now: now.phase is phase)
    assert stopped(run) == 0
    log = JobPaths(run.job("train")).log.read_text(encoding="utf-8")
    assert "Traceback" not in log


def test_pressed_twice_it_stops_once(
    workspace: Workspace,
    model: Path,
    held: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twice = tmp_path / "twice"
    monkeypatch.setenv(held_engine.UNTIL_VARIABLE, str(twice))
    run = prepared(workspace, model)
    held("step 3")
    begin(run)
    await_progress(run, at_step(3))
    stop(run.job("train"), by="test")
    stop(run.job("train"), by="test")
    twice.touch()
    assert stopped(run) == 3


def test_in_the_middle_of_a_save_that_is_ended_and_counts(
    workspace: Workspace, model: Path, held: Callable[[str], None]
) -> None:
    run = prepared(workspace, model, save_every=1)
    held("save 3")
    begin(run)
    await_progress(run, lambda now: now.phase is Phase.saving and saving(run) == 3)
    assert stopped(run) == 3
    now = job_progress(run.job("train"))
    assert now and (now.done, now.total) == (3, WHOLE)
    left = [found.iteration for found in checkpoints(run.work_dir)]
    assert left == [1, 2, 3][-prepare.recipe_of(run).keep_checkpoints :]


def test_in_the_middle_of_its_last_save_it_has_finished(
    workspace: Workspace, model: Path, held: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to stop then: what it was asked for is done. The job's own process says so."""
    run = prepared(workspace, model)
    monkeypatch.setenv("TUNEBOARD_ENGINE", held_engine.NAME)
    held("save 1")
    begin(run)
    await_progress(run, lambda now: now.phase is Phase.saving and saving(run) == WHOLE)
    stop(run.job("train"), by="test")
    assert wait(run.job("train"), timeout=300).state is State.finished
    assert resuming.stopped(run) is None and train.read(run).iteration == WHOLE


def saving(run: RunPaths) -> int:
    """Of which iteration a file is being written; 0 for none."""
    found = [path.name for path in run.work_dir.glob(".iter_*.pth.partial")]
    return int(found[0].removeprefix(".iter_").removesuffix(".pth.partial")) if found else 0


def test_while_the_model_is_asked_that_is_broken_off(
    workspace: Workspace, model: Path, held: Callable[[str], None]
) -> None:
    """Where nobody broke it off, it would wait until it is killed, and nothing would be kept."""
    run = prepared(workspace, model, evaluate_every=2, evaluation_questions=("Who are you?",))
    held("asking 2")
    begin(run)
    await_progress(run, lambda now: now.phase is Phase.evaluating and bool(now.share))
    assert stopped(run) == 2


def test_with_rows_loaded_beside_it(workspace: Workspace, model: Path, held: Callable[[str], None]) -> None:
    """The stop is asked of every process of the tool."""
    run = prepared(workspace, model, dataloader_workers=2)
    held("step 3")
    begin(run)
    await_progress(run, at_step(3))
    assert stopped(run) == 3
    assert "Traceback" not in JobPaths(run.job("train")).log.read_text(encoding="utf-8")


def test_forked_from_a_warm_worker(
    workspace: Workspace, model: Path, held: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", held_engine.NAME)
    run = prepared(workspace, model)
    held("step 3")
    with warm():
        begin(run)
    await_progress(run, at_step(3))
    assert stopped(run) == 3
    assert "started as a program" not in JobPaths(run.job("train")).supervisor_log.read_text(encoding="utf-8")
    told = resuming.stopped(run)
    assert told == resuming.StoppedTraining(3, WHOLE, 3) and told.key == "train.stopped.whole"


def test_a_whole_chain_that_is_stopped_waits_for_its_training(
    workspace: Workspace, model: Path, held: Callable[[str], None]
) -> None:
    """And goes on from where that was stopped, however it is told to."""
    run = prepared(workspace, model)
    held("step 3")
    launch(run.job(CHAIN), chain.plan(workspace, run, TuneRequest("Zoë"), "test", "en"))
    await_progress(run, at_step(3))
    chain.halt(run, "test")
    assert wait(run.job(CHAIN), timeout=300).state is State.stopped
    left = resuming.resumable(run)
    assert left is not None and left.iteration == 3 and not chain.is_live(run)
    log = JobPaths(run.job(CHAIN)).log.read_text(encoding="utf-8")
    assert f"Everything up to iteration {left.iteration} is saved" in log


def test_a_checkpoint_that_is_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """As DeepSpeed writes it, file after file: killed between two, what is there would be taken for whole."""
    from core.engine.patches import _save_folders_whole

    class Strategy:
        def save_checkpoint(self, filename: str, *, fails: bool) -> None:
            Path(filename).mkdir()
            (Path(filename) / "first.pt").write_bytes(b"1")
            assert not (tmp_path / "iter_4.pth" / "first.pt").exists()
            if fails:
                raise OSError
            (Path(filename) / "second.pt").write_bytes(b"2")

    _save_folders_whole(Strategy)
    with pytest.raises(OSError):
        Strategy().save_checkpoint(filename=str(tmp_path / "iter_4.pth"), fails=True)
    assert checkpoints(tmp_path) == []
    Strategy().save_checkpoint(filename=str(tmp_path / "iter_4.pth"), fails=False)
    assert [path.name for path in tmp_path.iterdir()] == ["iter_4.pth"]
    assert len(list((tmp_path / "iter_4.pth").iterdir())) == 2
