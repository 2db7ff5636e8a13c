"""Where a copy can go: what is mounted, a folder that somebody names, and what is refused."""

import os
import shutil
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import NoPlaceForIt, PlaceFull, PlaceRefused, StickGone
from core.publish import deliver, disks
from core.publish.request import PublishRequest, To, What
from core.workspace.files import write_text
from core.workspace.paths import Workspace
from core.workspace.publish_paths import published as default_place
from tests.command_line import cli, last_json
from tests.publishable import NAME, make_publishable, published, without_keyring


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    without_keyring(monkeypatch, tmp_path)
    found = Workspace(tmp_path / "工作 区" / "it's a b")
    (found.root / "models").mkdir(parents=True)
    return found


def mounted(monkeypatch: pytest.MonkeyPatch, **folders: Path) -> None:
    """What the machine has mounted, by the kind of its file system."""
    found = [SimpleNamespace(mountpoint=str(folder), fstype=kind) for kind, folder in folders.items()]
    monkeypatch.setattr(disks.psutil, "disk_partitions", lambda **_: found)


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_whatever_is_mounted_but_what_a_machine_runs_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {kind: made(tmp_path / "disks" / f"a {kind}") for kind in ("vfat", "ext4", "tmpfs", "fuseblk")}
    others = {
        "overlay": Path("/"),
        "devtmpfs": Path("/dev"),
        "xfs": Path("/home"),
        "proc": Path("/proc"),
        "nfs4": made(tmp_path / "a server elsewhere"),
        "btrfs": tmp_path,  # the workspace's own
        "exfat": tmp_path / "gone",
    }
    mounted(monkeypatch, **places, **others)
    assert [disk.folder for disk in disks.disks(workspace)] == sorted(places.values())
    assert "a tmpfs" in disks.looked_for(workspace)
    mounted(monkeypatch, **others)
    assert disks.looked_for(workspace).startswith("No memory stick")


def test_a_disk_is_known_by_its_name(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = made(tmp_path / "media" / "ada" / "KINGSTON 8")
    mounted(monkeypatch, vfat=stick)
    assert disks.chosen("KINGSTON 8", workspace) == stick == disks.chosen(str(stick), workspace)
    with pytest.raises(PlaceRefused, match="KINGSTON 8") as refused:
        disks.chosen("KINGSTN", workspace)
    assert "it does not exist" in refused.value.text("en")


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("/", ["it belongs to the system"]),
        ("/etc", ["it belongs to the system"]),
        ("/usr/lib", ["it belongs to the system"]),
        ("/proc/self/cwd/../../no such folder", ["it does not exist"]),
        ("{outside}/none", ["it does not exist"]),
        ("{outside}/file", ["it is not a folder"]),
        ("{outside}/file/x", ["part of the path is a file, not a folder"]),
        ("{workspace}/file", ["it is not a folder", "it lies inside the workspace"]),
        ("{workspace}", ["it lies inside the workspace"]),
        ("{outside}/x/../within/models", ["it lies inside the workspace"]),
        ("{outside}/round", ["it is a link that leads back to itself"]),
        ("{outside}/a\0b", ["it does not exist"]),
        ("{outside}/" + "x" * 300, ["the name is too long"]),
        ("~nobody-is-called-so/x", ["there is no such user"]),
    ],
)
def test_a_folder_that_is_no_place(
    workspace: Workspace, tmp_path: Path, text: str, reasons: list[str]
) -> None:
    for file in (tmp_path / "file", workspace.root / "file"):
        file.touch()
    made(tmp_path / "x")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "within").symlink_to(workspace.root)
    with pytest.raises(PlaceRefused) as refused:
        disks.chosen(text.format(workspace=workspace.root, outside=tmp_path), workspace)
    assert refused.value.values["reason"] == "; ".join(reasons)


def test_a_copy_gets_a_folder_of_its_own_in_the_place(workspace: Workspace, tmp_path: Path) -> None:
    run, stick = make_publishable(workspace, logged=False), made(tmp_path / "STICK")
    (stick / "letter.txt").touch()
    own = default_place(workspace, NAME, "adapter").name
    for to, name in (("folder", own), ("zip", f"{own}.zip")):
        request = PublishRequest("adapter", to, into=str(stick))  # type: ignore[arg-type]
        assert published(workspace, run, request)["where"] == str(stick / name)
    assert sorted(path.name for path in stick.iterdir()) == sorted(["letter.txt", own, f"{own}.zip"])


def test_copies_of_one_name_leave_each_other_alone(workspace: Workspace, tmp_path: Path) -> None:
    """By two runs of one name, as a folder and as a ZIP, beside something else that is called so."""
    stick = made(tmp_path / "STICK")
    write_text(stick / "林小满-adapter" / "letter.txt", "dear")
    first, second = (make_publishable(workspace, "林小满", logged=False) for _ in range(2))
    orders = [(first, "zip"), (second, "folder"), (first, "folder"), (second, "zip")]
    names = [
        Path(str(published(workspace, run, PublishRequest("adapter", to, into=str(stick)))["where"])).name  # type: ignore[arg-type]
        for run, to in orders * 2
    ]
    assert names == [f"林小满-adapter-{end}" for end in ("2.zip", "3", "2", "3.zip")] * 2
    shutil.rmtree(stick / "林小满-adapter")
    (stick / "林小满-adapter-2").rename(stick / "elsewhere")
    again = [
        deliver.destination(workspace, run, PublishRequest("adapter", into=str(stick))) for run, _ in orders
    ]
    assert [place.name for place in again[:2]] == ["林小满-adapter-2", "林小满-adapter-3"]
    shutil.rmtree(stick / "elsewhere")
    (stick / "林小满-adapter-2.zip").write_bytes(b"no ZIP")
    assert (
        deliver.destination(workspace, first, PublishRequest("adapter", into=str(stick))).name
        == "林小满-adapter"
    )
    third = make_publishable(workspace, "林 小满 adapter-2!", logged=False)
    assert deliver.destination(workspace, third, PublishRequest("adapter", "zip")).name == (
        "林-小满-adapter-2-adapter.zip"
    )


@pytest.mark.parametrize("to", ["folder", "zip"])
@pytest.mark.parametrize("what", ["adapter", "merged", "app"])
@pytest.mark.parametrize("taken", ["", "{}", "{}.zip"])
def test_what_is_promised_is_what_is_made(
    workspace: Workspace, tmp_path: Path, what: What, to: To, taken: str
) -> None:
    """Before the press, after it, and once more."""
    run, stick = make_publishable(workspace, "林小满", logged=False), made(tmp_path / "STICK")
    if taken:
        write_text(stick / taken.format(f"林小满-{what}"), "somebody's own")
    request = PublishRequest(what, to, into=str(stick))
    promised = deliver.destination(workspace, run, request)
    assert promised.name.removesuffix(".zip") == f"林小满-{what}" + ("-2" if taken else "")
    for _ in range(2):
        assert published(workspace, run, request)["where"] == str(promised)
        assert promised.exists() and deliver.destination(workspace, run, request) == promised


def test_a_whole_disk_is_not_replaced_by_a_copy(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stick = make_publishable(workspace, logged=False), made(tmp_path / "STICK")
    monkeypatch.setattr(Path, "is_mount", lambda path: path == stick)
    found = deliver.destination(workspace, run, PublishRequest("adapter", out=stick))
    assert found == stick / default_place(workspace, NAME, "adapter").name


def test_what_is_named_outright_is_looked_at_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_publishable(workspace, logged=False)
    for out in (workspace.models / "mine", Path("/etc/mine"), Path("/usr/mine.zip")):
        with pytest.raises(PlaceRefused):
            published(workspace, run, PublishRequest("adapter", "zip" if out.suffix else "folder", out=out))
    monkeypatch.setattr(deliver.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(PlaceFull, match="another place"):
        published(workspace, run, PublishRequest("adapter", out=workspace.root.parent / "mine"))


def test_a_stick_that_is_gone_before_the_copy(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "DESKTOPS", (made(tmp_path / "media"),))
    run = make_publishable(workspace, logged=False)
    for request, error in (
        (PublishRequest("adapter", out=tmp_path / "media" / "ada" / "STICK" / "mine"), StickGone),
        (PublishRequest("adapter", into=str(tmp_path / "media" / "ada" / "STICK")), PlaceRefused),
    ):
        with pytest.raises(error):
            published(workspace, run, request)
    assert not list((tmp_path / "media").iterdir())


def test_everybody_can_read_what_is_published(workspace: Workspace, tmp_path: Path) -> None:
    """Under any umask, with the folders that were made for it; in the workspace its own folder is closed."""
    run = make_publishable(workspace, logged=False)
    before = os.umask(0o077)
    try:
        workspace.keep_private()
        kept = Path(str(published(workspace, run, PublishRequest("app"))["where"]))
        there = tmp_path / "new" / "folders" / "chat"
        published(workspace, run, PublishRequest("app", out=there))
        (there / "app" / "README.md").chmod(0o600)  # as an earlier version left it
        published(workspace, run, PublishRequest("app", out=there))
    finally:
        os.umask(before)
    modes = {
        path.relative_to(there).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in there.rglob("*")
    }
    assert {modes["Start-Linux.sh"], modes["app/model"], modes["app/.streamlit"]} == {0o755}
    inside = ("README.md", "SHA256SUMS", "model/model.safetensors", ".streamlit/config.toml")
    assert {modes[f"app/{name}"] for name in inside} == {0o644}
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o755 for folder in (there, *there.parents[:2]))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o755 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_the_command_takes_a_disk_by_its_name_or_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    run, there = make_publishable(workspace, logged=False), made(tmp_path / "there")
    options = ("--workspace", workspace.root, "--what", "adapter", "--json")
    done = last_json(cli("publish", run.id, *options, "--into", "there", cwd=tmp_path))
    assert Path(done["where"]).parent == there
    wrong = cli("publish", run.id, *options, "--into", "no such disk", cwd=tmp_path)
    assert wrong.returncode == 2 and "does not exist" in wrong.stderr and "Traceback" not in wrong.stderr
    both = cli("publish", run.id, *options, "--into", there, "--out", there / "x", cwd=tmp_path)
    assert both.returncode == 2 and "only one of them" in both.stderr


def test_an_app_s_zip_is_laid_out_as_its_folder_is_and_what_goes_by_git_is_flat(
    workspace: Workspace, tmp_path: Path
) -> None:
    run, there = make_publishable(workspace, logged=False), made(tmp_path / "there")
    folder = Path(str(published(workspace, run, PublishRequest("app", into=str(there)))["where"]))
    file = Path(str(published(workspace, run, PublishRequest("app", "zip", into=str(there)))["where"]))
    assert file.stem == folder.name, "it is known for the same run's"
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")
        modes = {one.filename: one.external_attr >> 16 & 0o777 for one in archive.infolist()}
    unpacked = tmp_path / "unpacked" / folder.name
    names = {path.relative_to(folder) for path in folder.rglob("*")}
    assert names == {path.relative_to(unpacked) for path in unpacked.rglob("*")}
    assert (unpacked / "app" / "SHA256SUMS").read_bytes() == (folder / "app" / "SHA256SUMS").read_bytes()
    assert modes[f"{folder.name}/Start-Linux.sh"] == 0o755
    assert modes[f"{folder.name}/app/SHA256SUMS"] == 0o644
    before = folder.stat().st_ino
    published(workspace, run, PublishRequest("app", into=str(there)))
    assert folder.stat().st_ino == before, "the same is not written again"
    (folder / "Start-Linux.sh").write_text("changed", encoding="utf-8")
    with pytest.raises(NoPlaceForIt):
        published(workspace, run, PublishRequest("app", into=str(there)))
    by_git = PublishRequest("app", "openxlab", repo="a/b", out=tmp_path / "git")
    assert by_git.by_git
    flat = Path(str(published(workspace, run, by_git)["where"]))
    assert (flat / "app.py").exists() and (flat / "Start-Linux.sh").exists() and not (flat / "app").exists()
