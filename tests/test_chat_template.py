"""The Jinja made of a training's prompt template."""

import pytest

from core.recipe.chat_template import Joints, render, training_template
from core.recipe.templates import TEMPLATES

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


def test_spaces_stand_where_texts_meet() -> None:
    source = training_template(TEMPLATES["internlm_chat"], "LlamaTokenizerFast", Joints("1", "2", "3"))
    said = render(source, TURNS[1:], TOKENS)
    assert said == "<s><|User|>:  Who?\n<eoh>\n<|Bot|>:1Me {% x %}<eoa>2\n3<|User|>:And?<eoh>\n<|Bot|>:"
