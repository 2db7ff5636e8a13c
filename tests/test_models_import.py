"""Models in, on the command line: real processes, a hub on this machine, folders with awkward names."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from core.errors import (
    DiskFull,
    DownloadFailed,
    HubOutOfReach,
    ModelExists,
    NoSuchSource,
    NotAModel,
    QuantizedBase,
)
from core.jobs.launch import launch, wait
from core.jobs.status import State
from core.model_store.importing import IMPORT, ImportRequest, files_from, list_models, place_of, plan
from core.models.folder import find_model, read_model
from core.models.hubs import (
    MIRROR,
    MIRROR_VARIABLE,
    HubPlace,
    ModelSource,
    RemoteFile,
    places,
    source_of,
    wanted,
)
from core.steps import download, watch
from core.steps.step import run_job
from core.wording import say
from core.workspace.import_paths import importing, imports
from core.workspace.paths import Workspace
from tests.command_line import cli, command, environment, last_json
from tests.conftest import end_leftovers
from tests.hub_server import COMMIT, Fault, Hub, serving
from tests.internlm_model import into_pickles, make_internlm
from tests.marks import slow_but
from tests.small_model import make_small_model

HUBS = ("huggingface", "modelscope")
REPO = "some-org/Tiny.Model-1"
SECRET = "hf_a-secret-of-mine"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    found = Workspace(tmp_path / "工作 区" / "a b")
    found.root.mkdir(parents=True)
    yield found
    end_leftovers(tmp_path)


@pytest.fixture(params=["tests.fake_engine", pytest.param("tests.forked_engine", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes the model's folder, as the environment names it: the real engine loads torch for it."""
    return {"TUNEBOARD_ENGINE": request.param}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving(Hub({REPO: make_small_model(tmp_path / "remote")})) as found:
        yield found


def take_in(
    workspace: Workspace, hub: Hub | None, *arguments: str | Path, **added: str
) -> subprocess.CompletedProcess[str]:
    own = hub.environment(HF_HOME=str(workspace.root / "hf"), **added) if hub else added
    options = ("--workspace", workspace.root, "--json")
    return cli("models", "import", *arguments, *options, cwd=workspace.root.parent, **own)


def models(workspace: Workspace, **added: str) -> dict[str, dict[str, Any]]:
    done = last_json(cli("models", "--workspace", workspace.root, "--json", cwd=workspace.root, **added))
    return {model["name"]: model for model in done["models"]}


# --- from a folder ---


def test_a_folder_by_a_name_of_any_kind(workspace: Workspace, tmp_path: Path, engine: dict[str, str]) -> None:
    source = make_small_model(tmp_path / "源 'x'")
    done = last_json(take_in(workspace, None, source, "--name", "../我的 模型 №1", **engine))
    folder = Path(done["folder"])
    assert folder.parent == workspace.models and (done["how"], done["source"]) == ("link", str(source))
    assert (done["architecture"], done["template"], done["trainable"]) == (
        "LlamaForCausalLM",
        "qwen_chat",
        True,
    )
    assert find_model(workspace, "../我的 模型 №1") == folder
    assert models(workspace)[folder.name]["parameters"] == done["parameters"] == 139_584


def test_twice_is_harmless_and_another_model_is_not_overwritten(
    workspace: Workspace, tmp_path: Path, engine: dict[str, str]
) -> None:
    source, other = make_small_model(tmp_path / "one"), make_small_model(tmp_path / "two", seed=1)
    first = last_json(take_in(workspace, None, source, "--name", "m", **engine))
    weights = Path(first["folder"]) / "model.safetensors"
    before = weights.lstat().st_mtime_ns
    assert last_json(take_in(workspace, None, source, "--name", "m", **engine)) == first
    refused = take_in(workspace, None, other, "--name", "M", **engine)
    assert refused.returncode == 2 and "named m from" in refused.stderr
    assert weights.lstat().st_mtime_ns == before and not (tmp_path / "two" / "x").exists()


def test_the_starter_s_name_is_taken(workspace: Workspace, tmp_path: Path) -> None:
    refused = take_in(workspace, None, make_small_model(tmp_path / "x"), "--name", "Starter")
    assert refused.returncode == 2 and "named starter from" in refused.stderr


def test_without_a_name_it_keeps_its_own(
    workspace: Workspace, tmp_path: Path, engine: dict[str, str]
) -> None:
    done = last_json(take_in(workspace, None, make_small_model(tmp_path / "My Model"), "--copy", **engine))
    assert (done["name"], done["how"]) == ("my-model", "copy")


@pytest.mark.slow
def test_internlm_from_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    source = make_internlm(tmp_path / "internlm2 chat", "internlm2")
    refused = cli("data", "--name", "Zoë", "--model", source, "--workspace", workspace.root, cwd=tmp_path)
    assert refused.returncode == 2 and "scripts/run models import" in refused.stderr
    done = last_json(take_in(workspace, None, source, "--name", "im2"))
    assert (done["how"], done["origin"], done["template"]) == ("convert", "internlm2", "internlm2_chat")


@pytest.mark.parametrize(
    "given",
    ["no such folder", "/nowhere/at/all", "just-a-name", "a/b/c", "~nobody-x/y z", ""],
)
def test_what_is_neither_a_folder_nor_a_model(workspace: Workspace, given: str) -> None:
    refused = take_in(workspace, None, given, "--name", "m")
    assert refused.returncode == 2 and "neither an existing folder" in refused.stderr, refused.stderr
    assert not list(workspace.root.rglob("*.import"))


def test_a_refused_folder_says_why_in_both_languages(workspace: Workspace, tmp_path: Path) -> None:
    source = make_small_model(tmp_path / "x", num_experts=4)
    for language, word in (("en", "mixture of experts"), ("zh", "混合专家")):
        refused = take_in(workspace, None, source, "--name", "m", TUNEBOARD_LANG=language)
        assert refused.returncode == 2 and word in refused.stderr and "Traceback" not in refused.stderr
    assert not models(workspace)


def test_a_broken_folder_hides_no_other_in_the_list(workspace: Workspace) -> None:
    make_small_model(workspace.models / "good")
    make_small_model(workspace.models / "awq", quantization_config={"quant_method": "awq"})
    (workspace.models / "empty").mkdir()
    found = models(workspace, TUNEBOARD_LANG="en")
    assert {name: model["trainable"] for name, model in found.items()} == {
        "awq": False,
        "empty": False,
        "good": True,
    }
    assert "quantized (awq)" in found["awq"]["why"] and "no config.json" in found["empty"]["why"]
    shown = cli("models", "--workspace", workspace.root, cwd=workspace.root, COLUMNS="200")
    assert "0.1M" in shown.stdout and "awq" in shown.stdout


# --- from a hub, to the end ---


@pytest.mark.slow
@pytest.mark.parametrize("where", HUBS)
def test_a_model_from_a_hub(workspace: Workspace, hub: Hub, where: str) -> None:
    done = last_json(take_in(workspace, hub, REPO, "--hub", where, "--name", "tiny"))
    assert (done["how"], done["source"]) == ("move", f"{where}:{REPO}")
    folder = workspace.models / "tiny"
    for name in ("model.safetensors", "tokenizer.json"):
        assert (folder / name).read_bytes() == (hub.models[REPO] / name).read_bytes()
    assert not importing(workspace, "tiny").files.exists(), "it lies there twice"
    asked = len(hub.asked)
    assert last_json(take_in(workspace, hub, REPO, "--hub", where, "--name", "tiny"))["name"] == "tiny"
    assert len(hub.asked) == asked, "what is there was asked for again"


@pytest.mark.slow
def test_internlm_from_a_hub_in_pickles(workspace: Workspace, hub: Hub, tmp_path: Path) -> None:
    source = make_internlm(tmp_path / "v1", "internlm")
    into_pickles(source)
    hub.models["internlm/internlm-chat-7b"] = source
    page = "https://huggingface.co/internlm/internlm-chat-7b/tree/main"
    done = last_json(take_in(workspace, hub, page, "--revision", COMMIT))
    assert (done["name"], done["source"]) == (
        "internlm-chat-7b",
        f"huggingface:internlm/internlm-chat-7b@{COMMIT}",
    )
    assert (done["how"], done["template"], done["origin"]) == ("convert", "internlm_chat", "internlm")


@pytest.mark.slow
def test_a_stopped_download_goes_on_where_it_was(workspace: Workspace, hub: Hub, large: str) -> None:
    """Interrupted at the keyboard while the weights are on their way; what had arrived is not sent again."""
    reached = threading.Event()
    hub.faults.append(Fault(r"GET /cdn/.*model\.safetensors", cut=11_000_000, times=1))

    def slow() -> None:
        if any(one[2] for one in hub.requests("/cdn/")):  # the second try, with a range
            reached.set()
            time.sleep(30)

    hub.delay = slow
    line = command("models", "import", large, "--name", "m", "--workspace", workspace.root)
    added = hub.environment(HF_HOME=str(workspace.root / "hf"))
    with subprocess.Popen(
        line, env=environment(**added), stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert reached.wait(90)
        os.kill(running.pid, signal.SIGINT)
        assert running.wait(60) == 130
    hub.delay = lambda: None
    hub.asked.clear()
    last_json(take_in(workspace, hub, large, "--name", "m"))
    (weights,) = hub.requests("/cdn/")
    assert weights[1].endswith("model.safetensors") and weights[2] == "bytes=10485760-"
    assert read_model(workspace.models / "m").parameters


def test_a_refusal_reaches_a_person_in_words(workspace: Workspace, hub: Hub) -> None:
    for language, word in (("en", "no such model"), ("zh", "没有这个模型")):
        refused = take_in(workspace, hub, "nobody/nothing", TUNEBOARD_LANG=language)
        assert refused.returncode == 1 and word in refused.stderr and "Traceback" not in refused.stderr
    refused = take_in(workspace, hub, REPO, "--name", "m", HF_HUB_OFFLINE="1")
    assert refused.returncode == 1 and "HF_HUB_OFFLINE is set" in refused.stderr


# --- when a hub gives no answer ---


class Heard:
    """A command's progress, as far as it was said in words."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, _: str) -> None:
        return

    def update(self, *_: object) -> None:
        return

    def say(self, key: str, **values: object) -> None:
        self.said.append(say(key, "en", **values))


@pytest.fixture
def dead() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def nearby(workspace: Workspace, hub: Hub, dead: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Fetch a model's files from the first of some places; the addresses are the environment's."""
    monkeypatch.setenv("TUNEBOARD_HUB_PAUSE", "0.02")
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    monkeypatch.setenv("HF_HOME", str(workspace.root / "hf"))
    monkeypatch.setenv("HF_TOKEN", SECRET)

    def run(*known: HubPlace, hf: str = dead, modelscope: str = dead) -> tuple[str, list[str]]:
        monkeypatch.setenv("HF_ENDPOINT", hf)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", modelscope)
        heard, paths = Heard(), importing(workspace, "m")
        source = files_from(paths, known, heard)
        files = download.read(paths)[0]
        assert (files / "model.safetensors").read_bytes() == (
            hub.models[REPO] / "model.safetensors"
        ).read_bytes()
        return str(source), heard.said

    return run


ON_HUGGING_FACE, ON_MODELSCOPE = (HubPlace(ModelSource(known, REPO)) for known in HUBS)


def test_modelscope_is_asked_where_hugging_face_is_silent(
    workspace: Workspace, nearby: Callable[..., Any], hub: Hub
) -> None:
    source, said = nearby(ON_HUGGING_FACE, ON_MODELSCOPE, modelscope=hub.address)
    assert source == f"modelscope:{REPO}"
    (told,) = said
    assert told.startswith(f"huggingface:{REPO} gave no answer (cannot connect to http://127.0.0.1:")
    assert told.endswith(f"Asking modelscope:{REPO} instead.")
    notes: list[str] = []
    paths = importing(workspace, "m")
    watch.downloaded(paths.job("download"), paths.files, lambda _, note: notes.append(note))()
    assert notes[0].startswith("ModelScope (no answer from Hugging Face) · ")


def test_hugging_face_is_asked_where_modelscope_is_silent(nearby: Callable[..., Any], hub: Hub) -> None:
    source, said = nearby(ON_MODELSCOPE, ON_HUGGING_FACE, hf=hub.address)
    assert source == f"huggingface:{REPO}" and len(said) == 1


def test_a_mirror_gets_no_token(nearby: Callable[..., Any], hub: Hub) -> None:
    source, said = nearby(ON_HUGGING_FACE, HubPlace(ON_HUGGING_FACE.source, hub.address))
    assert source == f"huggingface:{REPO}"
    assert said[0].endswith(f"Asking huggingface:{REPO} ({hub.address.removeprefix('http://')}) instead.")
    assert hub.asked and not any(SECRET in one[3] for one in hub.asked)


def test_a_hub_that_is_broken_is_as_good_as_silent(nearby: Callable[..., Any], hub: Hub) -> None:
    hub.faults.append(Fault("/api/models/", status=503))
    source, said = nearby(ON_HUGGING_FACE, ON_MODELSCOPE, hf=hub.address, modelscope=hub.address)
    assert source == f"modelscope:{REPO}" and "HTTP 503" in said[0]
    assert len(hub.requests("/api/models/")) == 2, "another hub waits"


def test_all_that_was_tried_is_said_where_none_answers(nearby: Callable[..., Any]) -> None:
    with pytest.raises(HubOutOfReach) as failed:
        nearby(ON_HUGGING_FACE, ON_MODELSCOPE)
    told = str(failed.value.values["reason"])
    assert told.count("cannot connect to") == 2
    assert f"huggingface:{REPO}: cannot" in told and f"; modelscope:{REPO}: cannot" in told


def test_a_hub_that_says_no_is_believed(nearby: Callable[..., Any], hub: Hub) -> None:
    """It answered: another hub's copy of what somebody may not have is not looked for."""
    unknown = HubPlace(ModelSource("huggingface", "nobody/nothing"))
    with pytest.raises(DownloadFailed, match="no such model") as failed:
        nearby(unknown, ON_MODELSCOPE, hf=hub.address, modelscope=hub.address)
    assert type(failed.value) is DownloadFailed


def test_where_a_model_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", MIRROR_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    sources = [ON_HUGGING_FACE.source, ON_MODELSCOPE.source]
    mirrored = HubPlace(ON_HUGGING_FACE.source, MIRROR)
    assert places(sources) == [ON_HUGGING_FACE, ON_MODELSCOPE, mirrored]
    assert places(sources[1:]) == [ON_MODELSCOPE]
    assert str(mirrored) == f"huggingface:{REPO} (hf-mirror.com)"
    monkeypatch.setenv(MIRROR_VARIABLE, "https://near.example")
    assert places(sources[:1]) == [ON_HUGGING_FACE, HubPlace(sources[0], "https://near.example")]
    for name, value in (
        (MIRROR_VARIABLE, ""),
        ("HF_ENDPOINT", "https://mine.example"),
        ("HF_HUB_OFFLINE", "1"),
    ):
        monkeypatch.setenv(name, value)
        assert places(sources) == [ON_HUGGING_FACE, ON_MODELSCOPE]
        monkeypatch.setenv(name, "0" if name == "HF_HUB_OFFLINE" else "")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_model_of_the_list_by_its_short_name(
    workspace: Workspace, hub: Hub, dead: str, language: str
) -> None:
    """Whatever the language asks first: the one hub that answers has it."""
    hub.models["Qwen/Qwen3-0.6B"] = hub.models[REPO]
    silent = {"HF_ENDPOINT": dead, "TUNEBOARD_LANG": language, "TUNEBOARD_HUB_PAUSE": "0.02"}
    done = last_json(take_in(workspace, hub, "qwen3-0.6b", **silent))
    assert (done["name"], done["source"]) == ("qwen3-0-6b", "modelscope:Qwen/Qwen3-0.6B")
    asked = len(hub.asked)
    assert last_json(take_in(workspace, hub, "Qwen/Qwen3-0.6B", **silent))["name"] == "qwen3-0-6b"
    assert len(hub.asked) == asked, "what is there was asked for again"


# --- a download by itself ---


@pytest.fixture
def large(hub: Hub, tmp_path: Path) -> str:
    """13 MB of weights: huggingface_hub writes pieces of 10 MB, and goes on with what is written."""
    hub.models["org/large"] = make_internlm(tmp_path / "large", "internlm")
    return "org/large"


@pytest.fixture
def fetch(workspace: Workspace, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run the download's own job to its end; returns the folder of what came."""
    added = {"HF_HOME": str(workspace.root / "hf"), "TUNEBOARD_LANG": "en", "TUNEBOARD_HUB_PAUSE": "0.02"}
    for name, value in hub.environment(**added).items():
        monkeypatch.setenv(name, value)

    def run(where: Any, repo: str = REPO, revision: str | None = None) -> Path:
        paths = importing(workspace, "m")
        run_job(
            "download",
            paths.job("download"),
            download.plan(paths, HubPlace(ModelSource(where, repo, revision))),
            secrets=download.secrets(),
        )
        return download.read(paths)[0]

    return run


Fetch = Callable[..., Path]
WEIGHTS = r"GET /(cdn/.*|api/v1/.*FilePath=)model\.safetensors"


@pytest.mark.parametrize("where", HUBS)
def test_only_what_makes_the_model_is_fetched(fetch: Fetch, hub: Hub, where: str) -> None:
    folder = hub.models[REPO]
    for name in ("pytorch_model.bin", "model.gguf", "consolidated.safetensors", "modeling_x.py", "notes.txt"):
        (folder / name).write_bytes(b"x" * 20_000)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"x" * 20_000)
    came = {file.name for file in fetch(where).iterdir() if file.is_file() and file.name != ".gitignore"}
    assert came == {
        *("config.json", "generation_config.json", "model.safetensors", "tokenizer.json"),
        "tokenizer_config.json",
    }
    assert not any(
        name in str(hub.asked) for name in (".bin", "gguf", "consolidated", ".py", "notes", "onnx")
    )


@pytest.mark.parametrize("where", HUBS)
def test_a_connection_that_breaks_off_is_gone_on_with(fetch: Fetch, hub: Hub, where: str, large: str) -> None:
    hub.faults.append(Fault(WEIGHTS, cut=11_000_000, times=2))
    folder = fetch(where, large)
    assert (folder / "model.safetensors").read_bytes() == (
        hub.models[large] / "model.safetensors"
    ).read_bytes()
    ranges = [one[2] for one in hub.requests("model.safetensors") if one[2]]
    assert ranges and all(int(one[len("bytes=") :].partition("-")[0]) >= 10_000_000 for one in ranges)


def test_a_large_file_in_pieces_is_gone_on_with(
    fetch: Fetch, hub: Hub, large: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several streams modelscope-hub fetches a large file in pieces of its own, here of 4 MB."""
    monkeypatch.setenv("MODELSCOPE_DOWNLOAD_PARALLEL_WORKERS", "2")
    monkeypatch.setenv("MODELSCOPE_DOWNLOAD_PARALLEL_THRESHOLD_MB", "1")
    monkeypatch.setenv("MODELSCOPE_DOWNLOAD_PART_SIZE_MB", "4")
    weights = (hub.models[large] / "model.safetensors").read_bytes()
    folder = importing(workspace, "m").files
    folder.mkdir(parents=True)
    (folder / f"model.safetensors_0_{(4 << 20) - 1}").write_bytes(weights[: 4 << 20])
    (folder / "of-another-revision.json").write_text("{}")
    assert (fetch("modelscope", large) / "model.safetensors").read_bytes() == weights
    ranges = {one[2] for one in hub.requests("FilePath=model.safetensors")}
    assert f"bytes={4 << 20}-{(8 << 20) - 1}" in ranges and not any(
        one.startswith("bytes=0-") for one in ranges
    )
    assert sorted(path.suffix for path in folder.glob("*model*")) == [".model", ".safetensors"]
    assert not (folder / "of-another-revision.json").exists()


@pytest.mark.parametrize("where", HUBS)
def test_a_file_of_other_content_is_fetched_anew_and_then_refused(fetch: Fetch, hub: Hub, where: str) -> None:
    hub.faults.append(Fault(WEIGHTS, spoil=True, times=1))
    weights = fetch(where) / "model.safetensors"
    assert weights.read_bytes() == (hub.models[REPO] / "model.safetensors").read_bytes()
    weights.unlink()
    hub.faults.append(Fault(WEIGHTS, spoil=True))
    with pytest.raises(DownloadFailed, match="differs from the hub's checksum"):
        fetch(where)
    assert not weights.exists()


@pytest.mark.parametrize(
    ("where", "status"),
    slow_but({("huggingface", 429), ("modelscope", 503)}, product(HUBS, (429, 500, 503))),
)
def test_what_passes_is_waited_for(fetch: Fetch, hub: Hub, where: str, status: int) -> None:
    hub.faults += [
        Fault(r"GET /api/", status=status, times=1, headers={"Retry-After": "1"}),
        Fault(r"config\.json", status=status, times=1),
        Fault(WEIGHTS, status=status, times=1),
    ]
    assert (fetch(where) / "model.safetensors").exists()


REFUSALS = (
    ("/api/", 401, "", "no such model|rejected the token"),
    ("/api/", 403, "", "request access"),
    ("/api/", 403, "GatedRepo", "request access"),
    ("/api/", 404, "RepoNotFound", "no such model"),
    ("/api/", 429, "", "too many requests"),
    ("/api/", 500, "", "HTTP 500"),
    ("/api/", 418, "", "HTTP 418"),
    (r"[/=]config\.json", 403, "", "request access"),
)
FAST_REFUSALS = {("huggingface", *REFUSALS[2]), ("modelscope", *REFUSALS[0]), ("modelscope", *REFUSALS[5])}


@pytest.mark.parametrize(
    ("where", "path", "status", "code", "words"),
    slow_but(FAST_REFUSALS, [(where, *refusal) for where in HUBS for refusal in REFUSALS]),
)
def test_what_a_hub_refuses_is_said(
    fetch: Fetch, hub: Hub, where: str, path: str, status: int, code: str, words: str
) -> None:
    hub.faults.append(Fault(path, status, headers={"X-Error-Code": code} if code else {}))
    with pytest.raises(DownloadFailed, match=words) as caught:
        fetch(where)
    assert f"Downloading {where}:{REPO} failed" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("where", HUBS)
def test_what_is_not_there(fetch: Fetch, where: str) -> None:
    with pytest.raises(DownloadFailed, match="no such model"):
        fetch(where, "nobody/nothing")
    with pytest.raises(DownloadFailed, match=r"no such (revision|model)"):
        fetch(where, REPO, "v99")


@pytest.mark.parametrize("where", HUBS)
def test_nobody_answers(fetch: Fetch, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match=r"cannot connect to http://127\.0\.0\.1:9"):
        fetch(where)


def test_the_token_is_sent_and_written_nowhere(
    fetch: Fetch, hub: Hub, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    fetch("huggingface")
    assert any(SECRET in one[3] for one in hub.asked)
    written = [f for f in workspace.root.rglob("*") if f.is_file() and SECRET.encode() in f.read_bytes()]
    assert not written


@pytest.mark.slow
def test_the_token_reaches_the_download_that_a_page_started(
    workspace: Workspace, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hub.environment(HF_TOKEN=SECRET, HF_HOME=str(workspace.root / "hf")).items():
        monkeypatch.setenv(name, value)
    paths, spec = plan(workspace, ImportRequest(ModelSource("huggingface", REPO), "m"))
    launch(paths.job(IMPORT), spec, download.secrets())
    assert wait(paths.job(IMPORT), timeout=120).state is State.finished
    assert any(SECRET in one[3] for one in hub.asked)


def test_what_cannot_be_trained_is_known_before_its_weights_are_fetched(fetch: Fetch, hub: Hub) -> None:
    config = hub.models[REPO] / "config.json"
    about = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**about, "quantization_config": {"quant_method": "awq"}}))
    with pytest.raises(QuantizedBase, match="awq"):
        fetch("huggingface")
    assert not hub.requests("/cdn/")


def test_a_disk_without_room_is_said_before_anything_is_fetched(fetch: Fetch, hub: Hub) -> None:
    hub.sizes["model.safetensors"] = 1 << 60
    with pytest.raises(DiskFull, match="are needed"):
        fetch("huggingface")
    assert not hub.requests("/cdn/")


# --- what a person may mean, and what is wanted of a listing ---


@pytest.mark.parametrize(
    ("given", "hub_given", "expected"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", None, ModelSource("huggingface", "Qwen/Qwen2.5-0.5B-Instruct")),
        ("Qwen/Qwen2.5-0.5B-Instruct", "modelscope", ModelSource("modelscope", "Qwen/Qwen2.5-0.5B-Instruct")),
        (" https://huggingface.co/a/b ", None, ModelSource("huggingface", "a/b")),
        ("https://hf-mirror.com/a/b/blob/main/config.json", None, ModelSource("huggingface", "a/b")),
        ("https://www.modelscope.cn/models/a/b/summary", None, ModelSource("modelscope", "a/b")),
        ("https://modelscope.cn/models/a/b?tab=1", None, ModelSource("modelscope", "a/b")),
    ],
)
def test_a_source(given: str, hub_given: Any, expected: ModelSource) -> None:
    assert source_of(given, hub_given) == expected


@pytest.mark.parametrize(
    ("given", "revision"),
    [
        ("https://evil.example/a/b", None),
        ("http://huggingface.co/a/b", None),
        ("https://huggingface.co.evil.example/a/b", None),
        ("https://huggingface.co/datasets/a/b/c", "x y"),
        ("a/b", "../main"),
        ("a/b", "-x"),
        ("a/..b/c", None),
        ("a/b\nc", None),
        ("ä/b", None),
        ("-a/b", None),
    ],
)
def test_what_is_no_source(given: str, revision: str | None) -> None:
    with pytest.raises(NoSuchSource):
        source_of(given, None, revision)


def test_a_folder_goes_before_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert source_of("org/model") == ModelSource(None, str(tmp_path / "org" / "model"))
    assert source_of("org/model", "huggingface").hub == "huggingface"


def names(*given: str) -> list[RemoteFile]:
    return [RemoteFile(name, 1) for name in given]


def test_what_is_wanted_of_a_listing() -> None:
    found = wanted(
        names(
            *("config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"),
            *("pytorch_model.bin", "tokenizer.model", "original/model.safetensors", "../config.json"),
            *("adapter_model.safetensors", "consolidated.00.safetensors", "x.py", "LICENSE.txt", "README.md"),
        ),
        "here",
    )
    assert {file.name for file in found} == {
        *("config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"),
        *("tokenizer.model", "LICENSE.txt", "README.md"),
    }
    assert [
        f.name for f in wanted(names("config.json", "pytorch_model-1.bin", "training_args.bin"), "x")
    ] == [
        "config.json",
        "pytorch_model-1.bin",
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("config.json", "a.gguf"), "GGUF"),
        (("adapter_config.json", "adapter_model.safetensors"), "adapter"),
        (("config.json",), r"\*\.safetensors"),
        (("model.safetensors",), r"config\.json"),
        ((), r"config\.json"),
    ],
)
def test_a_listing_without_a_model(given: tuple[str, ...], reason: str) -> None:
    with pytest.raises(NotAModel, match=reason):
        wanted(names(*given), "here")


@pytest.mark.parametrize(
    ("without", "named"),
    [
        (("tokenizer.json",), "tokenizer.json is missing"),
        (("tokenizer.json", "vocab.json"), "merges.txt is missing"),
    ],
)
def test_a_model_without_a_tokenizer_names_the_missing_file(
    without: tuple[str, ...], named: str, workspace: Workspace, tmp_path: Path
) -> None:
    folder = make_small_model(tmp_path / "m")
    (folder / without[0]).unlink()
    for name in without[1:]:
        (folder / name).write_text("{}")
    done = take_in(workspace, None, folder)
    assert done.returncode == 2 and named in done.stderr and "NoneType" not in done.stderr
    assert not [*(workspace.models).glob("m/*")]


def test_a_model_that_git_lfs_has_not_fetched(workspace: Workspace, tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m")
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    done = take_in(workspace, None, folder)
    assert done.returncode == 2 and "git lfs pull" in done.stderr


def test_imports_are_found_by_their_folders(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    paths = importing(workspace, "Qwen2.5 7B")
    paths.root.mkdir(parents=True)
    assert imports(workspace) == [paths] and paths.model == workspace.model("Qwen2.5 7B")
    assert list_models(workspace) == []


def test_a_model_that_was_put_there_by_hand_is_not_overwritten(workspace: Workspace) -> None:
    make_small_model(workspace.models / "m")
    with pytest.raises(ModelExists):
        place_of(workspace, ImportRequest(ModelSource(None, "/elsewhere"), "m"))
