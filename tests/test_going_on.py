"""Training goes on from its last whole checkpoint, whoever asks; and no two starts at once lose it."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from core.errors import DamagedCheckpoint, JobRunning, MissingArtefact, RecipeChanged
from core.jobs.curves import read_curve, time_folders
from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.status import State
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN
from core.steps import export, prepare, resuming, train
from core.steps.checkpoints import checkpoints
from core.steps.data import about_data
from core.workspace.files import write_json, write_text
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.page import no_errors, open_test_page
from tests.small_run import NAME, end_training, make_run

TIMEOUT = 120.0
TRIES = 20
WHOLE = list(range(2, 41, 2))


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture
def run(workspace: Workspace) -> RunPaths:
    """A run whose training crashed at iteration 25 of 40, with whole checkpoints at 10 and 20."""
    made = make_run(workspace)
    assert end_training(made, FAKE_XTUNER_CRASH_AT="25").state is State.failed
    assert at(made) == [10, 20]
    return made


def at(run: RunPaths) -> list[int]:
    return [found.iteration for found in checkpoints(run.work_dir)]


def curve(run: RunPaths) -> list[int]:
    return [point.iter for point in read_curve(run.work_dir).points]


def first_of_each_start(run: RunPaths) -> list[int]:
    """The first iteration that each start of XTuner logged."""
    return [read_curve(folder).points[0].iter for folder in sorted(time_folders(run.work_dir))]


def train_by_command(run: RunPaths, *options: str) -> Any:
    workspace = run.root.parent.parent
    arguments = ("train", run.id, *options, "--workspace", workspace, "--json")
    return cli(*arguments, cwd=workspace, TUNEBOARD_ENGINE="tests.fake_engine")


def test_a_chain_that_broke_off_goes_on_from_its_checkpoint(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(workspace)
    monkeypatch.setenv("FAKE_XTUNER_CRASH_AT", "25")
    launch(run.job(CHAIN), chain.plan(workspace, run, TuneRequest(NAME), "test", "en"))
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.failed
    monkeypatch.delenv("FAKE_XTUNER_CRASH_AT")
    page = open_test_page("start", run.id)
    page.button(key="chain_go_on").click().run()
    assert no_errors(page)
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.finished
    assert first_of_each_start(run) == [2, 22] and curve(run) == WHOLE and run.result.exists()
    log = JobPaths(run.job(CHAIN)).log.read_text(encoding="utf-8")
    assert "from the checkpoint at iteration 20" in log


def test_a_chain_whose_settings_changed_says_so_on_its_page(workspace: Workspace, run: RunPaths) -> None:
    """In the reader's language, whole, and not only its last line."""
    recipe = prepare.recipe_of(run)
    prepare.prepare(run, recipe.changed(rank=4), prepare.model_of(run), Path(recipe.data))
    launch(run.job(CHAIN), chain.plan(workspace, run, TuneRequest(NAME), "test", "en"))
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.failed
    for language, word in (("en", "start from the beginning"), ("zh", "从头开始")):
        (error,) = open_test_page("start", run.id, language).error
        assert "rank: 16 → 4" in error.value and word in error.value
    assert at(run) == [10, 20]


def test_the_command_goes_on_and_says_so(run: RunPaths) -> None:
    done = train_by_command(run)
    assert last_json(done)["iteration"] == 40 and "from the checkpoint at iteration 20" in done.stderr
    assert first_of_each_start(run) == [2, 22] and curve(run) == WHOLE


def test_the_command_begins_anew_only_when_told(run: RunPaths) -> None:
    assert last_json(train_by_command(run))["iteration"] == 40
    done = train_by_command(run)
    assert last_json(done)["iteration"] == 40 and "fully trained" in done.stderr
    assert first_of_each_start(run) == [2, 22], "nothing was trained again"
    done = train_by_command(run, "--restart")
    assert last_json(done)["iteration"] == 40 and "continues" not in done.stderr
    assert first_of_each_start(run) == [2] and curve(run) == WHOLE
    assert len(list(run.abandoned.iterdir())) == 2, "the earlier logs are kept aside"


def test_a_whole_chain_begins_anew_when_told(run: RunPaths) -> None:
    workspace = run.root.parent.parent
    options = ("--name", NAME, "--run", run.id, "--workspace", workspace, "--json", "--restart")
    done = cli("tune", *options, cwd=workspace, TUNEBOARD_ENGINE="tests.fake_engine")
    assert last_json(done)["run"] == run.id and first_of_each_start(run) == [2]


def test_what_another_command_trained_anew_is_converted_and_merged_anew(run: RunPaths) -> None:
    workspace = run.root.parent.parent

    def tune() -> tuple[float, float]:
        options = ("--name", NAME, "--run", run.id, "--workspace", workspace, "--json")
        last_json(cli("tune", *options, cwd=workspace, TUNEBOARD_ENGINE="tests.fake_engine"))
        return export.made_at(run.adapter), export.made_at(run.merged)

    before = tune()
    train_by_command(run, "--restart")
    after = tune()
    assert all(old < new for old, new in zip(before, after, strict=True))
    assert tune() == after, "nothing is left to do"


def test_half_checkpoints_are_not_gone_on_from(run: RunPaths) -> None:
    for found in checkpoints(run.work_dir):
        found.checkpoint.write_bytes(b"half")
    done = train_by_command(run)
    assert last_json(done)["iteration"] == 40 and "no complete checkpoint" in done.stderr
    assert at(run) == [30, 40] and curve(run) == WHOLE


@pytest.mark.parametrize(("change", "said"), [({"rank": 4}, "rank: 16 → 4"), ({"lr": 0.5}, "→ 0.5")])
def test_with_other_settings_it_is_said_and_nothing_is_done(
    run: RunPaths, change: dict[str, Any], said: str
) -> None:
    recipe = prepare.recipe_of(run)
    prepare.prepare(run, recipe.changed(**change), prepare.model_of(run), Path(recipe.data))
    done = train_by_command(run)
    assert done.returncode == 2 and said in done.stderr and "--restart" in done.stderr
    assert at(run) == [10, 20] and "Traceback" not in done.stderr
    page = open_test_page("train", run.id)
    page.button(key="resume").click().run()
    assert any(said in error.value for error in page.error) and at(run) == [10, 20]
    assert last_json(train_by_command(run, "--restart"))["iteration"] == 40


def test_other_rows_and_an_edited_config_count_too(run: RunPaths) -> None:
    about = about_data(run)
    write_json(run.data, {**about, "sha256": "another"})
    with pytest.raises(RecipeChanged, match="data"):
        resuming.going_on(run)
    write_json(run.data, about)
    assert resuming.going_on(run) == checkpoints(run.work_dir)[-1]
    write_text(run.config, run.config.read_text(encoding="utf-8") + "\n# mine\n")
    with pytest.raises(RecipeChanged, match=r"config\.py"):
        resuming.going_on(run)


def test_what_weights_know_nothing_of_may_change(run: RunPaths) -> None:
    recipe = prepare.recipe_of(run)
    prepare.prepare(run, recipe.changed(save_every=20, log_every=4), prepare.model_of(run), Path(recipe.data))
    assert last_json(train_by_command(run))["iteration"] == 40 and at(run) == [10, 20, 40]


def test_what_an_earlier_version_trained_goes_on(run: RunPaths) -> None:
    """It wrote no request."""
    JobPaths(run.job("train")).request.unlink()
    assert last_json(train_by_command(run))["iteration"] == 40 and curve(run) == WHOLE


def test_resume_and_begin_again_at_once_never_lose_a_checkpoint(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes first trains; the other is refused and has touched nothing."""
    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "0.01")
    kept = run.root.parent / ".kept"
    shutil.copytree(run.root, kept)
    for _ in range(TRIES):
        shutil.rmtree(run.root)
        shutil.copytree(kept, run.root)
        refused = start_both(run)
        assert wait(run.job("train"), poll=0.02, timeout=TIMEOUT).state is State.finished
        assert at(run)[-1] == 40 and curve(run) == WHOLE, refused
        assert len(refused) <= 1


def start_both(run: RunPaths) -> list[Exception]:
    """Press both buttons; what the later one was told."""
    last = checkpoints(run.work_dir)[-1]
    together = threading.Barrier(2)
    refused: list[Exception] = []

    def press(resume: Any) -> None:
        together.wait()
        try:
            train.start(run, resume)
        except (JobRunning, MissingArtefact, DamagedCheckpoint) as error:  # gone where the other has ended
            refused.append(error)

    threads = [threading.Thread(target=press, args=(resume,)) for resume in (last, None)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_a_data_file_of_other_content_is_named(run: RunPaths) -> None:
    for content in ([1], "text", 3):
        write_json(run.data, content)
        done = train_by_command(run)
        assert done.returncode == 1 and str(run.data) in done.stderr and "Traceback" not in done.stderr
    assert at(run) == [10, 20]
