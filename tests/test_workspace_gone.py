"""A workspace whose disk is not mounted any more: it is missed, and nothing is made in its place."""

import errno
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from core.errors import WorkspaceGone
from core.jobs.job import JobSpec
from core.jobs.launch import launch
from core.workspace import presence
from core.workspace.files import write_json
from core.workspace.known_places import known_places
from core.workspace.paths import Workspace, make_folder
from tests.command_line import cli
from tests.conftest import RecordFault
from tests.page import open_test_page
from ui.shell.frame import STEPS


@contextmanager
def unmounted(disk: Path) -> Iterator[None]:
    """Its mount point is an ordinary empty folder meanwhile, of the disk below, and stays that."""
    (aside := disk.with_name("aside")).mkdir(exist_ok=True)
    mount("--bind", disk, aside)
    umount(disk)
    try:
        yield
        assert [*disk.rglob("*")] == [], "something was made in its place"
    finally:
        mount("--bind", aside, disk)
        umount(aside)


def mount(how: str, what: Path, where: Path) -> None:
    subprocess.run(["/bin/mount", how, str(what), str(where)], check=True)


def umount(where: Path) -> None:
    subprocess.run(["/bin/umount", "--lazy", str(where)], check=True)


@pytest.fixture
def disk(small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return small_disk("size=20m")


# Below its disk's mount point, and that itself.
@pytest.fixture(params=["a b/工作区", "."])
def away(request: pytest.FixtureRequest, disk: Path) -> Workspace:
    found = Workspace((disk / request.param).resolve())
    found.prepare()
    return found


def forget() -> None:
    """As a process that has just started."""
    presence._SEEN.clear()


def test_every_page_says_so_and_is_back_with_it(
    away: Workspace, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_HOME", str(away.root))
    run = away.new_run("Ada", datetime.now())
    pages = {step: open_test_page(step, run.id) for step in STEPS}
    with unmounted(disk):
        for page in [*(page.run() for page in pages.values()), open_test_page("start", run.id, "zh")]:
            assert not page.exception
            (error,) = page.error
            assert all(str(one) in error.value.replace("\\", "") for one in (away.root, disk)), error
    for page in pages.values():
        assert not page.run().exception and run.id in page.query_params["run"]
        assert not any(str(disk) in error.value.replace("\\", "") for error in page.error)


def test_every_command_says_so(away: Workspace, disk: Path, record_fault: RecordFault) -> None:
    """Also one that begins without it: where its disk belongs is written down for its user."""
    run = away.new_run("Ada", datetime.now())
    with unmounted(disk):
        for command in (
            ["runs"],
            ["runs", "--json"],
            ["queue"],
            ["doctor"],
            ["tune", "--name", "Ada"],
            ["train", run.id],
            ["models"],
            ["--no-browser", "--no-token", "--port", "1"],
        ):
            done = cli(*command, "--workspace", away.root, cwd=disk.parent)
            assert done.returncode == 1, done
            assert f"The workspace {away.root} is not there now" in done.stdout + done.stderr
            assert f"no disk is mounted at {disk}" in done.stdout + done.stderr
    assert run.id in cli("runs", "--workspace", away.root, cwd=disk.parent).stdout
    record_fault(
        "the workspace's disk is unmounted under a dashboard, or not mounted when a command starts",
        *("", ""),
        "each says so and what to do, nothing is made in its place; as before once it is back",
    )


def test_nothing_is_made_in_its_place(away: Workspace, disk: Path) -> None:
    with unmounted(disk):
        with pytest.raises(WorkspaceGone):
            away.prepare()
        with pytest.raises(WorkspaceGone):
            away.new_run("Ada", datetime.now())
        with pytest.raises(WorkspaceGone):
            launch(away.runs / "a" / "train", JobSpec(("true",), Path.cwd()))
        with pytest.raises(FileNotFoundError):
            write_json(away.hashes, {})
    away.prepare()
    write_json(away.hashes, {})


def test_another_disk_in_its_place(away: Workspace, disk: Path) -> None:
    (aside := disk.with_name("other")).mkdir()
    other = Workspace(aside / away.root.relative_to(disk))
    other.prepare()
    mount("--bind", aside, disk)
    with pytest.raises(WorkspaceGone, match="another workspace is in its place"):
        away.find()
    umount(disk)
    away.find()


def test_a_disk_that_does_not_answer(away: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Path) -> bytes:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    for _ in range(2):  # the second has never seen it
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", fails)
            with pytest.raises(WorkspaceGone, match="Transport endpoint"):
                away.find()
        forget()
    away.find()


def test_a_workspace_that_somebody_deleted(away: Workspace, disk: Path) -> None:
    """Who runs meanwhile misses it; who starts anew makes a new one: its disk is there."""
    for name in away.root.iterdir():
        name.unlink()
    with pytest.raises(WorkspaceGone, match="moved or deleted"):
        away.find()
    forget()
    away.prepare()


def test_a_file_alone_that_somebody_deleted(away: Workspace) -> None:
    make_folder(away.runs)
    known = away.identity.read_bytes()
    away.identity.unlink()
    away.find()
    away.prepare()
    assert away.identity.read_bytes() == known


def test_what_is_written_down(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the system's own disk nothing; and nobody needs a home."""
    monkeypatch.setattr(presence, "mount_of", lambda _: Path("/"))
    Workspace(tmp_path / "own").prepare()
    assert not known_places().exists()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    Workspace(disk / "w").prepare()


@pytest.mark.parametrize("links", [True, False])
def test_of_two_processes_that_begin_at_once_neither_misses_what_it_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """The other one makes the workspace known between this one's look and its own writing."""
    workspace = Workspace(tmp_path / "new")
    theirs = {"id": "the other's"}

    def meanwhile(mine: Path, value: object) -> None:
        write_json(workspace.identity, theirs)
        write_json(mine, value)

    monkeypatch.setattr("core.workspace.paths.write_json", meanwhile)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    workspace.prepare()
    found = presence.see(workspace.root)
    assert (found == theirs["id"]) is links and presence.why_gone(workspace.root) == ""
    assert [one.name for one in workspace.root.iterdir() if one.name.startswith(".")] == []


def no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_folder_that_a_tool_made_in_that_place_is_not_written_to(tmp_path: Path) -> None:
    """How a job ended was written beside what its tool had made on the other disk."""
    workspace = Workspace(tmp_path / "w")
    workspace.prepare()
    folder = workspace.runs / "A" / "train"
    folder.mkdir(parents=True)
    presence.refuse_where_gone(folder)
    workspace.root.rename(tmp_path / "elsewhere")
    folder.mkdir(parents=True)
    with pytest.raises(presence.WorkspaceGoneError):
        presence.refuse_where_gone(folder)
