"""OpenXLab by its real client in its own environment, against a hub here; how that environment is made."""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import NoToken, StepFailed
from core.publish import client_venv, tokens
from core.publish.hub import PAGES, Parcel, Refusal
from core.publish.request import PublishRequest
from core.publish.send import again, hub_of
from core.wording import say
from core.workspace.files import write_text
from core.workspace.paths import RunPaths, Workspace
from core.workspace.publish_paths import ClientPaths, PublishPaths
from tests.fake_hub import Repo, State
from tests.fake_openxlab import AK, JWT, SK, TOKEN, openxlab
from tests.marks import slow_but
from tests.publishable import REPO, Silent, make_publishable, published, without_keyring
from tests.secrets_kept import publish_secretly

# scripts/setup --dev makes it.
CLIENT = Path(sys.prefix) / "clients" / "openxlab"
PUT = "PUT /xlab-model-center"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    without_keyring(monkeypatch, tmp_path)
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    monkeypatch.setenv("TUNEBOARD_HUB_PAUSE", "0.05")
    monkeypatch.setattr("core.publish.send.TRIES", 2)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    found = Workspace(tmp_path / "工作 区" / "a b")
    client = ClientPaths.of(found, "openxlab")
    client.root.parent.mkdir(parents=True)
    client.root.symlink_to(CLIENT)
    assert client_venv.is_ready(client), "run scripts/setup --dev"
    return found


@pytest.fixture
def hub(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    with openxlab() as state:
        monkeypatch.setenv("OPENXLAB_ENDPOINT", f"{state.url}/api/v1")
        monkeypatch.setenv("OPENXLAB_OSS_ENDPOINT", state.url)
        tokens.keep("openxlab", TOKEN)
        yield state


@pytest.fixture
def run(workspace: Workspace) -> RunPaths:
    return make_publishable(workspace, "Ada")


@pytest.fixture
def parcel(workspace: Workspace, tmp_path: Path) -> Parcel:
    """A small file and one of four parts."""
    folder = tmp_path / "包 裹"
    write_text(folder / "provenance.json", "{}")
    (folder / "model.safetensors").write_bytes(random.Random(7).randbytes(30_000_000))
    files = {name: (folder / name).stat().st_size for name in ("provenance.json", "model.safetensors")}
    client = str(ClientPaths.of(workspace, "openxlab").python)
    return Parcel("openxlab", "merged", REPO, False, "mit", folder, files, client)


def sent(parcel: Parcel, record: Path) -> str:
    """Send it as the job does; the page's address."""
    hub = hub_of(parcel, record)
    again(hub.check)
    return again(lambda: hub.send(lambda *_: None))


def refusal(parcel: Parcel, record: Path) -> str:
    """The sentence of the hub's no."""
    with pytest.raises(Refusal) as caught:
        sent(parcel, record)
    return say(f"hub.no.{caught.value.key}", "en", **{"page": PAGES["openxlab"], **caught.value.values})


def weights(parcel: Parcel) -> bytes:
    return (parcel.folder / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_it_is_there_private_and_proved(workspace: Workspace, hub: State, run: RunPaths) -> None:
    progress, request = Silent(), PublishRequest("merged", "openxlab", repo=REPO)
    result = published_with(workspace, run, request, progress)
    there, folder = hub.repos[REPO], PublishPaths(run).bundle("merged")
    assert there.private and there.files == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert result["ok"] and str(result["where"]) == f"https://openxlab.org.cn/models/detail/{REPO}"
    assert progress.stages == ["bundle", "send", "fetch", "arrival"], "its client is installed once"
    assert not hub.count("bury"), "no call is reported to anybody"
    puts = hub.count(PUT)
    published(workspace, run, request)
    assert hub.count(PUT) == puts, "twice is harmless, and sends nothing"
    published(workspace, run, replace(request, public=True))
    assert hub.count(PUT) == puts and there.private, "it is not opened to everybody by accident"


def published_with(
    workspace: Workspace, run: RunPaths, request: PublishRequest, progress: Silent
) -> dict[str, object]:
    from core.publish.publish import publish

    return publish(workspace, run, request, progress)


@pytest.mark.slow
def test_what_changed_is_sent_alone(hub: State, parcel: Parcel, tmp_path: Path) -> None:
    sent(replace(parcel, public=True), tmp_path)
    assert not hub.repos[REPO].private
    puts = hub.count(PUT)
    write_text(parcel.folder / "provenance.json", '{"a": 1}')
    write_text(parcel.folder / "new.txt", "more")
    sent(replace(parcel, files={"new.txt": 4, **parcel.files}), tmp_path)
    assert hub.count(PUT) == puts + 2 and hub.repos[REPO].private, "and private is meant"
    assert hub.repos[REPO].files == {file.name: file.read_bytes() for file in parcel.folder.iterdir()}


@pytest.mark.parametrize("fault", slow_but([("drop",)], [("drop",), (503,), (403,)]))
def test_it_goes_on_with_the_part_that_broke(
    hub: State, parcel: Parcel, tmp_path: Path, fault: int | str
) -> None:
    """In the same process where that may help; after a final no when it is published again."""
    hub.faults[PUT] = ["pass", "pass", "pass", fault]
    if fault == 403:
        assert "permission denied" in refusal(parcel, tmp_path)
    sent(parcel, tmp_path)
    assert hub.repos[REPO].files["model.safetensors"] == weights(parcel)
    assert hub.count(PUT) == 1 + 4 + 1, "one small file, four parts, one of them twice"
    assert not list(tmp_path.glob("*-openxlab-*")), "what a break left is removed"


@pytest.mark.slow
def test_parts_of_another_content_are_not_mixed_in(hub: State, parcel: Parcel, tmp_path: Path) -> None:
    hub.faults[PUT] = ["pass", "pass", "pass", 403]
    refusal(parcel, tmp_path)
    (parcel.folder / "model.safetensors").write_bytes(random.Random(8).randbytes(30_000_000))
    sent(parcel, tmp_path)
    assert hub.repos[REPO].files["model.safetensors"] == weights(parcel)


@pytest.mark.slow
def test_an_upload_that_the_hub_forgot_begins_anew(hub: State, parcel: Parcel, tmp_path: Path) -> None:
    hub.faults[PUT] = ["pass", "pass", "pass", 403]
    refusal(parcel, tmp_path)
    hub.parts.clear()
    sent(parcel, tmp_path)
    assert hub.repos[REPO].files["model.safetensors"] == weights(parcel)


NOES = (
    ("open/auth", 401, "token is invalid"),
    ("createModelRepository", 403, "permission denied"),
    ("createModelRepository", 500, "problem of its own"),
    ("getUploadSignature", 429, "too many requests"),
    ("getFileDownloadUrl", 404, "does not exist"),
    (PUT, 402, "storage there is full"),
    (PUT, 413, "smaller shards"),
)


@pytest.mark.parametrize(("where", "status", "sentence"), slow_but({NOES[0], NOES[5]}, NOES))
def test_each_no_is_a_sentence(
    hub: State, parcel: Parcel, tmp_path: Path, where: str, status: int, sentence: str
) -> None:
    hub.faults[where] = [status] * 40
    assert sentence in refusal(parcel, tmp_path)
    hub.faults.clear()
    assert sent(parcel, tmp_path).endswith(REPO)


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (f"{AK} wrong", "token is invalid"),
        (f"other {SK}", "token is invalid"),
        (SK, "two keys are needed"),
        ("a b c", "two keys are needed"),
    ],
)
def test_keys_that_are_not_right(
    hub: State, parcel: Parcel, tmp_path: Path, token: str, sentence: str
) -> None:
    tokens.keep("openxlab", token)
    said = refusal(parcel, tmp_path)
    assert sentence in said and SK not in said


@pytest.mark.slow
def test_another_owner_s_name(hub: State, parcel: Parcel, tmp_path: Path) -> None:
    """The client makes every repository under the key's own name; that shows with the small files."""
    write_text(parcel.folder / "small.txt", "x")
    files = {"small.txt": 1, **parcel.files}
    assert "grace/x does not exist" in refusal(replace(parcel, repo="grace/x", files=files), tmp_path)
    assert hub.count(PUT) == 2, "one a try, and not the large one"


@pytest.mark.slow
def test_a_file_that_shows_only_after_a_moment(hub: State, parcel: Parcel, tmp_path: Path) -> None:
    """Nothing is sent twice for that."""
    later = hub.hidden = {"provenance.json"}

    def show() -> None:
        while hub.count("getFileDownloadUrl") < 1:
            time.sleep(0.01)
        time.sleep(0.2)
        later.clear()

    threading.Thread(target=show, daemon=True).start()
    sent(parcel, tmp_path)
    assert hub.count(PUT) == 1 + 4


@pytest.mark.slow
def test_a_foreign_repository_is_left_alone(hub: State, parcel: Parcel, tmp_path: Path) -> None:
    hub.repos[REPO] = Repo(False, "model", {"thesis.pdf": b"years"}, names=["thesis.pdf"])
    assert "contains something else" in refusal(parcel, tmp_path)
    assert hub.repos[REPO].files == {"thesis.pdf": b"years"} and not hub.repos[REPO].private


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("OPENXLAB_ENDPOINT", "http://127.0.0.1:1", "cannot connect to http://127.0.0.1:1"),
        ("OPENXLAB_OSS_ENDPOINT", "http://127.0.0.1:1", "cannot connect"),
        ("OPENXLAB_ENDPOINT", "nonsense", "is not a valid address"),
        ("HTTPS_PROXY", "", "proxy blocks the connection"),
    ],
)
def test_no_way_there(
    hub: State,
    parcel: Parcel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    sentence: str,
) -> None:
    monkeypatch.setenv(variable, value or hub.url)
    if variable == "HTTPS_PROXY":
        monkeypatch.setenv("OPENXLAB_ENDPOINT", "https://hub.invalid/api/v1")
    assert sentence in refusal(parcel, tmp_path)


@pytest.mark.slow
def test_what_arrives_changed_is_said(workspace: Workspace, hub: State, run: RunPaths) -> None:
    def spoil() -> None:
        while REPO not in hub.repos or "config.json" not in hub.repos[REPO].files:
            time.sleep(0.01)
        hub.repos[REPO].files["config.json"] = b"{}"

    threading.Thread(target=spoil, daemon=True).start()
    result = published(workspace, run, PublishRequest("merged", "openxlab", repo=REPO))
    assert result["ok"] is False and result["proof"]["changed"] == ("config.json",)  # type: ignore[index]
    again = published(workspace, run, PublishRequest("merged", "openxlab", repo=REPO))
    assert again["ok"], "what was changed there is sent again"


def test_an_app_goes_by_git(workspace: Workspace, hub: State, run: RunPaths) -> None:
    result = published(workspace, run, PublishRequest("app", "openxlab", repo=REPO))
    assert "git clone" in str(result["next"]) and (Path(str(result["where"])) / "app.py").exists()
    assert not hub.seen


def test_without_keys(workspace: Workspace, hub: State, run: RunPaths) -> None:
    tokens.forget("openxlab")
    with pytest.raises(NoToken):
        published(workspace, run, PublishRequest("adapter", "openxlab", repo=REPO))
    assert not PublishPaths(run).bundle("adapter").exists(), "said before anything is made"


@pytest.mark.slow
def test_the_keys_are_nowhere(workspace: Workspace, hub: State, run: RunPaths, tmp_path: Path) -> None:
    """Not in any file that was written, nor in any process's arguments or environment, though the hub repeats
    them in its messages."""
    tokens.forget("openxlab")
    hub.words = f"said back: {TOKEN} {AK} {SK} {JWT}"
    hub.faults = {"createModelRepository": [503], "getUploadSignature": [409], PUT: [503]}
    publish_secretly(workspace, run, "openxlab", f"{AK} {SK}", secrets=(AK, SK, JWT), folder=tmp_path)
    assert not list((tmp_path / "temporary").glob("tuneboard-*")), "no home is left behind"


def test_a_client_is_installed_once_and_anew_with_other_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real uv, without a network: an environment of nothing."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    client = ClientPaths(tmp_path / "工作 区" / "c", tmp_path / "pins.txt")
    write_text(client.pins, "# nothing\n")
    assert not client_venv.is_ready(client)
    client_venv.install(client, tmp_path / "job")
    assert client_venv.is_ready(client) and client.python.exists()
    made = client.mark.stat().st_mtime_ns
    client_venv.install(client, tmp_path / "job")
    assert client.mark.stat().st_mtime_ns == made
    write_text(client.pins, "# nothing else\n")
    assert not client_venv.is_ready(client)
    client_venv.install(client, tmp_path / "job")
    assert client_venv.is_ready(client)


def test_a_client_that_cannot_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    client = ClientPaths(tmp_path / "c", tmp_path / "pins.txt")
    write_text(client.pins, "openxlab==0.1.3\n")
    with pytest.raises(StepFailed) as caught:
        client_venv.install(client, tmp_path / "job")
    said = caught.value.text("en")
    assert "openxlab" in said, said
    assert "publish to a folder" in said and "Traceback" not in said
    assert not client_venv.is_ready(client)
    assert os.environ["UV_OFFLINE"] == "1"
