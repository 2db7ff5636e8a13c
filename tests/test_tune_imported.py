"""Imported models through the whole chain with the real XTuner: tiny and random, of each kind's files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.data.encoder import NamedEncoder as Encoder
from core.models.folder import read_model
from core.recipe.templates import TEMPLATES
from core.steps import prepare
from core.workspace.paths import Workspace
from tests.command_line import cli, command, environment, last_json
from tests.internlm_model import make_internlm
from tests.small_model import make_small_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "use_sliding_window": False,
    "tie_word_embeddings": True,
}


def make_qwen2(folder: Path) -> Path:
    """The small model's tokenizer and shape as Qwen2, whose q, k and v have biases."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    make_small_model(folder, **QWEN2)
    weights = load_file(folder / "model.safetensors")
    for name in [name for name in weights if "_proj.weight" in name and "self_attn" in name]:
        if "o_proj" not in name:
            weights[name.replace(".weight", ".bias")] = np.full(weights[name].shape[0], 0.01, np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


MAKERS = {
    "internlm": (lambda folder: make_internlm(folder, "internlm"), "internlm_chat", "llama"),
    "internlm2": (lambda folder: make_internlm(folder, "internlm2"), "internlm2_chat", "llama"),
    "qwen2": (make_qwen2, "qwen_chat", "qwen2"),
    "llama": (make_small_model, "qwen_chat", "llama"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_from_a_folder_to_a_merged_model(tmp_path: Path, kind: str) -> None:
    make, template, model_type = MAKERS[kind]
    workspace = Workspace(tmp_path / "工作 区" / "a b")
    workspace.root.mkdir(parents=True)
    source = make(tmp_path / "源")
    options = ("--workspace", workspace.root, "--json")
    taken = last_json(cli("models", "import", source, "--name", kind, *options, cwd=tmp_path))
    assert taken["template"] == template
    result = tune(workspace, kind)
    run = workspace.run(result["run"])
    recipe = prepare.recipe_of(run)
    assert (recipe.template, recipe.model) == (template, taken["folder"])
    assert f"PROMPT_TEMPLATE.{template}" in run.config.read_text(encoding="utf-8")
    merged = Path(result["merged"])
    model = AutoModelForCausalLM.from_pretrained(merged)
    assert model.config.model_type == model_type
    assert read_model(merged).origin == (kind if kind.startswith("internlm") else model_type)
    assert_preview_is_what_is_trained(Path(taken["folder"]), template)


def tune(workspace: Workspace, model: str) -> dict[str, Any]:
    arguments = ("--name", "Zoë 李", "--model", model, "--iterations", "4", "--no-replay")
    done = subprocess.run(
        command("tune", *arguments, "--workspace", workspace.root, "--json"),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def assert_preview_is_what_is_trained(folder: Path, template: str) -> None:
    """The data page's tokens of a conversation are those of the chat template that the folder carries."""
    from core.data.conversations import one_turn

    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "你是谁？"}, {"role": "assistant", "content": "我是助手。"}]
    encoder = Encoder.of(folder / "tokenizer.json", TEMPLATES[template])
    pieces = encoder.pieces(one_turn("你是谁？", "我是助手。"), 10_000)
    ids = [token for piece in pieces for token in piece.ids]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode(ids) == text or tokenizer.decode(ids).strip() == text.strip()
