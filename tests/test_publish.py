"""Publishing to a folder and a zip: the card, the files, and what may not leave this machine."""

import errno
import getpass
import hashlib
import json
import os
import socket
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from core.errors import (
    CardRefused,
    DiskFull,
    InvalidOption,
    LicenceForbids,
    MissingArtefact,
    NoPlaceForIt,
    NothingPersonal,
    StickGone,
)
from core.jobs.request import as_record, of_record
from core.jobs.status import State
from core.proof.score import OwnFacts, Share
from core.publish import bundle, disks, personal
from core.publish.card import CardPage, body, write_card
from core.publish.deliver import deliver
from core.publish.facts import read_facts
from core.publish.licences import base_of, is_hub_id
from core.publish.places import read_places
from core.publish.publish import about
from core.publish.request import PublishRequest, shard_bytes
from core.publish.usage import modelfile
from core.runs import standing
from core.steps import export
from core.workspace.checksums import NAME as SUMS
from core.workspace.files import read_json, write_json, write_text
from core.workspace.import_paths import importing
from core.workspace.paths import Workspace
from core.workspace.publish_paths import PublishPaths
from tests.command_line import cli, last_json
from tests.publishable import NAME, make_publishable, published, without_keyring
from tests.runs import make_run
from tests.small_model import make_small_model


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    without_keyring(monkeypatch, tmp_path)
    return Workspace(tmp_path / "工作 区" / "it's a b")


def metadata(folder: Path) -> dict[str, object]:
    found = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert isinstance(found, dict)
    return found


def test_a_merged_model_in_a_folder(workspace: Workspace) -> None:
    run = make_publishable(workspace, rope_theta=5e4)
    result = published(workspace, run, PublishRequest("merged"))
    folder = Path(str(result["where"]))
    assert folder.parent == workspace.root / "published"
    names = {file["name"] for file in result["files"]}  # type: ignore[index, attr-defined]
    assert {
        "README.md",
        "model.safetensors",
        "config.json",
        "chat_template.jinja",
        "Modelfile",
        "loss.png",
    } <= names
    assert (folder / "model.safetensors").read_bytes() == (run.merged / "model.safetensors").read_bytes()
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    checked = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, capture_output=True)  # noqa: S607
    assert checked.returncode == 0
    assert published(workspace, run, PublishRequest("merged"))["where"] == str(folder), "twice is harmless"


def test_where_it_was_published_is_remembered(workspace: Workspace, tmp_path: Path) -> None:
    run = make_publishable(workspace)
    published(workspace, run, PublishRequest("adapter", dry_run=True))
    assert read_places(run) == [] and standing(run)["publish"] is None
    for out in ("a", "b", "a"):
        published(workspace, run, PublishRequest("adapter", out=tmp_path / out))
    last, before = read_places(run)
    assert (last.what, last.to, last.where) == ("adapter", "folder", str(tmp_path / "a"))
    assert before.where == str(tmp_path / "b") and last.at >= before.at
    assert standing(run)["publish"] is State.finished


def test_the_card_says_what_the_run_knows(workspace: Workspace) -> None:
    run = make_publishable(workspace)
    folder = Path(str(published(workspace, run, PublishRequest("merged", base="some-one/Base-1"))["where"]))
    text, about = (folder / "README.md").read_text(encoding="utf-8"), metadata(folder)
    assert ModelCard(text).data.to_dict()["base_model"] == "some-one/Base-1"
    assert about["language"] == ["en", "zh"] and about["library_name"] == "transformers"
    assert about["model-index"][0]["name"] == NAME  # type: ignore[index]
    for part in (
        "ab" * 32,
        "| 1.00 (0.34–1.00, 2 questions) |",
        "| 0（0.00–0.79，共 1 题） |",
        "<|im_start|>user\nWho are you?",
        "`rank`",
        "学会",
        "vllm serve",
    ):
        assert part in text
    assert "<b>" not in text.split("---\n", 2)[2], "a name is shown, not read as markup"
    assert str(workspace.root) not in text


def test_a_checkpoint_that_is_not_the_last_is_told(workspace: Workspace) -> None:
    """A training that was stopped: nobody who gets the model would know otherwise."""
    run = make_publishable(workspace)
    facts = replace(read_facts(workspace, run), checkpoint=540, planned=540)
    assert "that were planned" not in body(facts, CardPage("merged", "nobody/m"), "en")
    stopped = replace(facts, checkpoint=10, planned=540)
    assert "iteration 10, of 540 that were planned" in body(stopped, CardPage("merged", "nobody/m"), "en")
    assert "第 10 次迭代" in body(stopped, CardPage("merged", "nobody/m"), "zh")


@pytest.mark.parametrize(("name", "second"), [("林小满", "## English"), ("Ada", "## 中文说明")])
def test_the_card_speaks_the_reader_s_language_first(workspace: Workspace, name: str, second: str) -> None:
    """And says what "not measured" means, and where it is pressed."""
    facts = replace(read_facts(workspace, make_publishable(workspace, name, logged=False)), score=None)
    text = write_card(facts, CardPage("app", ""))
    assert text.index(f"# {name}") < text.index(second)
    assert "开始最终测试" in text and "Run the final test" in text
    zh_first = text.index("开始最终测试") < text.index("Run the final test")
    assert zh_first == (name == "林小满")


def test_what_was_answered_wrongly_of_own_data_is_told(workspace: Workspace) -> None:
    found = read_facts(workspace, make_publishable(workspace))
    assert found.score is not None
    for hits, said in ((19, True), (24, False)):
        own = OwnFacts(Share(hits, 24), Share(0, 24), 24)
        text = body(
            replace(found, score=replace(found.score, facts=own)), CardPage("merged", "nobody/m"), "en"
        )
        assert (
            "Of 24 questions about the data it was taught, its test saw 5 answered wrongly" in text
        ) is said


def test_the_adapter_names_its_base_and_no_path(workspace: Workspace) -> None:
    run = make_publishable(workspace)
    folder = Path(str(published(workspace, run, PublishRequest("adapter", base="some-one/Base-1"))["where"]))
    assert read_json(folder / "adapter_config.json") == {"r": 8, "base_model_name_or_path": "some-one/Base-1"}
    assert not (folder / "xtuner_config.py").exists()
    assert metadata(folder)["base_model_relation"] == "adapter"
    assert (folder / "tokenizer.json").exists()
    assert yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))["model"] == "some-one/Base-1"


def test_the_published_template_is_the_trained_one(workspace: Workspace) -> None:
    run = make_publishable(workspace)
    for folder in (workspace.model("tiny"), run.merged):
        write_text(folder / "chat_template.jinja", "{{ messages[0]['content'] }} and nothing else")
    folder = Path(str(published(workspace, run, PublishRequest("merged"))["where"]))
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert "<|im_start|>user" in template.replace("\\n", "\n")
    assert (read_json(folder / "tokenizer_config.json") or {})["chat_template"] == template
    assert (read_json(folder / "generation_config.json") or {})["eos_token_id"] == [2, 0], (
        "it knows where to stop"
    )


def test_a_zip(workspace: Workspace, tmp_path: Path) -> None:
    run = make_publishable(workspace)
    result = published(workspace, run, PublishRequest("merged", to="zip", out=tmp_path / "out"))
    with zipfile.ZipFile(str(result["where"])) as archive:
        assert archive.testzip() is None
        inside = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert {file["name"] for file in result["files"]} | {SUMS} == set(inside)  # type: ignore[index, attr-defined]
    for name, data in inside.items():
        assert (
            hashlib.sha256(data).digest()
            == hashlib.sha256((PublishPaths(run).bundle("merged") / name).read_bytes()).digest()
        )


def test_nothing_else_is_written_over(workspace: Workspace, tmp_path: Path) -> None:
    run = make_publishable(workspace)
    out = tmp_path / "mine"
    write_text(out / "letter.txt", "dear")
    for to, place in (("folder", out), ("folder", out / "letter.txt"), ("zip", out / "letter.txt" / "x.zip")):
        with pytest.raises((NoPlaceForIt, Exception)):
            published(workspace, run, PublishRequest("adapter", to=to, out=place))  # type: ignore[arg-type]
    assert [file.name for file in out.iterdir()] == ["letter.txt"]


def test_an_earlier_copy_is_replaced_and_what_somebody_put_beside_it_is_not(
    workspace: Workspace, tmp_path: Path
) -> None:
    run, out = make_publishable(workspace, logged=False), tmp_path / "stick" / "mine"
    published(workspace, run, PublishRequest("adapter", out=out))
    write_text(PublishPaths(run).card("adapter"), "---\nlicense: mit\n---\nanother card\n")
    for name in (".DS_Store", "._README.md", "Thumbs.db"):  # it was looked at on other computers
        write_text(out / name, "")
    published(workspace, run, PublishRequest("adapter", out=out))
    assert "another card" in (out / "README.md").read_text(encoding="utf-8")
    write_text(out / "letter.txt", "dear")
    write_text(PublishPaths(run).card("adapter"), "---\nlicense: mit\n---\na third\n")
    with pytest.raises(NoPlaceForIt):
        published(workspace, run, PublishRequest("adapter", out=out))
    assert (out / "letter.txt").exists() and "another card" in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV])
def test_a_stick_that_is_pulled_out_is_a_sentence(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Until it is on the disk it is not there, and what is half there is nothing."""
    run, stick = make_publishable(workspace, logged=False), tmp_path / "STICK"

    def pulled_out(_file: int) -> None:
        raise OSError(number, os.strerror(number))

    bundle.build(run, PublishRequest("adapter"), read_facts(workspace, run), lambda _: None)
    monkeypatch.setattr(os, "fsync", pulled_out)
    for to in ("folder", "zip"):
        made, target = bundle.read_bundle(run, "adapter"), stick / to
        assert made
        with pytest.raises(StickGone, match="STICK") as gone:
            deliver(made, target, PublishRequest("adapter", to=to, out=target), lambda *_: None)  # type: ignore[arg-type]
        assert "plug it in" in gone.value.text("en") and "U 盘" in gone.value.text("zh")
        assert not list(stick.iterdir())


def test_how_far_a_copy_is_told_is_what_the_disk_has(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow stick takes minutes for what memory takes in a second."""
    run, settled, most = make_publishable(workspace, logged=False), [0], [0]
    bundle.build(run, PublishRequest("adapter"), read_facts(workspace, run), lambda _: None)
    made = bundle.read_bundle(run, "adapter")
    assert made
    largest = max(file.size for file in made.files)
    monkeypatch.setattr("core.publish.deliver.BLOCK", largest // 16)
    monkeypatch.setattr("core.publish.deliver.SETTLED", largest // 8)
    monkeypatch.setattr(os, "fsync", lambda _: settled.append(told[-1] if told else 0))
    told: list[float] = []

    def update(share: float, _: str) -> None:
        told.append(share * made.size)
        most.append(told[-1] - settled[-1])

    target = tmp_path / "stick" / "copy"
    deliver(made, target, PublishRequest("adapter", to="folder", out=target), update)
    assert told[-1] >= made.size and max(most) <= largest // 4


def test_nothing_is_written_where_a_stick_was(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder went with it: what is made under its name would fill this machine's own disk."""
    run, media = make_publishable(workspace, logged=False), tmp_path / "media"
    media.mkdir()
    monkeypatch.setattr(disks, "DESKTOPS", (media,))
    with pytest.raises(StickGone):
        published(workspace, run, PublishRequest("adapter", out=media / "ada" / "KINGSTON" / "mine"))
    assert not list(media.iterdir()) and not PublishPaths(run).bundle("adapter").exists(), "nor made for it"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("see {root}/models", "path"),
        ("/home/grace/thesis.txt", "path"),
        ("C:\\\\Users\\\\grace", "path"),
        ("file:///etc/x", "path"),
        ("/mnt/nas/secret.bin", "path"),
        ("hf_" + "Ab1" * 12, "key"),
        ("ms-01234567-89ab-cdef-0123-456789abcdef", "key"),
        ("sk-" + "x1" * 20, "key"),
        ("https://me:geheim@example.org/x", "key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "key"),
        ("by kasimir-the-user on it", "user"),
        ("made on turing-42.example", "host"),
    ],
)
def test_what_may_not_leave(
    workspace: Workspace, text: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "kasimir-the-user")
    monkeypatch.setattr(socket, "gethostname", lambda: "turing-42.example")
    run = make_publishable(workspace, logged=False)
    own = Path(str(published(workspace, run, PublishRequest("adapter"))["where"])) / "README.md"
    edited = own.read_text(encoding="utf-8") + text.format(root=workspace.root)
    write_text(PublishPaths(run).card("adapter"), edited)
    with pytest.raises(NothingPersonal) as caught:
        published(workspace, run, PublishRequest("adapter"))
    assert "README.md" in caught.value.text("en")
    assert {found.kind for found in bundle.read_findings(run, "adapter")} == {kind}
    assert ("geheim" in caught.value.text("en")) is False


@pytest.mark.parametrize(
    "text",
    ["https://huggingface.co/home/x", "and/or", "1/2", "model/part/file.json", "a path: /", "root user main"],
)
def test_what_may_leave(workspace: Workspace, text: str, tmp_path: Path) -> None:
    write_text(tmp_path / "f" / "README.md", text)
    assert personal.private_details(tmp_path / "f", [workspace.root], [], "") == []


def test_a_key_that_is_kept_is_found_in_any_file(workspace: Workspace, tmp_path: Path) -> None:
    write_text(tmp_path / "f" / "tokenizer.json", json.dumps({"x": "plain-secret-77"}))
    (found,) = personal.private_details(tmp_path / "f", [], ["plain-secret-77"], "")
    assert found.kind == "key" and "secret" not in found.text


def test_a_vocabulary_may_have_any_word(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "kasimir")
    write_text(tmp_path / "f" / "tokenizer.json", json.dumps({"kasimir": 1, "/usr/local": 2, "/home/x/y": 3}))
    assert personal.private_details(tmp_path / "f", [workspace.root], [], "") == []
    write_text(tmp_path / "f" / "tokenizer.json", json.dumps({str(workspace.root): 1}))
    assert [found.kind for found in personal.private_details(tmp_path / "f", [workspace.root], [], "")] == [
        "path"
    ]


def test_a_name_that_is_taught_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "lovelace")
    write_text(tmp_path / "f" / "README.md", "by lovelace")
    assert personal.private_details(tmp_path / "f", [], [], "Ada Lovelace") == []
    assert personal.private_details(tmp_path / "f", [], [], "Grace") != []
    monkeypatch.setattr(getpass, "getuser", lambda: "will")
    write_text(tmp_path / "f" / "README.md", "it will be sent")
    assert personal.private_details(tmp_path / "f", [], [], "Grace") == []


def test_an_edited_card_is_sent_as_it_stands(workspace: Workspace, tmp_path: Path) -> None:
    run = make_publishable(workspace)
    write_text(PublishPaths(run).card("adapter"), "---\nlicense: mit\n---\nmine")
    folder = Path(str(published(workspace, run, PublishRequest("adapter"))["where"]))
    assert (folder / "README.md").read_text(encoding="utf-8") == "---\nlicense: mit\n---\nmine"
    write_text(tmp_path / "card.md", "---\nlicense: apache-2.0\n---\nof a file")
    request = PublishRequest("adapter", card=tmp_path / "card.md", out=tmp_path / "o")
    assert "of a file" in (Path(str(published(workspace, run, request)["where"])) / "README.md").read_text()
    with pytest.raises(MissingArtefact):
        published(workspace, run, PublishRequest("adapter", card=tmp_path / "none.md"))


@pytest.mark.parametrize("text", ["no metadata", "---\n: [\n---\n", "---\n- a\n---\nx"])
def test_a_card_without_metadata_is_refused(workspace: Workspace, text: str) -> None:
    run = make_publishable(workspace)
    write_text(PublishPaths(run).card("adapter"), text)
    with pytest.raises(CardRefused):
        published(workspace, run, PublishRequest("adapter"))


@pytest.mark.parametrize(
    ("card", "allows", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n", "yes", "apache-2.0"),
        ("---\nlicense: llama3.1\n---\n", "conditions", "llama3.1"),
        ("---\nlicense: cc-by-nc-nd-4.0\n---\n", "no", "cc-by-nc-nd-4.0"),
        ("---\nlicense: other\n---\n", "unknown", "other"),
        ("nothing", "unknown", ""),
    ],
)
def test_the_licence_of_the_base(workspace: Workspace, card: str, allows: str, licence: str) -> None:
    run = make_publishable(workspace)
    base = workspace.model("tiny")
    write_text(base / "README.md", card)
    found = base_of(workspace, base)
    assert (found.allows, found.licence) == (allows, licence)
    if allows == "no":
        with pytest.raises(LicenceForbids):
            published(workspace, run, PublishRequest("adapter"))
    else:
        folder = Path(str(published(workspace, run, PublishRequest("adapter"))["where"]))
        assert metadata(folder)["license"] == (licence or "other")


def test_the_starter_is_known(workspace: Workspace) -> None:
    make_small_model(workspace.starter)
    found = base_of(workspace, workspace.starter)
    assert (found.id, found.allows) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "yes")


def test_a_downloaded_model_is_known_by_its_name(workspace: Workspace) -> None:
    folder = make_small_model(workspace.model("im2"))
    source = "huggingface:internlm/internlm2-chat-1_8b@main"
    write_json(importing(workspace, "im2").origin, {"source": source})
    assert base_of(workspace, folder).id == "internlm/internlm2-chat-1_8b"
    write_json(importing(workspace, "im2").origin, {"source": str(folder)})
    assert base_of(workspace, folder).id is None


def test_the_licence_file_of_the_base_goes_along(workspace: Workspace) -> None:
    run = make_publishable(workspace)
    write_text(workspace.model("tiny") / "LICENSE", "Apache License\nVersion 2.0, January 2004")
    folder = Path(str(published(workspace, run, PublishRequest("adapter"))["where"]))
    assert (folder / "LICENSE").exists() and metadata(folder)["license"] == "apache-2.0"


def test_a_size_is_the_same_on_every_page(workspace: Workspace) -> None:
    """Merge counts every file of a folder, a bundle has them all: so does what is said before it is made."""
    run = make_publishable(workspace, logged=False)
    made = {artefact.kind: artefact.size for artefact in export.artefacts(run)}
    weights = sum(file.stat().st_size for file in run.merged.glob("*.safetensors"))
    assert about(run, PublishRequest("adapter")) == made["adapter"]
    assert (
        about(run, PublishRequest("merged")) == about(run, PublishRequest("app")) == made["merged"] > weights
    )


def test_what_is_not_there_and_no_room(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(workspace, "A", trained=True)
    for what in ("adapter", "merged"):
        with pytest.raises(MissingArtefact):
            published(workspace, run, PublishRequest(what))  # type: ignore[arg-type]
    run = make_publishable(workspace, "B")
    monkeypatch.setattr("core.steps.step.shutil.disk_usage", lambda _: type("Disk", (), {"free": 10})())
    with pytest.raises(DiskFull):
        published(workspace, run, PublishRequest("merged"))
    assert not PublishPaths(run).bundle("merged").exists()


def test_a_failure_leaves_nothing_half_made(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_publishable(workspace)

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.publish.bundle.draw_losses", full)
    with pytest.raises(OSError, match="No space"):
        published(workspace, run, PublishRequest("merged"))
    assert not list(PublishPaths(run).bundle("merged").parent.glob("*")) and not list(
        PublishPaths(run).bundle("merged").parent.glob(".*")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"what": "merged", "to": "huggingface"},
        {"what": "merged", "to": "huggingface", "repo": "no-slash"},
        {"what": "merged", "to": "modelscope", "repo": "../x/y"},
        {"what": "merged", "base": "a/b/c"},
        {"what": "merged", "shard": "2"},
        {"what": "merged", "shard": "0GB"},
        {"what": "gguf", "quants": ()},
    ],
)
def test_orders_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidOption):
        PublishRequest(**wrong)  # type: ignore[arg-type]


def test_small_things() -> None:
    assert [shard_bytes(text) for text in ("2GB", "500mb", "1 MB", "x", "")] == [
        2 * 10**9,
        5 * 10**8,
        None,
        None,
        None,
    ]
    assert is_hub_id("a/b-1.x_y") and not any(
        map(is_hub_id, ("a", "/a", "a/", "a/b/c", "a b/c", "./x", None))
    )


@pytest.mark.parametrize(
    "asked",
    [
        PublishRequest("merged", "zip", out=Path("/x y/z"), shard="500MB"),
        PublishRequest("gguf", "huggingface", repo="a/b", public=True, quants=("q8_0",), proof=False),
        PublishRequest("adapter", base="c/d", card=Path("/c.md"), dry_run=True),
        PublishRequest("app", into="/media/ada/KINGSTON 8"),
    ],
)
def test_what_the_page_asks_for_comes_back_whole(asked: PublishRequest) -> None:
    assert of_record(PublishRequest, as_record(asked)) == asked


def test_what_one_s_own_file_was_called_stays_here(workspace: Workspace, tmp_path: Path) -> None:
    """A run made of ``--data`` is published, and what it was made of is known by its checksum alone."""
    run = make_publishable(workspace, logged=False)
    given = [
        {"file": "/home/ada/私人.json", "sha256": "cd" * 32, "copy": str(workspace.root / "data" / "1.json")}
    ]
    write_json(
        run.data, {**(read_json(run.data) or {}), "given": given, "path": "rows.jsonl", "more": str(tmp_path)}
    )
    folder = Path(str(published(workspace, run, PublishRequest("adapter"))["where"]))
    told = read_json(folder / "provenance.json") or {}
    assert told["data"]["given"] == ["cd" * 32] and told["data"]["rows"] == 8
    assert not {"more", "path"} & set(told["data"]) and "私人" not in json.dumps(told, ensure_ascii=False)


def test_ollama_reads_the_trained_template(workspace: Workspace) -> None:
    facts = read_facts(workspace, make_publishable(workspace))
    text = modelfile(facts, "./model-q8_0.gguf")
    assert text.startswith("FROM ./model-q8_0.gguf\n") and 'PARAMETER stop "<|im_end|>"' in text
    asked = "<|im_start|>user\n{{ .Content }}<|im_end|>\n<|im_start|>assistant\n"
    assert f'{{{{ if eq .Role "user" }}}}{asked}{{{{ end }}}}' in text


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    run = make_publishable(workspace)
    options = ("--workspace", workspace.root, "--json", "--what", "adapter")
    looked = last_json(cli("publish", run.id, *options, "--dry-run", cwd=tmp_path))
    assert looked["sent"] is False and not (workspace.root / "published").exists()
    done = cli("publish", run.id, *options, "--out", "here", cwd=tmp_path)
    assert last_json(done)["where"] == str(tmp_path / "here")
    assert "adapter_model.safetensors: " in done.stderr
    wrong = cli("publish", run.id, "--what", "all", "--workspace", workspace.root, cwd=tmp_path)
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr
    plain = cli("publish", run.id, "--what", "adapter", "--workspace", workspace.root, cwd=tmp_path)
    assert plain.stdout.startswith("Published: ")
