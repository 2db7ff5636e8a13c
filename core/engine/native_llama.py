"""InternLM 1, 2, 2.5 and 3 as what they are: Llamas. Nothing is rounded; names and one layout change.

Read from the authors' own code (Apache-2.0, InternLM):

* InternLM: a Llama with biases in q, k, v and o. Its rotary embedding may be "dynamic", which for sequences
  longer than ``max_position_embeddings`` is Llama's own dynamic NTK scaling.
* InternLM2 and 2.5: q, k and v in one matrix, for each head of keys its heads of queries, the key and the
  value; other names.
* InternLM3: a subclass of transformers' Llama that may leave out biases one by one. A bias that Llama has and
  the model has not is zero.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from core.errors import NotAModel
from core.models.families import CONVERTED_FROM
from core.wording import say

KEPT = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "torch_dtype",
)
# The scalings that each one's code knows; InternLM3's is transformers' Llama.
ROPE_TYPES = {
    "internlm": ("dynamic",),
    "internlm2": ("linear", "dynamic"),
    "internlm3": ("default", "linear", "dynamic", "yarn", "llama3"),
}
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
_NAMES = {
    "attention.wo": "self_attn.o_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "feed_forward.w2": "mlp.down_proj",
}
_OUTSIDE = {
    "model.tok_embeddings.weight": "model.embed_tokens.weight",
    "output.weight": "lm_head.weight",
}


def llama_config(config: Mapping[str, Any], where: object) -> dict[str, Any]:
    """The config.json of the Llama that an InternLM's config.json describes. Raises NotAModel."""
    kind = str(config["model_type"])
    heads = int(config["num_attention_heads"])
    bias = bool(config.get("bias", kind == "internlm"))
    return {
        **{name: config[name] for name in KEPT if name in config},
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        CONVERTED_FROM: kind,
        "num_key_value_heads": int(config.get("num_key_value_heads") or heads),
        "head_dim": int(config.get("head_dim") or int(config["hidden_size"]) // heads),
        "attention_bias": bias or bool(config.get("qkv_bias", False)),
        "mlp_bias": bias if kind == "internlm3" else False,
        **_rope(kind, config, where),
    }


def _rope(kind: str, config: Mapping[str, Any], where: object) -> dict[str, Any]:
    base, scaling = _first_rope(config) if kind == "internlm" else _later_rope(config)
    if scaling is not None:
        if scaling["rope_type"] not in ROPE_TYPES[kind]:
            raise NotAModel(folder=where, reason=say("model.rope", kind=scaling["rope_type"]))
        if "factor" in scaling:
            scaling["factor"] = float(scaling["factor"])
    return {"rope_theta": float(base), "rope_scaling": scaling}


def _first_rope(config: Mapping[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """InternLM's own; its default changes nothing up to max_position_embeddings."""
    rotary = config.get("rotary") or {"type": "dynamic"}
    kind, base = rotary.get("type", "origin"), rotary.get("base", 10000)
    if kind == "origin":
        return base, None
    return base, {"rope_type": kind, "factor": rotary.get("scaling_factor", 1.0)}


def _later_rope(config: Mapping[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    scaling, base = config.get("rope_scaling"), config.get("rope_theta", 10000)
    if not isinstance(scaling, dict):
        return base, None
    rest = {name: value for name, value in scaling.items() if name not in {"type", "rope_type"}}
    return base, {"rope_type": scaling.get("rope_type", scaling.get("type")), **rest}


def llama_tensors(
    config: Mapping[str, Any], name: str, tensor: torch.Tensor
) -> Iterator[tuple[str, torch.Tensor]]:
    """One of an InternLM's tensors under Llama's names: three of InternLM2's joined one."""
    if str(config["model_type"]) != "internlm2":
        yield name, tensor
        return
    layer = _LAYER.fullmatch(name)
    if layer is None:
        yield _OUTSIDE.get(name, name), tensor
        return
    part, _, leaf = layer[2].rpartition(".")
    prefix = f"model.layers.{layer[1]}."
    if part == "attention.wqkv":
        for letter, piece in zip("qkv", _split(config, tensor), strict=True):
            yield f"{prefix}self_attn.{letter}_proj.{leaf}", piece
    else:
        yield f"{prefix}{_NAMES.get(part, part)}.{leaf}", tensor


def _split(config: Mapping[str, Any], joined: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(kv_heads × (queries + 2) × head_dim, …) into q, k and v, each (heads × head_dim, …).

    Raises ValueError with the number of rows that the config wants.
    """
    heads = int(config["num_attention_heads"])
    kv_heads = int(config.get("num_key_value_heads") or heads)
    head_dim = int(config["hidden_size"]) // heads
    queries, rest = heads // kv_heads, joined.shape[1:]
    if joined.shape[0] != (rows := kv_heads * (queries + 2) * head_dim):
        raise ValueError(rows)
    grouped = joined.reshape(kv_heads, queries + 2, head_dim, *rest)
    q, k, v = grouped[:, :queries], grouped[:, queries], grouped[:, queries + 1]
    return tuple(piece.reshape(-1, *rest) for piece in (q, k, v))
