"""Small models of random weights with LoRA, of every family that the fast path knows."""

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from core.engine.fast.ahead import LINEAR

SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 199,
    "max_position_embeddings": 256,
    "sliding_window": None,
    "pad_token_id": 0,
}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("llama", {}),
    ("llama", {"attention_bias": True}),
    ("qwen2", {}),
    ("qwen3", {}),
    ("mistral", {}),
]
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 1024}
# As their authors' configs have them, made small: windows narrower than the rows, layers without positions.
FAMILIES_OF_TODAY: list[tuple[str, dict[str, Any]]] = [
    (
        "llama",
        {
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
        },
    ),
    ("llama", {"head_dim": 24, "mlp_bias": True}),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    ("mistral", {"sliding_window": 8}),
    (
        "ministral",
        {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    ("ministral3", {"rope_parameters": {**YARN, "llama_4_scaling_beta": 0.1}}),
    ("smollm3", {"no_rope_layer_interval": 2, "tie_word_embeddings": True}),
    ("ernie4_5", {"use_bias": False, "tie_word_embeddings": True}),
    ("ernie4_5", {"use_bias": True}),
    ("hunyuan_v1_dense", {"tie_word_embeddings": True}),
    ("phi3", {}),
    ("phi3", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}}),
    ("phi3", {"sliding_window": 8}),
    ("glm", {}),
    ("glm4", {"attention_bias": True}),
    ("gemma", {"tie_word_embeddings": True, "hidden_activation": "gelu_pytorch_tanh"}),
    (
        "gemma3_text",
        {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
]
LINEAR_OF_ALL = [*LINEAR, "qkv_proj", "gate_up_proj"]


def make(
    kind: str = "llama",
    lora: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    **shape: Any,
) -> Any:
    """Random weights, and LoRA whose B is not zero."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SHAPE, **shape}), dtype=dtype)
    targets = [name for name in LINEAR_OF_ALL if any(n.endswith(name) for n, _ in base.named_modules())]
    settings = {"r": 4, "lora_alpha": 12, "target_modules": targets, **(lora or {})}
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **settings)).train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.05)
        elif "norm" in name:
            torch.nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)
    return model
