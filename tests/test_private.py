"""What is written in a workspace is for its owner alone, unless its folder says otherwise."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, wait
from core.publish.request import PublishRequest
from core.workspace.paths import PARTS, PROJECT, Workspace
from core.workspace.private import SHARED, keep_private
from tests.as_user import NAMELESS, ROOT
from tests.command_line import cli, command, environment, make_data
from tests.conftest import RecordFault, end_leftovers
from tests.publishable import make_publishable, published
from tests.server import Dashboard

WRITE = "import pathlib; pathlib.Path('made').mkdir(); pathlib.Path('made/checkpoint').write_text('x')"


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The usual one of a person, under which others may read whatever is made."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path, bits: int = 0o077) -> list[str]:
    every = [folder, *folder.rglob("*")]
    return [
        f"{stat.S_IMODE(path.lstat().st_mode):o} {path}"
        for path in every
        if not path.is_symlink() and path.lstat().st_mode & bits
    ]


def test_a_jobs_log_and_what_its_tool_makes(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir(mode=0o700)
    launch(folder, JobSpec((sys.executable, "-c", WRITE), folder))
    wait(folder, timeout=20)
    found = [JobPaths(folder).log, JobPaths(folder).exit, folder / "made", folder / "made" / "checkpoint"]
    assert [f"{stat.S_IMODE(path.stat().st_mode):o}" for path in found] == ["600", "600", "700", "600"]
    end_leftovers(tmp_path)


@pytest.mark.real_start  # a fork has the umask of the tests
def test_what_the_command_line_makes(workspace: Workspace, model: Path) -> None:
    root = workspace.root.parent / "new"
    make_data(Workspace(root), model, "--name", "Zoë", "--no-replay")
    assert (root / "runs").is_dir() and not open_to_others(root)


def test_the_dashboards_log_and_an_older_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    for name in ("runs/r1", "chats", "not ours"):
        (workspace.root / name).mkdir(parents=True)
    with Dashboard(workspace.root, "--no-token") as server:
        assert server.url()
        parts = [workspace.root / name for name in PARTS if (workspace.root / name).exists()]
        assert len(parts) >= 3 and not [part for part in parts if part.stat().st_mode & 0o077]
    assert stat.S_IMODE((workspace.root / "not ours").stat().st_mode) == 0o755
    assert stat.S_IMODE(workspace.log.stat().st_mode) == 0o600


def test_a_folder_that_is_no_workspace_stays_open(tmp_path: Path) -> None:
    """A web site's files, named by mistake."""
    for name in ("files", "data", "cache", "models"):
        (tmp_path / name).mkdir()
    cli("runs", "--workspace", tmp_path, cwd=tmp_path)
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o755 for folder in tmp_path.iterdir())


@pytest.mark.real_start  # a fork has the umask of the tests
def test_a_workspace_that_is_shared_with_a_group_stays_so(tmp_path: Path, model: Path) -> None:
    root = tmp_path / "shared"
    for name in ("runs", "answers"):
        (root / name).mkdir(parents=True)
    for folder in (root, root / "runs"):
        folder.chmod(0o775 | SHARED)
    make_data(Workspace(root), model, "--name", "Zoë", "--no-replay")
    assert not open_to_others(root / "runs", 0o007)
    run = next((root / "runs").iterdir())
    assert run.stat().st_mode & 0o070 == 0o070 and (run / "recipe.yaml").stat().st_mode & 0o060 == 0o060


def test_a_folder_that_inherits_its_group_is_no_shared_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o755 | stat.S_ISGID)
    (tmp_path / "w").mkdir()
    keep_private(tmp_path / "w")
    assert os.umask(0o022) == 0o077


def test_a_disk_without_modes_takes_what_is_published(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A USB stick: FAT refuses every mode but its own."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    run, out = make_publishable(workspace, logged=False), workspace.root.parent / "stick"
    monkeypatch.setattr(Path, "chmod", refuse)
    published(workspace, run, PublishRequest("adapter", to="folder", out=out))
    assert (out / "README.md").exists()


# Root without the right to pass over what a folder allows.
HEEDS_MODES = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@ROOT
def test_a_workspace_of_another_user(tmp_path: Path, record_fault: RecordFault) -> None:
    """On a shared disk: who it belongs to is said, and nothing is looked for in it."""
    (theirs := tmp_path / "共享 disk" / "theirs").mkdir(parents=True, mode=0o700)
    os.chown(theirs, NAMELESS, NAMELESS)
    for words in (["runs", "--json"], ["tune", "--name", "Ada"], ["--no-browser", "--no-token"]):
        done = refused([*HEEDS_MODES, *command(*words, "--workspace", theirs)])
        assert f"The workspace {theirs} belongs to {NAMELESS}, who does not let you (root) use it" in done
    theirs.chmod(0o755)
    done = refused([*HEEDS_MODES, *command("tune", "--name", "Ada", "--workspace", theirs)])
    assert f"belongs to {NAMELESS}" in done and not [*theirs.iterdir()]
    theirs.chmod(0o700)
    below = theirs / "w"
    assert f"{below}: permission denied" in refused([*HEEDS_MODES, *command("runs", "--workspace", below)])
    record_fault(
        "a workspace of another user on a shared disk",
        *("", ""),
        "each command says whose it is, and how one is shared; nothing is made",
    )


def refused(line: list[str]) -> str:
    done = subprocess.run(line, env=environment(), cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done
    return done.stderr
