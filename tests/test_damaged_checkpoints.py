"""The newest checkpoint is empty, cut off or damaged inside: an earlier whole one is taken, and it is
said."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from core.errors import DamagedCheckpoint, NoWholeCheckpoint
from core.jobs.job import JobPaths
from core.publish.facts import read_facts
from core.steps import checkpoints as steps
from core.steps import chosen, convert, export, resuming, train
from core.steps.checkpoints import checkpoints, is_whole, whole
from core.steps.step import run_job
from core.workspace.files import Stamp
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.conftest import RecordFault
from tests.page import no_errors, open_test_page
from tests.small_run import end_training, make_run


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    """One bit of what it holds: its directory and its length are right, and JSON is still JSON."""
    whole = file.read_bytes()
    place = whole.index(b'"iter": ') + len(b'"iter": ')
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


def text(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1")


DAMAGES = {
    cut_off: "is cut off",
    empty: "is empty",
    flip: "has one bit flipped",
    text: "is text in its place",
}
Damage = Callable[[Path], None]


@pytest.fixture
def run(page_workspace: Workspace) -> RunPaths:
    """A run that is trained, with checkpoints at 30 and 40."""
    made = make_run(page_workspace)
    end_training(made)
    assert [one.iteration for one in whole(made.work_dir)] == [30, 40]
    return made


def last(run: RunPaths) -> Path:
    return checkpoints(run.work_dir)[-1].checkpoint


def command(run: RunPaths, *arguments: str) -> tuple[int, str]:
    options = ("--workspace", run.workspace.root, "--json")
    done = cli(*arguments, *options, cwd=run.root, TUNEBOARD_ENGINE="tests.fake_engine")
    return done.returncode, done.stderr


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_is_taken_everywhere(run: RunPaths, damage: Damage, record_fault: RecordFault) -> None:
    damage(last(run))
    assert resuming.resumable(run) == train.read(run) == chosen.used(run) == checkpoints(run.work_dir)[0]
    said = "iter_40.pth is empty, cut off or damaged: the complete checkpoint at iteration 30"
    code, told = command(run, "convert", run.id)
    made_of = convert.made_of(run)
    assert code == 0 and said in told and made_of and made_of.iteration == 30
    assert read_facts(run.workspace, run).checkpoint == 30
    assert [one.stale for one in export.artefacts(run)] == [False]
    for page in map(open_test_page, ("merge", "compare"), (run.id, run.id)):
        assert no_errors(page) and any(said in warning.value for warning in page.warning)
    code, told = command(run, "train", run.id)
    assert code == 0 and said in told and "from the checkpoint at iteration 30" in told
    assert [one.iteration for one in whole(run.work_dir)] == [30, 40]
    seen = "that is said, and the one before is taken for training, converting and publishing"
    record_fault(f"the newest checkpoint {DAMAGES[damage]}", "", "", seen)


def test_the_page_goes_on_from_the_one_before(page_workspace: Workspace) -> None:
    run = make_run(page_workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    flip(last(run))
    page = open_test_page("train", run.id)
    assert page.button(key="resume").label == "Resume from iteration 10"
    assert any("iter_20.pth is empty, cut off or damaged" in warning.value for warning in page.warning)


def test_when_none_is_whole_that_is_said(run: RunPaths) -> None:
    cut_off(checkpoints(run.work_dir)[0].checkpoint)
    flip(last(run))
    for arguments in (("convert", run.id), ("checkpoints", run.id), ("use", run.id, "--checkpoint", "best")):
        code, told = command(run, *arguments)
        assert code == 2 and "iter_30.pth" in told and "iter_40.pth" in told and "complete copy" in told
        assert "Traceback" not in told and "weights_only" not in told
    with pytest.raises(NoWholeCheckpoint):
        chosen.used(run)
    for name in ("train", "merge", "compare", "publish"):
        page = open_test_page(name, run.id)
        assert no_errors(page)
    assert any("iter_40.pth" in warning.value for warning in open_test_page("merge", run.id, "zh").warning)
    code, told = command(run, "train", run.id)
    assert code == 0 and "no complete checkpoint" in told


def test_what_was_made_of_it_before_is_kept(run: RunPaths) -> None:
    """An adapter of iteration 40 is better than one of 30: nothing is trained or converted anew."""
    run_job("convert", run.job("convert"), convert.plan(run))
    run_job("merge", run.job("merge"), export.merge.plan(run))
    before = export.made_at(run.adapter)
    flip(last(run))
    assert [one.stale for one in export.artefacts(run)] == [False, False]
    assert read_facts(run.workspace, run).checkpoint == 40
    options = ("--run", run.id, "--workspace", run.workspace.root, "--json")
    last_json(cli("tune", *options, cwd=run.root, TUNEBOARD_ENGINE="tests.fake_engine"))
    assert export.made_at(run.adapter) == before and not (run.job("train") / "previous").exists()


def test_a_damaged_one_cannot_be_chosen_nor_gone_on_from(run: RunPaths) -> None:
    chosen.choose(run, 40)
    damaged = checkpoints(run.work_dir)[-1]
    flip(damaged.checkpoint)
    with pytest.raises(DamagedCheckpoint, match=r"iter_40\.pth .*: 30\."):
        chosen.choose(run, 40)
    assert chosen.used(run).iteration == 30, "chosen while it was whole"
    with pytest.raises(DamagedCheckpoint):
        train.start(run, damaged)
    assert not (run.job("train") / "previous").exists() and JobPaths(run.job("train")).exit.exists()


def test_only_whole_ones_are_proved(run: RunPaths) -> None:
    flip(last(run))
    code, told = command(run, "checkpoints", run.id)
    assert code == 0 and "iter_40.pth" in told


def test_a_state_of_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "iter_1.pth"
    with ZipFile(file, "w") as parts:
        parts.writestr("data/0", bytes(1000))
    opened = []

    class Counting(ZipFile):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    monkeypatch.setattr(steps, "ZipFile", Counting)
    assert all(is_whole(file) for _ in range(5)) and len(opened) == 1
    damaged = file.read_bytes().replace(bytes(1000), bytes(999) + b"1")
    file.write_bytes(damaged)
    assert not any(is_whole(file) for _ in range(5)) and len(opened) == 2


def test_a_page_does_not_wait_for_a_large_one(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read beside the page, and not taken before that is over."""
    reading, undamaged = Event(), steps._undamaged

    def read(state: Stamp) -> bool:
        reading.wait()
        return undamaged(state)

    class Reader(steps._Reader):
        def undamaged(self, file: Path, sure: bool) -> bool:
            if sure:
                reading.set()
            return super().undamaged(file, sure)

    monkeypatch.setattr(steps, "_undamaged", read)
    monkeypatch.setattr(steps, "_READER", Reader())
    monkeypatch.setattr(steps, "_SMALL", 0)
    steps.read_large_ones_beside()
    flip(last(run))
    assert train.read(run).iteration == 40, "nobody knows yet"
    with pytest.raises(DamagedCheckpoint):
        convert.plan(run)
    assert train.read(run).iteration == convert.plan(run).request["iteration"] == 30  # type: ignore[index]


def test_one_that_is_cut_off_is_seen_before_it_is_read(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reader(steps._Reader):
        def _read(self, *_: object) -> None:
            """It takes for ever."""

    monkeypatch.setattr(steps, "_READER", Reader())
    monkeypatch.setattr(steps, "_SMALL", 0)
    steps.read_large_ones_beside()
    cut_off(last(run))
    assert train.read(run).iteration == 30


def test_what_torch_never_writes_is_not_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "iter_1.pth"
    with ZipFile(file, "w", ZIP_DEFLATED) as parts:
        parts.writestr("data/0", bytes(10_000_000))
    assert not is_whole(file)
