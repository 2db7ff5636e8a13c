"""The real clients against hubs on this machine: sending, resuming, refusing, proving, keeping the token."""

import os
import random
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from core.errors import NoToken
from core.publish import post, tokens
from core.publish.hub import PAGES, Parcel, Refusal
from core.publish.publish import publish
from core.publish.request import PublishRequest, To
from core.publish.send import again, hub_of
from core.wording import say, sentences
from core.workspace.files import write_text
from core.workspace.paths import PROJECT, RunPaths, Workspace
from core.workspace.publish_paths import PublishPaths
from tests import fake_hugging_face, fake_modelscope
from tests.fake_hub import State
from tests.marks import slow_but
from tests.publishable import REPO, Silent, make_publishable, published, without_keyring
from tests.secrets_kept import publish_secretly

TOKENS = {"huggingface": fake_hugging_face.TOKEN, "modelscope": fake_modelscope.TOKEN}
MAKERS = ("hub", "huggingface", "modelscope", "openxlab")
MOMENT = 0.2
BOTH: tuple[To, ...] = ("huggingface", "modelscope")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    without_keyring(monkeypatch, tmp_path)
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    monkeypatch.setenv("TUNEBOARD_HUB_PAUSE", "0.05")
    monkeypatch.setenv("MODELSCOPE_UPLOAD_BLOB_RETRY_BACKOFF_BASE_SECONDS", "1")
    return Workspace(tmp_path / "工作 区" / "a b")


@pytest.fixture
def hubs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[To, State]]:
    """Both hubs; what waits in this process, as their clients do for up to 8 s, waits for a moment."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, MOMENT)))
    with ExitStack() as stack:
        face = stack.enter_context(fake_hugging_face.hugging_face())
        scope = stack.enter_context(fake_modelscope.modelscope())
        monkeypatch.setenv("HF_ENDPOINT", face.url)
        monkeypatch.setattr(constants, "ENDPOINT", face.url)
        # The job that sends has this of its environment, where an endpoint is named.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", scope.url)
        for hub in BOTH:
            tokens.keep(hub, TOKENS[hub])
        yield {"huggingface": face, "modelscope": scope}


@pytest.fixture
def run(workspace: Workspace) -> RunPaths:
    return make_publishable(workspace, "Ada", logged=False)


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    """A few files of a model, small and large."""
    folder = tmp_path / "包 裹"
    write_text(folder / "README.md", "---\nlicense: mit\n---\n")
    write_text(folder / "provenance.json", "{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 700)
    files = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    return Parcel("huggingface", "merged", REPO, False, "mit", folder, files)


def sent(to: To, parcel: Parcel, record: Path) -> str:
    """Send it as the job does; the page's address."""
    hub = hub_of(replace(parcel, to=to), record)
    again(hub.check)
    return again(lambda: hub.send(lambda *_: None))


def refusal(to: To, parcel: Parcel, record: Path) -> str:
    """The sentence of the hub's no."""
    with pytest.raises(Refusal) as caught:
        sent(to, parcel, record)
    return say(f"hub.no.{caught.value.key}", "en", **{"page": PAGES[to], **caught.value.values})


@pytest.mark.parametrize(
    ("to", "what"),
    slow_but({("huggingface", "adapter"), ("modelscope", "merged")}, product(BOTH, ("adapter", "merged"))),
)
def test_it_is_there_private_and_proved(
    workspace: Workspace, hubs: dict[To, State], run: RunPaths, to: To, what: str
) -> None:
    progress = Silent()
    result = publish(workspace, run, PublishRequest(what, to, repo=REPO), progress)  # type: ignore[arg-type]
    there = hubs[to].repos[REPO]
    assert there.private and there.kind == "model"
    assert there.files == {
        file.relative_to(PublishPaths(run).bundle(what)).as_posix(): file.read_bytes()
        for file in PublishPaths(run).bundle(what).rglob("*")
        if file.is_file()
    }
    assert result["ok"] and result["private"] and str(result["where"]).endswith(REPO)
    assert result["proof"]["files"] == len(there.files) - 1 and len(result["proof"]["rows"]) == 3
    assert progress.stages == ["bundle", "send", "fetch", "arrival"]
    assert not list(run.root.rglob("fetched")), "what was fetched is removed"


@pytest.mark.parametrize("to", slow_but([("modelscope",)], zip(BOTH)))
def test_an_app_has_a_place_of_its_own(
    workspace: Workspace, hubs: dict[To, State], run: RunPaths, to: To
) -> None:
    published(workspace, run, PublishRequest("app", to, repo=REPO))
    there = hubs[to].repos[REPO]
    assert (there.kind, there.sdk) == (
        ("space", "docker") if to == "huggingface" else ("studio", "streamlit")
    )
    assert {"app.py", "requirements.txt", "Dockerfile", "settings.json", "model/model.safetensors"} <= set(
        there.files
    )


FAULTS: tuple[tuple[To, str, int, str], ...] = (
    ("huggingface", "whoami", 401, "token is invalid"),
    ("huggingface", "repos/create", 403, "permission denied"),
    ("huggingface", "GET /api/models", 404, "does not exist"),
    ("huggingface", "preupload", 413, "smaller shards"),
    ("huggingface", "objects/batch", 409, "someone else is changing"),
    ("huggingface", "commit/main", 402, "storage there is full"),
    ("huggingface", "whoami", 429, "too many requests"),
    ("huggingface", "whoami", 503, "problem of its own"),
    ("modelscope", "users/me", 401, "token is invalid"),
    ("modelscope", "POST /api/v1/models", 403, "permission denied"),
    ("modelscope", "commit/master", 413, "smaller shards"),
    ("modelscope", "POST /api/v1/models", 500, "problem of its own"),
)


@pytest.mark.parametrize(
    ("to", "where", "status", "sentence"), slow_but({FAULTS[0], FAULTS[3], FAULTS[8], FAULTS[10]}, FAULTS)
)
def test_each_no_is_a_sentence(
    hubs: dict[To, State], parcel: Parcel, tmp_path: Path, to: To, where: str, status: int, sentence: str
) -> None:
    hubs[to].faults[where] = [status] * 40
    assert sentence in refusal(to, parcel, tmp_path)
    hubs[to].faults.clear()
    assert sent(to, parcel, tmp_path).endswith(REPO)


def test_words_of_a_quota(hubs: dict[To, State], parcel: Parcel, tmp_path: Path) -> None:
    hubs["huggingface"].words = "You have exceeded your private storage limit"
    hubs["huggingface"].faults["objects/batch"] = [403] * 9
    assert "storage there is full" in refusal("huggingface", parcel, tmp_path)


@pytest.mark.parametrize("to", slow_but([("modelscope",)], zip(BOTH)))
def test_a_connection_that_breaks_in_a_file(
    hubs: dict[To, State], parcel: Parcel, tmp_path: Path, to: To
) -> None:
    hubs[to].faults["PUT /"] = ["drop", 503, "drop"]
    sent(to, parcel, tmp_path)
    there = hubs[to].repos[REPO].files["model.safetensors"]
    assert there == (parcel.folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("to", BOTH)
def test_it_goes_on_after_a_failure(hubs: dict[To, State], parcel: Parcel, tmp_path: Path, to: To) -> None:
    """The commit fails for good; the second time no large file is sent again."""
    hub = hubs[to]
    hub.faults["/commit/"] = [403] * 60
    refusal(to, parcel, tmp_path)
    puts = hub.count("PUT /")
    assert puts and "model.safetensors" not in hub.repos[REPO].files
    hub.faults.clear()
    sent(to, parcel, tmp_path)
    assert set(hub.repos[REPO].files) == set(parcel.files) and hub.count("PUT /") == puts


def test_a_file_that_is_there_is_not_sent_again(
    hubs: dict[To, State], parcel: Parcel, tmp_path: Path
) -> None:
    """The hub is gone in the second large file; of the first no part is sent again."""
    second = parcel.folder / "second.safetensors"
    second.write_bytes(bytes(range(255, -1, -1)) * 700)
    files, hub = {**parcel.files, second.name: second.stat().st_size}, hubs["huggingface"]
    hub.faults["PUT /lfs/"] = [*["pass"] * 4, *[403] * 9]
    refusal("huggingface", replace(parcel, files=files), tmp_path)
    hub.faults.clear()
    sent("huggingface", replace(parcel, files=files), tmp_path)
    puts = [line for line in hub.seen if line.startswith("PUT")]
    repeated = {line.split("/")[2] for line in puts if puts.count(line) > 1}
    (oid,) = repeated
    assert hub.store[oid] == second.read_bytes() == hub.repos[REPO].files[second.name]


def test_a_part_that_broke_is_sent_again_alone(hubs: dict[To, State], parcel: Parcel, tmp_path: Path) -> None:
    hub = hubs["huggingface"]
    hub.faults["PUT /lfs/"] = ["pass", 503]
    sent("huggingface", parcel, tmp_path)
    puts = [line.rpartition("/")[2] for line in hub.seen if line.startswith("PUT")]
    assert puts == ["1", "2", "2", "3"]


@pytest.mark.slow
def test_xet_goes_on_in_the_middle_of_a_file(
    hubs: dict[To, State], run: RunPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real hf_xet: after a break only the blocks (64 MB) that were not there are sent."""
    settings = {
        "HF_HUB_DISABLE_XET": "0",
        "HF_XET_XORB_COMPRESSION_POLICY": "none",  # as the hub of the tests reads them
        "HF_XET_FIXED_UPLOAD_CONCURRENCY": "1",
        "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1",
        "HF_XET_DATA_SESSION_XORB_METADATA_FLUSH_INTERVAL": "100ms",  # 20 s by itself
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "包 裹"
    write_text(folder / "provenance.json", "{}")
    weights = random.Random(7).randbytes(200_000_000)
    (folder / "model.safetensors").write_bytes(weights)
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    parcel, hub = Parcel("huggingface", "merged", REPO, False, "mit", folder, files), hubs["huggingface"]
    hub.xet = True
    hub.faults["POST /v1/xorbs"] = ["pass", "pass", 503, 503]
    url = post.send(run.job("send"), parcel, lambda *_: None)
    blocks = [line for line in hub.seen if "/v1/xorbs/" in line]
    assert url.endswith(REPO) and hub.repos[REPO].files["model.safetensors"] == weights
    again = [blocks.count(line) for line in dict.fromkeys(blocks)]
    assert len(again) == 3 and again[0] == 1, "what is on record is not sent again: all but the last seconds"
    assert not hub.count("PUT /lfs/") and not hub.count("telemetry")
    told = [
        file for file in tmp_path.rglob("*") if file.is_file() and tmp_path / "config" not in file.parents
    ]
    assert not [file for file in told if TOKENS["huggingface"].encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("given", "xet"),
    [
        ({}, None),
        ({"HF_ENDPOINT": ""}, None),
        ({"HF_ENDPOINT": "https://mirror.example"}, "1"),
        ({"HF_ENDPOINT": "https://mirror.example", "HF_HUB_DISABLE_XET": "0"}, "0"),
        ({"HF_HUB_DISABLE_XET": "1"}, "1"),
    ],
)
def test_a_mirror_is_not_asked_for_xet(
    given: dict[str, str], xet: str | None, parcel: Parcel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_ENDPOINT", "HF_HUB_DISABLE_XET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    added = post.plan(tmp_path / "send", parcel, "send").env
    assert {**os.environ, **added}.get("HF_HUB_DISABLE_XET") == xet


@pytest.mark.parametrize("to", BOTH)
def test_a_foreign_repository_is_left_alone(
    hubs: dict[To, State], parcel: Parcel, tmp_path: Path, to: To
) -> None:
    sent(to, parcel, tmp_path)
    files = hubs[to].repos[REPO].files
    files.clear()
    files["thesis.pdf"] = b"years of work"
    assert "contains something else" in refusal(to, parcel, tmp_path)
    assert files == {"thesis.pdf": b"years of work"}


@pytest.mark.parametrize("to", BOTH)
def test_public_when_asked_sent_once_and_never_by_accident(
    hubs: dict[To, State], parcel: Parcel, tmp_path: Path, to: To
) -> None:
    for _ in range(2):
        sent(to, replace(parcel, public=True), tmp_path)
    puts = [line for line in hubs[to].seen if line.startswith("PUT")]
    assert not hubs[to].repos[REPO].private and len(puts) == len(set(puts)), "nothing is sent twice"
    assert "already exists and is public" in refusal(to, parcel, tmp_path)


@pytest.mark.parametrize("to", BOTH)
def test_what_is_no_longer_published_goes(
    hubs: dict[To, State], parcel: Parcel, tmp_path: Path, to: To
) -> None:
    sent(to, parcel, tmp_path)
    (parcel.folder / "model.safetensors").unlink()
    sent(
        to,
        replace(parcel, files={n: s for n, s in parcel.files.items() if n != "model.safetensors"}),
        tmp_path,
    )
    assert "model.safetensors" not in hubs[to].repos[REPO].files


def test_who_may_write_where(hubs: dict[To, State], parcel: Parcel, tmp_path: Path) -> None:
    assert sent("huggingface", replace(parcel, repo="the-org/x"), tmp_path).endswith("the-org/x")
    assert "only to ada, the-org" in refusal("huggingface", replace(parcel, repo="grace/x"), tmp_path)
    hubs["huggingface"].role = "read"
    assert "read-only" in refusal("huggingface", parcel, tmp_path)


@pytest.mark.parametrize("to", slow_but([("huggingface",)], zip(BOTH)))
def test_no_network(
    hubs: dict[To, State],
    parcel: Parcel,
    tmp_path: Path,
    to: To,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = "http://127.0.0.1:1"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", endpoint)
    said = refusal(to, parcel, tmp_path)
    assert "cannot connect" in said and endpoint in said


def test_a_proxy_that_refuses(
    hubs: dict[To, State], parcel: Parcel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_session()  # it knows the proxies of the time when it was opened
    monkeypatch.setenv("HTTPS_PROXY", hubs["huggingface"].url)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    assert "proxy blocks the connection" in refusal("huggingface", parcel, tmp_path)


def test_what_arrives_changed_is_said(workspace: Workspace, hubs: dict[To, State], run: RunPaths) -> None:
    hub = hubs["huggingface"]

    def spoil() -> None:
        while REPO not in hub.repos or "config.json" not in hub.repos[REPO].files:
            time.sleep(0.01)
        hub.repos[REPO].files["config.json"] = b"{}"

    threading.Thread(target=spoil, daemon=True).start()
    result = published(workspace, run, PublishRequest("merged", "huggingface", repo=REPO))
    assert result["ok"] is False and result["proof"]["changed"] == ("config.json",)


def test_without_a_token(workspace: Workspace, hubs: dict[To, State], run: RunPaths) -> None:
    for to in BOTH:
        tokens.forget(to)
        with pytest.raises(NoToken):
            published(workspace, run, PublishRequest("adapter", to, repo=REPO))
    assert not PublishPaths(run).bundle("adapter").exists(), "said before anything is made"


def test_the_token_file_is_its_owner_s(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "config" / "tuneboard" / "tokens.json"
    assert tokens.keep("huggingface", "one") == str(file)
    tokens.keep("modelscope", "two")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert (tokens.read("huggingface"), sorted(tokens.kept())) == ("one", ["one", "two"])
    tokens.forget("huggingface")
    assert (tokens.read("huggingface"), tokens.kept()) == (None, ["two"])
    tokens.forget("modelscope")
    assert not file.exists()


def test_the_system_s_keyring_comes_first(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """keyring's own interface with a store in memory."""
    import keyring
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        priority = 1  # type: ignore[assignment]
        kept: dict[tuple[str, str], str] = {}  # noqa: RUF012

        def get_password(self, service: str, username: str) -> str | None:
            return self.kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.kept[service, username]

    monkeypatch.setattr(keyring, "get_keyring", Memory)
    assert tokens.keep("huggingface", "one") == "keyring"
    assert (
        tokens.read("huggingface") == "one"
        and not (tmp_path / "config" / "tuneboard" / "tokens.json").exists()
    )
    tokens.forget("huggingface")
    assert tokens.read("huggingface") is None


@pytest.mark.slow
@pytest.mark.parametrize("to", BOTH)
def test_the_token_is_nowhere(
    workspace: Workspace, hubs: dict[To, State], run: RunPaths, to: To, tmp_path: Path
) -> None:
    """Not in any file that was written, and not in any process's arguments or environment while it works."""
    token = TOKENS[to]
    tokens.forget(to)
    hubs[to].words = f"said back: {token}"
    hubs[to].faults["/users/me" if to == "modelscope" else "whoami"] = [503 if to == "modelscope" else 409]
    assert publish_secretly(workspace, run, to, token, secrets=(token,), folder=tmp_path) > 5


def test_every_refusal_has_its_sentence() -> None:
    """Every key that stands as a string in the two places where refusals are made."""
    source = "".join(
        (PROJECT / "core" / "publish" / f"{name}.py").read_text(encoding="utf-8") for name in MAKERS
    )
    words = set(re.findall(r'"([a-z_]+)"', source))
    told = {key.removeprefix("hub.no.") for key in sentences("en") if key.startswith("hub.no.")}
    assert told <= words
    assert set(re.findall(r'Refusal\("(\w+)"', source)) - {"no_token"} <= told
