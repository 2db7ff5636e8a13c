"""Kept checkpoints: which of them is used, what artefacts were made of, and what each was shown to know."""

from pathlib import Path

import pytest

from core.errors import NoSuchCheckpoint
from core.jobs.ending import Reason
from core.steps import chosen, convert, export, train
from core.steps.checkpoints import checkpoints, content_hash
from core.steps.step import run_job
from core.workspace.paths import RunPaths, Workspace
from tests.runs import end_job
from tests.small_run import end_training, make_run


@pytest.fixture
def run(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """A trained run with checkpoints at 30 and 40."""
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    made = make_run(page_workspace, keep_checkpoints=2)
    end_training(made)
    assert [one.iteration for one in checkpoints(made.work_dir)] == [30, 40]
    return made


def make_artefacts(run: RunPaths) -> None:
    run_job("convert", run.job("convert"), convert.plan(run))
    run_job("merge", run.job("merge"), export.merge.plan(run))


def stale(run: RunPaths) -> list[bool]:
    return [one.stale for one in export.artefacts(run)]


def test_the_last_checkpoint_is_used_unless_another_was_chosen(run: RunPaths) -> None:
    assert chosen.used(run).iteration == 40
    make_artefacts(run)
    assert stale(run) == [False, False]
    chosen.choose(run, 30)
    assert chosen.used(run).iteration == 30 and train.read(run).iteration == 40
    assert train.resumable(run) == train.read(run), "a training goes on from the last whatever was chosen"
    assert stale(run) == [True, True], "they were made of the other one, whichever file is newer"
    make_artefacts(run)
    assert stale(run) == [False, False]
    made_of = convert.made_of(run)
    assert made_of is not None and made_of.iteration == 30
    chosen.choose(run, 40)
    assert stale(run) == [True, True] and not run.chosen.exists()


def test_a_conversion_that_failed_changes_nothing_of_what_is_known(run: RunPaths) -> None:
    make_artefacts(run)
    chosen.choose(run, 30)
    run_job("convert", run.job("convert"), convert.plan(run))
    end_job(run, "convert", Reason.failed)
    made_of = convert.made_of(run)
    assert made_of is not None and made_of.iteration == 40


def test_what_an_earlier_version_made_was_made_of_the_last(run: RunPaths) -> None:
    make_artefacts(run)
    end_job(run, "convert")
    (run.job("convert") / "request.json").unlink()
    assert convert.made_of(run) is None and stale(run) == [False, False]
    chosen.choose(run, 30)
    assert stale(run) == [True, True]


def test_whoever_trains_on_chooses_anew(run: RunPaths) -> None:
    chosen.choose(run, 30)
    train.making_way(run, train.resumable(run))()
    assert chosen.used(run).iteration == 40


def test_another_file_under_the_same_name_was_not_chosen(run: RunPaths) -> None:
    chosen.choose(run, 30)
    chosen.used(run).checkpoint.write_text('{"another": 1}')
    assert chosen.used(run).iteration == 40


def test_what_is_not_there_cannot_be_chosen(run: RunPaths) -> None:
    with pytest.raises(NoSuchCheckpoint, match="30, 40"):
        chosen.choose(run, 7)
    run.chosen.write_text("{")
    assert chosen.used(run).iteration == 40


def test_a_checkpoint_s_hash_is_its_content_s(tmp_path: Path) -> None:
    """Not its name's, its time's or its place's; of a zip file only the directory is read."""
    from zipfile import ZipFile

    def made(name: str, weights: bytes) -> str:
        with ZipFile(tmp_path / name, "w") as file:
            file.writestr(f"{Path(name).stem}/data/0", weights)
        return content_hash(tmp_path / name)

    first = made("iter_1.pth", b"a" * 1000)
    assert made("iter_2.pth", b"a" * 1000) == first != made("iter_1.pth", b"b" * 1000)
