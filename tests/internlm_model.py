"""Tiny InternLM models with random weights and the authors' real tokenizer.model, made on the spot.

The tokenizers are those of internlm-chat-7b and internlm2-chat-7b (Apache-2.0, InternLM; tests/tokenizers).
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

TOKENIZERS = Path(__file__).parent / "tokenizers"
VOCABULARIES = {"internlm": 103168, "internlm2": 92544, "internlm3": 92544}
CLASSES = {"internlm": "InternLM", "internlm2": "InternLM2", "internlm3": "InternLM3"}
HIDDEN, INNER, LAYERS, HEADS, KV_HEADS = 16, 24, 2, 4, 2
SPECIAL = {
    92538: "<|plugin|>",
    92539: "<|interpreter|>",
    92540: "<|action_end|>",
    92541: "<|action_start|>",
    92542: "<|im_end|>",
    92543: "<|im_start|>",
}
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


Weights = dict[str, np.ndarray]


def make_internlm(folder: Path, kind: str, **config: Any) -> Path:
    """Write a model as its authors lay it out, code and all; ``config`` overrides entries of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", {**_config(kind), **config})
    _write(folder / "tokenizer_config.json", tokenizer_config(kind))
    shutil.copyfile(
        TOKENIZERS / ("internlm" if kind == "internlm" else "internlm2") / "tokenizer.model",
        folder / "tokenizer.model",
    )
    (folder / f"modeling_{kind}.py").write_text("raise SystemExit('the authors code was run')\n")
    (folder / "README.md").write_text("# A model\n")
    save_file(weights(kind), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def into_pickles(folder: Path, count: int = 2) -> None:
    """The weights as the shards of a pickle, with the index that stands beside them."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    (folder / "model.safetensors").unlink()
    places = {}
    for number in range(count):
        file = f"pytorch_model-{number + 1:05d}-of-{count:05d}.bin"
        part = {name: weights[name] for name in names[number::count]}
        torch.save(part, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))


def tokenizer_config(kind: str) -> dict[str, Any]:
    """The authors' own settings of their tokenizer."""
    named = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    auto_map = {"AutoTokenizer": [f"tokenization_{kind}.{CLASSES[kind]}Tokenizer", None]}
    about = {**named, "auto_map": auto_map, "tokenizer_class": f"{CLASSES[kind]}Tokenizer"}
    if kind == "internlm":
        return about
    plain = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    added = {str(place): {"content": text, **plain} for place, text in SPECIAL.items()}
    return {**about, "added_tokens_decoder": added, "chat_template": CHAT_TEMPLATE, "add_bos_token": True}


def weights(kind: str) -> Weights:
    """Every tensor under the authors' name, float32, the same each time."""
    random = np.random.default_rng(3)
    return {name: _filled(random, name, shape) for name, shape in _shapes(kind)}


def _filled(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    found = random.normal(0, 0.1, shape).astype(np.float32)
    return found + np.float32("norm" in name)


def _config(kind: str) -> dict[str, Any]:
    own = {
        "internlm": {"bias": True, "rotary": {"base": 10000, "type": "dynamic"}},
        "internlm2": {
            "bias": False,
            "rope_theta": 1000000,
            "rope_scaling": {"type": "dynamic", "factor": 2.0},
        },
        "internlm3": {
            "bias": False,
            "qkv_bias": True,
            "head_dim": HIDDEN // HEADS,
            "rope_theta": 50000000,
            "rope_scaling": {"rope_type": "dynamic", "factor": 6.0},
        },
    }[kind]
    if kind != "internlm":
        own["num_key_value_heads"] = KV_HEADS
    return {
        "architectures": [f"{CLASSES[kind]}ForCausalLM"],
        "auto_map": {"AutoModelForCausalLM": f"modeling_{kind}.{CLASSES[kind]}ForCausalLM"},
        "model_type": kind,
        "vocab_size": VOCABULARIES[kind],
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "torch_dtype": "float32",
        **own,
    }


def _shapes(kind: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    vocabulary, second = VOCABULARIES[kind], kind == "internlm2"
    yield ("model.tok_embeddings.weight" if second else "model.embed_tokens.weight"), (vocabulary, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    yield ("output.weight" if second else "lm_head.weight"), (vocabulary, HIDDEN)
    for layer in range(LAYERS):
        for name, shape in _second_layer() if second else _layer(kind):
            yield f"model.layers.{layer}.{name}", shape


def _layer(kind: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    kv = HIDDEN if kind == "internlm" else KV_HEADS * HIDDEN // HEADS
    for name, width in (("q_proj", HIDDEN), ("k_proj", kv), ("v_proj", kv), ("o_proj", HIDDEN)):
        yield f"self_attn.{name}.weight", (width, HIDDEN)
        if kind == "internlm" or name != "o_proj":
            yield f"self_attn.{name}.bias", (width,)
    if kind == "internlm":
        yield "self_attn.rotary_emb.inv_freq", (HIDDEN // HEADS // 2,)
    yield "mlp.gate_proj.weight", (INNER, HIDDEN)
    yield "mlp.up_proj.weight", (INNER, HIDDEN)
    yield "mlp.down_proj.weight", (HIDDEN, INNER)
    yield "input_layernorm.weight", (HIDDEN,)
    yield "post_attention_layernorm.weight", (HIDDEN,)


def _second_layer() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "attention.wqkv.weight", ((HEADS + 2 * KV_HEADS) * HIDDEN // HEADS, HIDDEN)
    yield "attention.wo.weight", (HIDDEN, HIDDEN)
    yield "feed_forward.w1.weight", (INNER, HIDDEN)
    yield "feed_forward.w3.weight", (INNER, HIDDEN)
    yield "feed_forward.w2.weight", (HIDDEN, INNER)
    yield "attention_norm.weight", (HIDDEN,)
    yield "ffn_norm.weight", (HIDDEN,)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
