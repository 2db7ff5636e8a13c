"""What the command line says: of a name that is nearly right, of the command to type next, in Chinese."""

from datetime import datetime
from pathlib import Path

import pytest

from core.cli.results import show
from core.data.versions import make_set
from core.errors import MissingArtefact
from core.steps import train
from core.wording import did_you_mean, say
from core.workspace.paths import Workspace
from tests.command_line import cli
from tests.small_model import make_small_model


def test_a_misspelt_run_model_and_set(workspace: Workspace) -> None:
    run = workspace.new_run("Zoë", datetime.now())
    make_small_model(workspace.model("qwen2-small"))
    make_set(workspace, "My rows")
    for words, meant in (
        (("train", run.id[:-1]), run.id),
        (("train", "zoe"), run.id),
        (("models", "delete", "qwen-small"), "qwen2-small"),
        (("data", "parity", "--model", "qwen-small"), "qwen2-small"),
        (("data", "make", "undo", "My row"), "My rows"),
    ):
        done = cli(*words, "--workspace", workspace.root, cwd=workspace.root)
        assert done.returncode == 2 and f"(did you mean {meant}?)" in done.stderr, done.stderr


@pytest.mark.parametrize("command", ["runs", "models"])
def test_the_next_command_is_about_this_workspace(command: str, tmp_path: Path) -> None:
    there = Workspace(tmp_path / "elsewhere")
    shown = cli(command, "--workspace", there.root, cwd=tmp_path).stdout
    assert f"--name NAME --workspace {there.root}" in shown
    shown = cli(command, cwd=tmp_path, TUNEBOARD_HOME=str(there.root)).stdout
    assert "scripts/run" in shown and "--workspace" not in shown


def test_the_versions_of_which_set(workspace: Workspace) -> None:
    make_set(workspace, "My rows")
    done = cli("data", "make", "undo", "My rows", "--workspace", workspace.root, cwd=workspace.root)
    assert 'scripts/run data make versions "My rows" --workspace' in done.stderr


def test_nothing_near_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "zh")
    assert did_you_mean("xyz", {"train": ()}) == ""
    assert did_you_mean("trian", {"train": ()}) == say("near", "zh", names="train")


def test_a_missing_checkpoint_is_called_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    with pytest.raises(MissingArtefact, match=r"^A checkpoint \(iter_\*.pth, epoch_\*.pth\) is missing in /"):
        train.read(workspace.new_run("Zoë", datetime.now()))


def test_a_chinese_reason_stands_in_chinese_brackets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "zh")
    rows = [{"name": "qlora", "opens": False, "reason": "训练别的东西"}]
    show("configs", {"configs": rows, "of": 1, "count": 1, "opens": 0})
    assert capsys.readouterr().out.startswith("qlora（训练别的东西）")
