"""A tiny model folder made on the spot: a random Llama with a real byte-level BPE tokenizer and ChatML.

    python -m tests.small_model FOLDER

It takes a fraction of a second and neither torch nor a network, and is a whole model to transformers, XTuner
and this project. What it says is noise; everything around what it says is real.
"""

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from core.workspace.paths import BANKS

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
UNKNOWN_ID, BOS_ID, EOS_ID = range(3)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
VOCABULARY = 1024
HIDDEN, INNER, LAYERS, HEADS, KV_HEADS = 64, 128, 2, 4, 2


def make_small_model(folder: Path, *, max_length: int = 512, seed: int = 0, **config: Any) -> Path:
    """Write the model into ``folder`` and return it; ``config`` overrides entries of ``config.json``."""
    own = make_tokenizer_files(folder, max_length)
    _write(folder / "config.json", {**own, **config})
    _write(
        folder / "generation_config.json",
        {"bos_token_id": BOS_ID, "eos_token_id": EOS_ID, "pad_token_id": EOS_ID, "do_sample": False},
    )
    (folder / "model.safetensors").write_bytes(_weights_file(seed))
    return folder


def make_tokenizer_files(folder: Path, max_length: int = 512) -> dict[str, Any]:
    """The tokenizer alone in ``folder``; returns the ``config.json`` of the small model that it goes with."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(_tokenizer_file(), encoding="utf-8")
    _write(folder / "tokenizer_config.json", _tokenizer_config(max_length))
    return _config(max_length)


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE learned from this project's own banks: any text goes through it and back unchanged."""
    return Tokenizer.from_str(_tokenizer_file())


@cache
def _tokenizer_file() -> str:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in SPECIAL],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    banks = sorted(BANKS.glob("*.json"))
    tokenizer.train_from_iterator((bank.read_text(encoding="utf-8") for bank in banks), trainer)
    return tokenizer.to_str(pretty=True)


def _config(max_length: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HIDDEN // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": max_length,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        "pad_token_id": EOS_ID,
        "torch_dtype": "float32",
    }


def _tokenizer_config(max_length: int) -> dict[str, Any]:
    """Qwen2's class, as the starter's: XTuner 0.2.0 puts a first token before every other class's texts."""
    special = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": {str(i): {"content": text, **special} for i, text in enumerate(SPECIAL)},
        "unk_token": SPECIAL[UNKNOWN_ID],
        "bos_token": None,
        "eos_token": SPECIAL[EOS_ID],
        "pad_token": SPECIAL[EOS_ID],
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "padding_side": "right",
        "chat_template": CHAT_TEMPLATE,
    }


@cache
def _weights_file(seed: int) -> bytes:
    made: bytes = save(dict(_weights(seed)), metadata={"format": "pt"})
    return made


def _weights(seed: int) -> Iterator[tuple[str, np.ndarray]]:
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return random.normal(0, 0.02, shape).astype(np.float32)

    kv = KV_HEADS * HIDDEN // HEADS
    yield "model.embed_tokens.weight", matrix(VOCABULARY, HIDDEN)
    yield "model.norm.weight", np.ones(HIDDEN, np.float32)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", np.ones(HIDDEN, np.float32)
        yield prefix + "post_attention_layernorm.weight", np.ones(HIDDEN, np.float32)
        for name, width in (("q_proj", HIDDEN), ("k_proj", kv), ("v_proj", kv), ("o_proj", HIDDEN)):
            yield f"{prefix}self_attn.{name}.weight", matrix(width, HIDDEN)
        for name in ("gate_proj", "up_proj"):
            yield f"{prefix}mlp.{name}.weight", matrix(INNER, HIDDEN)
        yield prefix + "mlp.down_proj.weight", matrix(HIDDEN, INNER)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make_small_model(Path(sys.argv[1]))
