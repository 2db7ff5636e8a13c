"""Whether a model's own chat template says what the training says, and the Jinja made of a training's."""

import json
from pathlib import Path

import pytest

from core.recipe.chat_template import difference, render, training_template
from core.recipe.templates import TEMPLATES
from tests.small_model import make_small_model

TURNS = [
    {"role": "system", "content": "规则 {{ 7*7 }}"},
    {"role": "user", "content": "  Who?\n"},
    {"role": "assistant", "content": "Me {% x %}"},
    {"role": "user", "content": "And?"},
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
CHATML = (
    "<|im_start|>system\n规则 {{ 7*7 }}<|im_end|>\n<|im_start|>user\n  Who?\n<|im_end|>\n"
    "<|im_start|>assistant\nMe {% x %}<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_small_model(tmp_path / "工作 区" / "model")


@pytest.mark.parametrize(
    ("template", "tokenizer", "text"),
    [
        ("qwen_chat", "Qwen2TokenizerFast", CHATML),
        ("internlm2_chat", "LlamaTokenizerFast", f"<s>{CHATML}"),
        (
            "mistral",
            "LlamaTokenizerFast",
            "<s>[INST] 规则 {{ 7*7 }} [/INST]\n[INST]   Who?\n [/INST]Me {% x %}</s>\n<s>[INST] And? [/INST]",
        ),
        (
            "internlm_chat",
            "LlamaTokenizerFast",
            "<s><|System|>:规则 {{ 7*7 }}\n<|User|>:  Who?\n<eoh>\n<|Bot|>:Me {% x %}<eoa>\n"
            "<|User|>:And?<eoh>\n<|Bot|>:",
        ),
    ],
)
def test_the_training_in_jinja(template: str, tokenizer: str, text: str) -> None:
    assert render(training_template(TEMPLATES[template], tokenizer), TURNS, TOKENS) == text


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_begins_as_the_proof_asks(name: str) -> None:
    source = training_template(TEMPLATES[name], "Qwen2TokenizerFast")
    said = render(source, [TURNS[0], TURNS[1]], TOKENS)
    assert said == TEMPLATES[name].prompt(TURNS[1]["content"], TURNS[0]["content"])


def test_a_model_whose_template_agrees(model: Path) -> None:
    assert difference(model, TEMPLATES["qwen_chat"]) is None


def test_a_template_file_counts_before_the_config(model: Path) -> None:
    (model / "chat_template.jinja").write_text("{{ messages[-1]['content'] }}")
    found = difference(model, TEMPLATES["qwen_chat"])
    assert found is not None and found.own == "Q2" and "<|im_start|>user\nQ2<|im_end|>" in found.trained


@pytest.mark.parametrize(
    "change",
    [
        # a default system prompt, as Qwen2.5 has one
        lambda own: "{% if messages[0]['role'] != 'system' %}You are Qwen.{% endif %}" + own,
        lambda own: own.replace("<|im_end|>\n", "<|im_end|>"),
        lambda own: "{{ raise_exception('System role not supported') }}" + own,
        lambda own: own + "{% for",
        lambda own: "{{ ''.__class__.__mro__ }}" + own,
    ],
)
def test_what_a_template_does_differently_is_shown(model: Path, change) -> None:
    file = model / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config["chat_template"] = change(config["chat_template"])
    file.write_text(json.dumps(config))
    found = difference(model, TEMPLATES["qwen_chat"])
    assert found is not None and found.own != found.trained


def test_a_first_token_that_only_the_training_adds_is_a_difference(model: Path) -> None:
    file = model / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config |= {"tokenizer_class": "LlamaTokenizer", "bos_token": {"content": "<s>"}}
    file.write_text(json.dumps(config))
    found = difference(model, TEMPLATES["qwen_chat"])
    assert found is not None and found.trained == f"<s>{found.own}"


def test_a_model_without_a_template_has_nothing_to_differ(tmp_path: Path) -> None:
    assert difference(tmp_path, TEMPLATES["qwen_chat"]) is None
