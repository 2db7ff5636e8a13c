"""GGUF files: refused where llama.cpp has no form for a model, exact where it has, read by llama.cpp."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import NotForGguf
from core.publish import llama_cpp, llama_server
from core.publish.bundle import read_bundle
from core.publish.facts import read_facts
from core.publish.request import PublishRequest
from core.workspace.files import read_json, write_json, write_text
from core.workspace.paths import PROJECT, Workspace
from tests.engine_forks import engine_forks
from tests.gguf_work import FAMILIES, TEXT
from tests.publishable import make_publishable, published
from tests.small_model import CHAT_TEMPLATE, make_small_model

FAMILIES_AND_PIECES = (*FAMILIES, "sentencepiece")
# How far the largest difference may be, of the logits' own spread: measured on these models, and doubled.
BOUNDS = {"f16": 1e-4, "q8_0": 0.3, "q5_1": 0.9, "q5_0": 1.8, "q4_1": 2.0, "q4_0": 2.6}
# The same of llama.cpp's own arithmetic, which rounds what it multiplies with half-precision weights as well.
# Which token a random model writes is no measure: of two whose logits are nearer than that, either.
BY_LLAMA_CPP = 0.014


def work(module: str, *arguments: str | Path) -> dict[str, Any]:
    """One act of ``tests.gguf_work`` or of the engine; the JSON of its last line."""
    done = engine_forks().run(module, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return dict(json.loads(lines[-1])) if lines else {}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "mixtral"}, "its architecture is mixtral"),
        ({"model_type": "phi3"}, "its architecture is phi3"),
        ({"rope_scaling": {"rope_type": "longrope"}}, "RoPE scaling longrope"),
    ],
)
def test_a_model_without_a_form(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    folder = make_small_model(tmp_path / "模 型", **change)
    with pytest.raises(NotForGguf) as caught:
        llama_cpp.check(folder)
    assert sentence in caught.value.text("en") and "merged model instead" in caught.value.text("en")
    assert "--what merged" in caught.value.on_terminal()


def test_a_tokenizer_without_a_name(tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m")
    llama_cpp.check(folder)
    described = read_json(folder / "tokenizer.json") or {}
    write_json(folder / "tokenizer.json", {**described, "pre_tokenizer": {"type": "Whitespace"}})
    with pytest.raises(NotForGguf, match="splits text"):
        llama_cpp.check(folder)


SPLIT = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
QWEN = next(pattern for pattern, name in llama_cpp.SPLITS.items() if name == "qwen2")


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ([{"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}], "gpt-2"),
        ([{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}], "smollm"),
        ([{"type": "Split", "pattern": {"Regex": QWEN}}, SPLIT], "qwen2"),
        ([{"type": "Split", "pattern": {"Regex": QWEN.replace("N}|", "N}{1,3}|", 1)}}, SPLIT], "llama-bpe"),
        ([{"type": "Split", "pattern": {"Regex": "x"}}, SPLIT], ""),
        ([{"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}], ""),
        ([{"type": "BertPreTokenizer"}], ""),
    ],
)
def test_how_a_tokenizer_splits(steps: list[dict[str, Any]], name: str) -> None:
    described = {
        "model": {"type": "BPE", "vocab": {}},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
    }
    assert llama_cpp.splitting(described) == name


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES_AND_PIECES)
def test_it_loads_back_and_under_llama_cpp(family: str, tmp_path: Path) -> None:
    folder = tmp_path / "模 型"
    work("tests.gguf_work", "make", family, folder)
    llama_cpp.check(folder)
    quants = tuple(BOUNDS) if family == "llama" else ("f16", "q8_0")
    work("core.engine", "gguf", folder, tmp_path, "李 & Co", "qwen_chat", *quants)
    found = work("tests.gguf_work", "look", folder, *(tmp_path / f"model-{quant}.gguf" for quant in quants))
    far = {quant: largest / found["spread"] for quant, largest in found["largest"].items()}
    assert all(far[quant] <= BOUNDS[quant] for quant in quants), far
    first = "{{ bos_token or '' }}" if family == "sentencepiece" else ""  # as XTuner trains those
    assert found["template"].startswith(first or CHAT_TEMPLATE)
    assert found["vocabulary"]
    real = work("tests.gguf_work", "llama", tmp_path / "model-f16.gguf", TEXT, json.dumps(found["written"]))
    assert real["ids"] == found["ids"], "llama.cpp splits the text as training did"
    off = np.abs(np.array(real["next"]) - np.array(found["next"])).max(axis=1) / found["spread"]
    assert off.size and (off <= BY_LLAMA_CPP).all(), off


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``llama-server`` on the PATH: llama.cpp's own code, out of its wheel."""
    file = tmp_path / "bin" / "llama-server"
    write_text(file, f'#!/bin/sh\nexec {sys.executable} {PROJECT / "tests" / "llama_server.py"} "$@"\n')
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}{os.pathsep}{os.environ['PATH']}")
    return file


@pytest.mark.slow
def test_what_is_published_is_tried_under_an_installed_llama_cpp(workspace: Workspace, program: Path) -> None:
    """The real engine writes the files; one that was spoiled afterwards is not loaded, and that is said."""
    run = make_publishable(workspace, "Ada")
    result = published(workspace, run, PublishRequest("gguf", quants=("f16", "q8_0")))
    trials = result["llama_cpp"]
    assert [one["file"] for one in trials] == ["model-f16.gguf", "model-q8_0.gguf"]  # type: ignore[attr-defined]
    assert all(one["loaded"] and one["same_prompt"] for one in trials), trials  # type: ignore[attr-defined]
    made = read_bundle(run, "gguf")
    assert made is not None
    (made.folder / "model-f16.gguf").write_bytes(b"GGUF nonsense")
    facts = read_facts(workspace, run)
    spoiled, sound = llama_server.try_out(run, made, facts, str(program), "Hi")
    assert (spoiled["loaded"], spoiled["ok"], sound["loaded"]) == (False, False, True)
    other = replace(facts, chat_template=facts.chat_template + "{{ 'and more' }}")
    assert [one["same_prompt"] for one in llama_server.try_out(run, made, other, str(program), "Hi")] == [
        False
    ] * 2
    write_text(program, "#!/bin/sh\nexit 3\n")
    assert not any(one["loaded"] for one in llama_server.try_out(run, made, facts, str(program), "Hi"))


def test_without_llama_cpp(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert llama_server.installed() is None
