"""Paths: names that cannot escape, runs that cannot collide, folders that say why not."""

import errno
import os
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from core.errors import NoSuchRun, NotWritable
from core.workspace.names import SLUG_BYTES, slug
from core.workspace.paths import RunPaths, Workspace, make_folder

NOW = datetime(2026, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Maria Gonzalez", "maria-gonzalez"),
        ("张伟", "张伟"),
        ("José e\u0301", "josé-é"),
        ("a/b\\c", "a-b-c"),
        ("../../etc/passwd", "etc-passwd"),
        ("...", "assistant"),
        ("", "assistant"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("a\x00b\nc", "a-b-c"),
        ("CON", "con"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "full-width"),
        ("👩‍🔧", "assistant"),
        ("a_b", "a-b"),
        ("$HOME `x` {y} %s", "home-x-y-s"),
        ("İstanbul", "i\u0307stanbul"),
    ],
)
def test_slugs(text: str, name: str) -> None:
    assert slug(text) == name


@pytest.mark.parametrize(
    "text", ["a " * 100, "x" * 500, "张" * 500, "a张" * 200, "𠮷" * 100, "- " * 300, "\u0130" * 60]
)
def test_a_slug_is_a_file_name(text: str) -> None:
    name = slug(text)
    assert 0 < len(name.encode()) <= SLUG_BYTES and not name.startswith(("-", ".")) and not name.endswith("-")


def test_no_character_escapes_from_a_slug() -> None:
    for code in range(0x10000):
        name = slug(f"{chr(code)}a")
        assert "/" not in name and "\\" not in name and "\0" not in name and not name.startswith("."), hex(
            code
        )
        assert "\n" not in name and name.isprintable(), hex(code)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "工作 区" / "a b")


def test_a_new_run_is_named_after_time_and_name(workspace: Workspace) -> None:
    run = workspace.new_run("张伟 & Co", NOW)
    assert run.id == "20260102-030405-张伟-co" and run.root.is_dir()
    assert workspace.run(run.id) == run


def test_runs_of_one_second_do_not_collide(workspace: Workspace) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: workspace.new_run("x", NOW), range(20)))
    assert len({run.id for run in runs}) == 20
    assert sorted(path.name for path in workspace.run_folders()) == sorted(run.id for run in runs)


def test_runs_are_found_newest_first(workspace: Workspace) -> None:
    assert workspace.run_folders() == []
    for day in (3, 1, 2):
        workspace.new_run("x", datetime(2026, 1, day))
    (workspace.runs / "file").touch()
    assert [path.name[:8] for path in workspace.run_folders()] == ["20260103", "20260102", "20260101"]


@pytest.mark.parametrize("run_id", ["", ".", "..", "../runs", "/etc", "x\0", "no", "a/../20260102-030405-x"])
def test_what_is_no_run(workspace: Workspace, run_id: str) -> None:
    workspace.new_run("x", NOW)
    with pytest.raises(NoSuchRun):
        workspace.run(run_id)


def test_every_file_of_a_run_is_inside_it(workspace: Workspace) -> None:
    run = RunPaths(workspace.runs / "r")
    names = ("recipe", "config", "data", "versions", "result", "work_dir", "adapter", "merged")
    paths = [getattr(run, name) for name in names]
    assert len(set(paths)) == len(paths) and all(run.root in path.parents for path in paths)
    place = workspace.data("../../x")
    assert all(workspace.root in path.parents for path in (place.source, place.rows))


def test_where_the_workspace_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNEBOARD_HOME", "of environment")
    assert Workspace.of("given").root == tmp_path / "given"
    assert Workspace.of(None).root == Workspace.of("").root == tmp_path / "of environment"
    assert Workspace.of("~/x").root == tmp_path / "home" / "x"
    monkeypatch.setenv("TUNEBOARD_HOME", "")
    assert Workspace.of(None).root == tmp_path / "workspace"
    with pytest.raises(NotWritable):
        Workspace.of("~nobody-of-that-name/x")


def test_preparing_a_workspace(workspace: Workspace) -> None:
    workspace.prepare()
    workspace.prepare()
    assert list(workspace.root.iterdir()) == [workspace.identity], "the proof that it can be written is gone"


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nobody may write: by permission, or where root runs the tests by attribute."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.geteuid() == 0:
        folder = Path("/proc/sys")
    yield folder
    with suppress(OSError):
        folder.chmod(0o755)


def test_folders_that_cannot_be_made_or_written(unwritable: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for root in (unwritable, unwritable / "w", file, file / "w", tmp_path / ("x" * 300)):
        with pytest.raises(NotWritable) as caught:
            Workspace(root).prepare()
        assert str(root) in str(caught.value)


def test_a_workspace_that_is_a_link_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(NotWritable, match="leads back to itself"):
        Workspace.of(tmp_path / "loop" / "w")


def test_a_disk_without_room(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(NotWritable, match="the disk is full"):
        workspace.prepare()


def test_making_folders(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_folder(folder)
    make_folder(folder, exist_ok=True)
    with pytest.raises(FileExistsError):
        make_folder(folder)


def test_slugs_do_not_depend_on_how_a_name_is_composed() -> None:
    assert slug(unicodedata.normalize("NFD", "José Müller")) == slug("José Müller")
