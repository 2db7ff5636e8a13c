"""InternLM as a native Llama computes what its authors' code computes, on the same tokens."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sentencepiece import SentencePieceProcessor
from transformers import AutoConfig, AutoModelForCausalLM, LlamaTokenizerFast

from core.engine.model_weights import BUFFER
from core.engine.native_llama import llama_config, llama_tensors
from core.engine.sentencepiece_tokenizer import llama_tokenizer
from core.errors import NotAModel
from tests.internlm_model import SPECIAL, TOKENIZERS, tokenizer_config
from tests.record_internlm import OWN, RECORDED, SEQUENCES, SIZES
from tests.test_data_conversations import ODD_TEXTS

# It loads torch, transformers and small models of theirs.
pytestmark = pytest.mark.slow
KINDS = ("internlm", "internlm2")


def native(config: dict[str, Any], weights: dict[str, torch.Tensor]) -> Any:
    """transformers' own Llama with the weights of an InternLM; every weight must find its place."""
    settings = llama_config(config, "here")
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings))
    kept = {name: one for name, one in weights.items() if not name.endswith(BUFFER)}
    renamed = dict(pair for name, one in kept.items() for pair in llama_tensors(config, name, one))
    model.load_state_dict(renamed, strict=True)
    return model.eval()


@pytest.mark.parametrize("length", SEQUENCES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_those_of_the_authors_code(kind: str, length: str) -> None:
    """Recorded by tests/record_internlm.py, also beyond the length at which the rotary embedding is scaled.

    Different orders of summing in float32 leave a few millionths of logits as large as seven.
    """
    folder = RECORDED / kind
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    recorded = load_file(folder / "logits.safetensors")
    model = native(config, load_file(folder / "model.safetensors"))
    with torch.no_grad():
        logits = model(recorded[f"{length}.ids"]).logits
    theirs = recorded[f"{length}.logits"]
    assert theirs.abs().max() > 5 and (logits - theirs).abs().max() < 2e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_swapped_matrix_would_show(kind: str) -> None:
    folder = RECORDED / kind
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    recorded, weights = load_file(folder / "logits.safetensors"), load_file(folder / "model.safetensors")
    model = native(config, weights)
    for layer in model.model.layers:
        layer.self_attn.k_proj.bias.data.zero_()
    with torch.no_grad():
        logits = model(recorded["short.ids"]).logits
    # Softmax does not see a bias of k by itself; the rotary embedding makes it count.
    assert (logits - recorded["short.logits"]).abs().max() > 1e-2


def test_the_sequences_reach_beyond_the_scaling() -> None:
    assert SEQUENCES["short"] < SIZES["max_position_embeddings"] < SEQUENCES["long"]
    assert OWN["internlm"]["rotary"]["type"] == OWN["internlm2"]["rope_scaling"]["type"] == "dynamic"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "internlm"}, {"rope_type": "dynamic", "factor": 1.0}),
        ({"model_type": "internlm", "rotary": {"type": "origin", "base": 5}}, None),
        ({"model_type": "internlm2", "rope_scaling": None}, None),
        (
            {"model_type": "internlm2", "rope_scaling": {"type": "linear", "factor": 3}},
            {"rope_type": "linear", "factor": 3.0},
        ),
        (
            {"model_type": "internlm3", "rope_scaling": {"rope_type": "dynamic", "factor": 6.0}},
            {"rope_type": "dynamic", "factor": 6.0},
        ),
    ],
)
def test_the_scaling_of_the_rotary_embedding(config: dict[str, Any], expected: object) -> None:
    assert llama_config({**SIZES, **config}, "here")["rope_scaling"] == expected


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "internlm", "rotary": {"type": "spiral"}},
        {"model_type": "internlm2", "rope_scaling": {"type": "yarn", "factor": 2.0}},
    ],
)
def test_a_scaling_that_no_llama_has_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(NotAModel, match="rotary"):
        llama_config({**SIZES, **config}, "here")


@pytest.mark.parametrize(
    ("config", "attention", "mlp"),
    [
        ({"model_type": "internlm"}, True, False),
        ({"model_type": "internlm", "bias": False}, False, False),
        ({"model_type": "internlm2", "bias": True}, True, False),
        ({"model_type": "internlm2"}, False, False),
        ({"model_type": "internlm3", "qkv_bias": True}, True, False),
        ({"model_type": "internlm3", "bias": True}, True, True),
        ({"model_type": "internlm3"}, False, False),
    ],
)
def test_which_biases_there_are(config: dict[str, Any], attention: bool, mlp: bool) -> None:
    found = llama_config({**SIZES, **config}, "here")
    assert (found["attention_bias"], found["mlp_bias"]) == (attention, mlp)


# --- tokenizers ---


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(kind: str) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(TOKENIZERS / kind / "tokenizer.model"))


@pytest.fixture(scope="module")
def tokenizer(kind: str) -> LlamaTokenizerFast:
    return llama_tokenizer(TOKENIZERS / kind / "tokenizer.model", tokenizer_config(kind))


def awkward_texts() -> list[str]:
    """Texts of every script, of bytes that are no letters, and the marks of both templates."""
    chance = random.Random(5)
    ranges = (
        (32, 127),
        (0x4E00, 0x9FFF),
        (0x400, 0x4FF),
        (0x600, 0x6FF),
        (0x1F300, 0x1FAFF),
        (0xAC00, 0xD7A3),
    )
    mixed = ["".join(chr(chance.randint(*chance.choice(ranges))) for _ in range(60)) for _ in range(150)]
    bare = [
        "你好",
        " 你好 ",
        "<|User|>:介绍一下你自己\n<|Bot|>:",
        "a\n\n\n  b\t\tc",
        "\u2581",
        "ＡＢＣ ｅ",
        "\r\n",
        "0" * 50,
    ]
    return [*ODD_TEXTS, *mixed, *bare]


def test_token_for_token(tokenizer: LlamaTokenizerFast, reference: SentencePieceProcessor) -> None:
    for text in awkward_texts():
        if not any(mark in text for mark in SPECIAL.values()):
            assert tokenizer(text, add_special_tokens=False)["input_ids"] == reference.encode(text), repr(
                text
            )


def test_there_and_back(tokenizer: LlamaTokenizerFast) -> None:
    for text in awkward_texts():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text.replace("\u2581", " "), repr(text)


def test_first_last_and_unknown(tokenizer: LlamaTokenizerFast, reference: SentencePieceProcessor) -> None:
    assert len(tokenizer) == reference.get_piece_size()
    found = (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert found == (reference.unk_id(), reference.bos_id(), reference.eos_id())
    assert tokenizer("hi")["input_ids"] == [reference.bos_id(), *reference.encode("hi")]


def test_the_marks_of_the_first_template_are_one_token_each() -> None:
    tokenizer = llama_tokenizer(TOKENIZERS / "internlm" / "tokenizer.model", tokenizer_config("internlm"))
    assert tokenizer.convert_tokens_to_ids(["<eoh>", "<eoa>"]) == [103027, 103028]
    ids = tokenizer("<|User|>:hi<eoh>\n<|Bot|>:", add_special_tokens=False)["input_ids"]
    assert ids.count(103027) == 1


def test_the_marks_of_the_second_template_take_the_unused_places() -> None:
    """The parts between them are encoded one by one, as the authors' tokenizers do."""
    file = TOKENIZERS / "internlm2" / "tokenizer.model"
    tokenizer = llama_tokenizer(file, tokenizer_config("internlm2"))
    reference = SentencePieceProcessor(model_file=str(file))
    assert {place: tokenizer.convert_ids_to_tokens(place) for place in SPECIAL} == SPECIAL
    text = "<|im_start|>user\n 你好 <|im_end|>\n<|im_start|>assistant\n"
    expected = [92543, *reference.encode("user\n 你好 "), 92542, *reference.encode("\n"), 92543]
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == [
        *expected,
        *reference.encode("assistant\n"),
    ]


def test_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    for content in (b"", b"\xff" * 100, b"{}"):
        (tmp_path / "tokenizer.model").write_bytes(content)
        with pytest.raises(NotAModel, match=r"tokenizer\.model"):
            llama_tokenizer(tmp_path / "tokenizer.model", {})
