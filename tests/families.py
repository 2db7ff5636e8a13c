"""Tiny random models of today's families: each with its authors' own config.json, made small.

    python -m tests.families FOLDER [NAME…]

What a family is known by is kept: its kind of layers, biases, tied embeddings, sliding windows, heads of
another size than hidden / heads, its rotary positions, special tokens, the way its tokenizer splits text, its
chat template. Only counts are smaller. The settings are those that the authors published with their models
(named at each), as transformers 4 wrote them where they did.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from core.workspace.paths import BANKS
from tests.internlm_model import make_internlm

TEMPLATES = Path(__file__).parent / "templates"
VOCABULARY = 1024
Kind = Literal["qwen", "llama3", "o200k", "cl100k", "tekken", "pieces", "gemma", "gpt2"]
# How each kind splits text before it merges pairs.
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
WORDS = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
SPLITS: dict[str, str] = {
    "qwen": CONTRACTIONS + r"\p{N}" + REST,
    "llama3": CONTRACTIONS + r"\p{N}{1,3}" + REST,
    "cl100k": CONTRACTIONS + r"\p{N}{1,3}" + REST,
    "tekken": WORDS + r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": WORDS.replace("+|", f"+{SHORT}|").replace("*|", f"*{SHORT}|")
    + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
BYTES = tuple(f"<0x{number:02X}>" for number in range(256))


@dataclass(frozen=True)
class Family:
    """One family. ``config``: its config.json but for the vocabulary and the ids of ``bos``, ``eos`` and
    ``pad``; ``template``: a file in tests/templates; ``first``: whether its tokenizer puts ``bos`` before
    every text."""

    name: str
    config: Mapping[str, Any]
    kind: Kind
    special: tuple[str, ...]
    eos: str
    bos: str | None
    pad: str | None
    template: str
    tokenizer_class: str = "PreTrainedTokenizerFast"
    first: bool = False
    ends: tuple[str, ...] = ()
    tokenizer_config: Mapping[str, Any] = field(default_factory=dict)


def make_family(folder: Path, name: str) -> Path:
    """Write the family's model into ``folder`` and return it. It takes torch and transformers."""
    import torch
    import transformers

    if name in INTERNLM:
        return _make_internlm(folder, name)
    family = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(family)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", _tokenizer_config(family))
    (folder / "chat_template.jinja").write_text(chat_template(family), encoding="utf-8")
    config = _with_ids(family, tokenizer)
    _write(folder / "config.json", config)
    torch.manual_seed(len(name))
    read = transformers.AutoConfig.from_pretrained(folder)
    model = getattr(transformers, config["architectures"][0])(read)
    for place, tensor in model.named_parameters():
        if place.endswith(("bias", "sinks")):  # made as zeros
            torch.nn.init.normal_(tensor, std=0.1)
    model.to(torch.bfloat16).save_pretrained(folder)
    _write(folder / "config.json", config)
    ends = [tokenizer.token_to_id(token) for token in (*family.ends, family.eos)]
    named = {"bos_token_id": family.bos, "pad_token_id": family.pad}
    ids = {key: tokenizer.token_to_id(token) for key, token in named.items() if token}
    eos = ends if family.ends else ends[0]
    _write(folder / "generation_config.json", {**ids, "eos_token_id": eos, "do_sample": True})
    return folder


def _make_internlm(folder: Path, name: str) -> Path:
    """With the authors' own tokenizer.model; their code is beside it and is never run."""
    make_internlm(folder, INTERNLM[name])
    about = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    _write(folder / "tokenizer_config.json", {**about, "chat_template": template})
    return folder


def chat_template(family: Family) -> str:
    """The family's own, in Jinja."""
    return (TEMPLATES / family.template).read_text(encoding="utf-8")


def make_tokenizer(family: Family) -> Tokenizer:
    """The family's kind of tokenizer with its own special tokens, learned from this project's banks."""
    made = Tokenizer.from_str(_learned(family.kind, family.special))
    if family.first and family.bos:
        bos = (family.bos, made.token_to_id(family.bos))
        made.post_processor = processors.TemplateProcessing(
            single=f"{family.bos}:0 $A:0",
            pair=f"{family.bos}:0 $A:0 {family.bos}:1 $B:1",
            special_tokens=[bos],
        )
    return made


@cache
def _learned(kind: Kind, special: tuple[str, ...]) -> str:
    pieces = kind in {"pieces", "gemma"}
    tokenizer = _pieces(kind) if pieces else _bytes(kind)
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*special, *(BYTES if pieces else ())],
        initial_alphabet=[] if pieces else pre_tokenizers.ByteLevel.alphabet(),
        limit_alphabet=300,
        max_token_length=16,
        show_progress=False,
    )
    texts = [bank.read_text(encoding="utf-8") for bank in sorted(BANKS.glob("*.json"))]
    tokenizer.train_from_iterator(" ".join(texts).split() if pieces else texts, trainer)
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = [one for one in described["added_tokens"] if one["content"] not in BYTES]
    made = Tokenizer.from_str(json.dumps(described))
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    return made.to_str()


def _bytes(kind: Kind) -> Tokenizer:
    """Pairs of bytes, as GPT-2 began it."""
    tokenizer = Tokenizer(BPE())
    if kind == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        split = pre_tokenizers.Split(Regex(SPLITS[kind]), "isolated")
        steps = [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if kind == "qwen":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _pieces(kind: Kind) -> Tokenizer:
    """Pieces with a byte for whatever has none, as SentencePiece learns them; Gemma's without a blank before
    every text."""
    tokenizer = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    blanks = normalizers.Replace(" ", "▁")
    fallback = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if kind == "gemma":
        tokenizer.normalizer = blanks
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blanks])
        fallback.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(fallback)
    return tokenizer


def _tokenizer_config(family: Family) -> dict[str, Any]:
    named = {"bos_token": family.bos, "eos_token": family.eos, "pad_token": family.pad}
    return {
        "tokenizer_class": family.tokenizer_class,
        "model_max_length": 1024,
        "clean_up_tokenization_spaces": False,
        **named,
        **family.tokenizer_config,
    }


def _with_ids(family: Family, tokenizer: Tokenizer) -> dict[str, Any]:
    """The config with the vocabulary's size, padded as most are, and the ids of its special tokens."""
    named = {"bos_token_id": family.bos, "eos_token_id": family.eos, "pad_token_id": family.pad}
    ids = {key: tokenizer.token_to_id(token) if token else None for key, token in named.items()}
    size = {"vocab_size": (tokenizer.get_vocab_size() // 64 + 1) * 64}
    config = dict(family.config)
    if "text_config" in config:
        config["text_config"] = {**size, **ids, **config["text_config"]}
        return {**ids, **config}
    return {**size, **ids, **config}


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-6,
    "initializer_range": 0.02,
    "attention_dropout": 0.0,
    "use_cache": True,
    "torch_dtype": "bfloat16",
}
QWEN = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
THINK = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
LLAMA3 = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|start_header_id|>"),
    *("<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"),
)
GEMMA3 = (
    *("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"),
    *("<start_of_image>", "<end_of_image>", "<image_soft_token>"),
)
GEMMA4 = (
    *(
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<mask>",
        "<|turn>",
        "<turn|>",
        "<|channel>",
        "<channel|>",
        "<|think|>",
    ),
    *("<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'),
    *("<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>"),
)
MISTRAL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]"),
    *("[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    *("<pad>", "[IMG]", "[THINK]", "[/THINK]"),
)
DEEPSEEK = (
    *("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
    *("<think>", "</think>", "<｜▁pad▁｜>"),
)
GLM = (
    *("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>"),
    *("<|assistant|>", "<|observation|>"),
)
HARMONY = (
    *("<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>"),
    *("<|end|>", "<|message|>", "<|call|>"),
)
HUNYUAN = (
    *("<｜hy_begin▁of▁sentence｜>", "<｜hy_end▁of▁sentence｜>", "<｜hy_User｜>", "<｜hy_Assistant｜>"),
    *(
        "<｜hy_place▁holder▁no▁2｜>",
        "<｜hy_place▁holder▁no▁3｜>",
        "<｜hy_place▁holder▁no▁8｜>",
        "<｜hy_▁pad▁｜>",
    ),
)
ERNIE = (
    "<unk>",
    "<s>",
    "</s>",
    "<pad>",
    "<|begin_of_sentence|>",
    "<|end_of_sentence|>",
    "<mask:1>",
    "<|im_start|>",
    "<|im_end|>",
)
SMOLLM3 = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("<|im_start|>", "<|im_end|>", "<think>", "</think>"),
)
PHI4 = ("<|endoftext|>", "<|fim_prefix|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|dummy_85|>")
PHI4_MINI = ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|/tool|>")


QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "max_window_layers": 2,
    "rope_theta": 1000000.0,
    "sliding_window": 512,
    "use_sliding_window": False,
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "mlp_bias": False,
}
LLAMA3_ROPE = {
    "rope_theta": 500000.0,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 256,
        "rope_type": "llama3",
    },
}
QWEN3 = {
    "head_dim": 32,
    "hidden_act": "silu",
    "attention_bias": False,
    "rope_theta": 1000000,
    "rope_scaling": None,
    "sliding_window": None,
    "use_sliding_window": False,
}
GEMMA3_TEXT = {
    "attention_bias": False,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
    "head_dim": 32,
    "hidden_activation": "gelu_pytorch_tanh",
    "num_hidden_layers": 4,
    "num_key_value_heads": 1,
    "query_pre_attn_scalar": 32,
    "rope_local_base_freq": 10000,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": 16,
    "sliding_window_pattern": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "image_size": 28,
    "patch_size": 14,
}


def _of_qwen() -> Iterator[Family]:
    special, ends = (*QWEN, *THINK), ("<|endoftext|>",)
    words = ("<|im_end|>", None, "<|endoftext|>")
    config = {**SHAPE, **QWEN2, "tie_word_embeddings": True}
    yield Family("qwen2.5", config, "qwen", special, *words, "qwen2.5.jinja", "Qwen2Tokenizer", ends=ends)
    config = {**SHAPE, **QWEN3, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
    config |= {"tie_word_embeddings": True, "max_window_layers": 2}
    yield Family("qwen3", config, "qwen", special, *words, "qwen3.jinja", "Qwen2Tokenizer", ends=ends)
    config = {**SHAPE, **QWEN3, "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"}
    config |= {"decoder_sparse_step": 1, "mlp_only_layers": [], "moe_intermediate_size": 32}
    config |= {"norm_topk_prob": True, "num_experts": 8, "num_experts_per_tok": 2, "max_window_layers": 2}
    config |= {"output_router_logits": False, "router_aux_loss_coef": 0.001, "tie_word_embeddings": False}
    yield Family("qwen3-moe", config, "qwen", special, *words, "qwen3.jinja", "Qwen2Tokenizer", ends=ends)
    # a multimodal folder
    text = {
        **{key: SHAPE[key] for key in SHAPE if key not in {"torch_dtype", "rms_norm_eps"}},
        "dtype": "bfloat16",
        "rms_norm_eps": 1e-6,
        "num_hidden_layers": 4,
        "attn_output_gate": True,
        "full_attention_interval": 4,
        "layer_types": ["linear_attention", "linear_attention", "linear_attention", "full_attention"],
        "head_dim": 32,
        "hidden_act": "silu",
        "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_value_head_dim": 16,
        "mamba_ssm_dtype": "float32",
        "model_type": "qwen3_5_text",
        "tie_word_embeddings": True,
        "rope_parameters": {
            "mrope_interleaved": True,
            "mrope_section": [2, 1, 1],
            "partial_rotary_factor": 0.25,
            "rope_theta": 10000000,
            "rope_type": "default",
        },
    }
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "in_channels": 3,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
        "model_type": "qwen3_5",
    }
    config = {
        "architectures": ["Qwen3_5ForConditionalGeneration"],
        "model_type": "qwen3_5",
        "tie_word_embeddings": True,
        "text_config": text,
        "vision_config": vision,
        "image_token_id": 8,
        "video_token_id": 9,
        "vision_start_token_id": 5,
        "vision_end_token_id": 6,
    }
    yield Family("qwen3.5", config, "qwen", special, *words, "qwen3.5.jinja", "Qwen2Tokenizer", ends=ends)


def _of_meta_and_deepseek() -> Iterator[Family]:
    # meta-llama/Llama-3.2-1B-Instruct
    config = {
        **SHAPE,
        **LLAMA,
        **LLAMA3_ROPE,
        "attention_bias": False,
        "head_dim": 16,
        "tie_word_embeddings": True,
    }
    words = ("<|eot_id|>", "<|begin_of_text|>", None)
    ends = ("<|end_of_text|>", "<|eom_id|>")
    yield Family("llama3.2", config, "llama3", LLAMA3, *words, "llama3.2.jinja", first=True, ends=ends)
    # deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B and -Llama-8B
    words = ("<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
    config = {**SHAPE, **QWEN2, "rope_theta": 10000, "tie_word_embeddings": False, "use_mrope": False}
    added = {
        "add_bos_token": True,
        "add_eos_token": False,
        "legacy": True,
        "use_default_system_prompt": False,
    }
    yield Family(
        "deepseek-r1-qwen", config, "qwen", DEEPSEEK, *words,
        "deepseek-r1-distill-qwen.jinja", "LlamaTokenizerFast", first=True, tokenizer_config=added,
    )  # fmt: skip
    config = {**SHAPE, **LLAMA, **LLAMA3_ROPE, "attention_bias": False, "tie_word_embeddings": False}
    yield Family(
        "deepseek-r1-llama", config, "llama3", DEEPSEEK, *words,
        "deepseek-r1-distill-llama.jinja", "LlamaTokenizerFast", first=True, tokenizer_config=added,
    )  # fmt: skip


def _of_google() -> Iterator[Family]:
    words = ("<end_of_turn>", "<bos>", "<pad>")
    config = {**SHAPE, **GEMMA3_TEXT, "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text"}
    yield Family(
        "gemma3-1b",
        config,
        "gemma",
        GEMMA3,
        *words,
        "gemma3.jinja",
        "GemmaTokenizer",
        first=True,
        ends=("<eos>",),
    )
    # a multimodal folder
    text = {key: SHAPE[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads")}
    text |= {**GEMMA3_TEXT, "max_position_embeddings": 1024, "model_type": "gemma3_text"}
    text |= {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}}
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "boi_token_index": 7,
        "eoi_token_index": 8,
        "image_token_index": 9,
        "mm_tokens_per_image": 1,
        "initializer_range": 0.02,
        "torch_dtype": "bfloat16",
        "text_config": text,
        "vision_config": {**VISION, "model_type": "siglip_vision_model", "vision_use_head": False},
    }
    yield Family(
        "gemma3-4b",
        config,
        "gemma",
        GEMMA3,
        *words,
        "gemma3.jinja",
        "GemmaTokenizer",
        first=True,
        ends=("<eos>",),
    )
    # a multimodal folder; the last layers read the keys and values of earlier ones
    text = {
        "model_type": "gemma4_text",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attention_k_eq_v": False,
        "dtype": "bfloat16",
        "enable_moe_block": False,
        "final_logit_softcapping": 30.0,
        "global_head_dim": 64,
        "head_dim": 32,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 64,
        "hidden_size_per_layer_input": 16,
        "initializer_range": 0.02,
        "intermediate_size": 96,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
        "max_position_embeddings": 1024,
        "num_attention_heads": 4,
        "num_global_key_value_heads": None,
        "num_hidden_layers": 4,
        "num_key_value_heads": 1,
        "num_kv_shared_layers": 2,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "full_attention": {
                "partial_rotary_factor": 0.25,
                "rope_theta": 1000000.0,
                "rope_type": "proportional",
            },
            "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
        },
        "sliding_window": 16,
        "tie_word_embeddings": True,
        "use_bidirectional_attention": None,
        "use_double_wide_mlp": True,
        "vocab_size_per_layer_input": VOCABULARY + 64,
    }
    vision = {
        "model_type": "gemma4_vision",
        **{key: VISION[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads")},
        "num_hidden_layers": 1,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "patch_size": 4,
        "position_embedding_size": 64,
    }
    audio = {
        "model_type": "gemma4_audio",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "subsampling_conv_channels": [8, 4],
        "output_proj_dims": 32,
    }
    config = {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "model_type": "gemma4",
        "dtype": "bfloat16",
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "text_config": text,
        "vision_config": vision,
        "audio_config": audio,
    }
    yield Family(
        "gemma4", config, "gemma", GEMMA4, "<turn|>", "<bos>", "<pad>", "gemma4.jinja", "GemmaTokenizer",
        first=True, ends=("<eos>",),
    )  # fmt: skip


def _of_mistral() -> Iterator[Family]:
    mistral = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_act": "silu"}
    config = {
        **SHAPE,
        **mistral,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "tie_word_embeddings": False,
    }
    added = {"legacy": False, "add_bos_token": True, "add_eos_token": False}
    yield Family(
        "mistral", config, "pieces", MISTRAL, "</s>", "<s>", None, "mistral-v0.3.jinja", "LlamaTokenizer",
        first=True, tokenizer_config=added,
    )  # fmt: skip
    config |= {"head_dim": 32, "rope_theta": 100000000.0, "sliding_window": 16}
    yield Family(
        "ministral-8b", config, "tekken", MISTRAL, "</s>", "<s>", "<pad>", "mistral-nemo.jinja", first=True
    )
    # a multimodal folder
    text = {
        **{key: SHAPE[key] for key in SHAPE if key != "torch_dtype"},
        "model_type": "ministral3",
        "head_dim": 32,
        "hidden_act": "silu",
        "sliding_window": None,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "factor": 2.0,
            "llama_4_scaling_beta": 0.1,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "original_max_position_embeddings": 512,
            "rope_theta": 1000000.0,
            "rope_type": "yarn",
            "type": "yarn",
        },
    }
    config = {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "model_type": "mistral3",
        "dtype": "bfloat16",
        "image_token_index": 13,
        "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu",
        "spatial_merge_size": 2,
        "tie_word_embeddings": True,
        "vision_feature_layer": -1,
        "text_config": text,
        "vision_config": {**VISION, "model_type": "pixtral", "head_dim": 16, "rope_theta": 10000.0},
    }
    yield Family(
        "ministral3", config, "tekken", MISTRAL, "</s>", "<s>", "<pad>", "ministral-3.jinja", first=True
    )


def _of_microsoft() -> Iterator[Family]:
    phi3 = {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_act": "silu"}
    phi3 |= {"attention_bias": False, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    config = {**SHAPE, **phi3, "original_max_position_embeddings": 1024, "rope_scaling": None}
    config |= {"rope_theta": 250000, "sliding_window": None, "tie_word_embeddings": False}
    yield Family(
        "phi-4", config, "cl100k", PHI4, "<|im_end|>", "<|endoftext|>", "<|dummy_85|>", "phi-4.jinja",
        "GPT2Tokenizer", ends=("<|endoftext|>",),
    )  # fmt: skip
    factors = {"long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 12.0], "short_factor": [1.0] * 6, "type": "longrope"}
    config |= {"rope_theta": 10000.0, "partial_rotary_factor": 0.75, "rope_scaling": factors}
    config |= {"original_max_position_embeddings": 256, "tie_word_embeddings": True, "sliding_window": 262144}
    yield Family(
        "phi-4-mini", config, "o200k", PHI4_MINI, "<|end|>", "<|endoftext|>", "<|endoftext|>",
        "phi-4-mini.jinja", "GPT2Tokenizer", ends=("<|endoftext|>",),
    )  # fmt: skip


def _of_others() -> Iterator[Family]:
    config = {**SHAPE, "architectures": ["Glm4ForCausalLM"], "model_type": "glm4", "hidden_act": "silu"}
    config |= {"attention_bias": True, "head_dim": 16, "partial_rotary_factor": 0.5, "rope_theta": 10000.0}
    config |= {"tie_word_embeddings": False}
    yield Family(
        "glm-4", config, "cl100k", GLM, "<|endoftext|>", None, "<|endoftext|>", "glm-4.jinja",
        ends=("<|user|>", "<|observation|>"),
    )  # fmt: skip
    config = {**SHAPE, "architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "hidden_act": "silu"}
    config |= {"num_hidden_layers": 4, "no_rope_layers": [1, 1, 1, 0], "no_rope_layer_interval": 4}
    config |= {"rope_theta": 5000000.0, "rope_scaling": None, "mlp_bias": False, "attention_bias": False}
    config |= {"layer_types": ["full_attention"] * 4, "sliding_window": None, "use_sliding_window": False}
    config |= {"pretraining_tp": 2, "max_window_layers": 28, "tie_word_embeddings": True}
    yield Family("smollm3", config, "llama3", SMOLLM3, "<|im_end|>", None, "<|im_end|>", "smollm3.jinja")
    # as the authors had it before they quantized its experts
    config = {**SHAPE, "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "hidden_act": "silu"}
    config |= {"attention_bias": True, "experts_per_token": 2, "head_dim": 32, "num_local_experts": 4}
    config |= {"layer_types": ["sliding_attention", "full_attention"], "num_experts_per_tok": 2}
    config |= {"output_router_logits": False, "router_aux_loss_coef": 0.9, "sliding_window": 16}
    config |= {"swiglu_limit": 7.0, "rope_theta": 150000, "tie_word_embeddings": False, "rms_norm_eps": 1e-5}
    config["rope_scaling"] = {
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "factor": 32.0,
        "original_max_position_embeddings": 64,
        "rope_type": "yarn",
        "truncate": False,
    }
    yield Family(
        "gpt-oss", config, "o200k", HARMONY, "<|return|>", "<|startoftext|>", "<|endoftext|>",
        "gpt-oss.jinja", ends=("<|endoftext|>", "<|call|>"),
    )  # fmt: skip
    config = {**SHAPE, "architectures": ["HunYuanDenseV1ForCausalLM"], "model_type": "hunyuan_v1_dense"}
    config |= {"attention_bias": False, "head_dim": 32, "hidden_act": "silu", "mlp_bias": False}
    config |= {"rope_theta": 10000.0, "use_qk_norm": True, "tie_word_embeddings": True}
    config["rope_scaling"] = {
        "alpha": 1000.0,
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "type": "dynamic",
    }
    yield Family(
        "hunyuan", config, "qwen", HUNYUAN, "<｜hy_place▁holder▁no▁2｜>", "<｜hy_begin▁of▁sentence｜>",
        "<｜hy_▁pad▁｜>", "hunyuan.jinja",
    )  # fmt: skip
    config = {
        **SHAPE,
        "architectures": ["Ernie4_5ForCausalLM"],
        "model_type": "ernie4_5",
        "hidden_act": "silu",
    }
    config |= {"head_dim": 32, "rope_theta": 500000.0, "use_bias": False, "tie_word_embeddings": True}
    yield Family(
        "ernie-4.5", config, "pieces", ERNIE, "</s>", "<s>", "<unk>", "ernie-4.5.jinja", "LlamaTokenizer",
        tokenizer_config={"legacy": True, "add_bos_token": False},
    )  # fmt: skip


FAMILIES: dict[str, Family] = {
    family.name: family
    for families in (_of_qwen, _of_meta_and_deepseek, _of_google, _of_mistral, _of_microsoft, _of_others)
    for family in families()
}

# InternLM's kinds by the names of theirs here.
INTERNLM = {"internlm2.5": "internlm2", "internlm3": "internlm3"}
# Of each the model whose config it is, and what it is known by.
ABOUT: dict[str, tuple[str, str]] = {
    "qwen2.5": (
        "Qwen/Qwen2.5-0.5B-Instruct",
        "biases in q, k and v; tied embeddings; a default system prompt",
    ),
    "qwen3": ("Qwen/Qwen3-0.6B", "norms of queries and keys, heads of their own size, thoughts"),
    "qwen3.5": ("Qwen/Qwen3.5-0.8B", "three layers of linear attention to one of attention; reads pictures"),
    "qwen3-moe": ("Qwen/Qwen3-30B-A3B", "a mixture of experts"),
    "llama3.2": ("meta-llama/Llama-3.2-1B-Instruct", "rope scaling llama3, tied embeddings"),
    "deepseek-r1-qwen": (
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
        "Qwen2 with DeepSeek's template, thoughts",
    ),
    "deepseek-r1-llama": (
        "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
        "Llama with DeepSeek's template, thoughts",
    ),
    "gemma3-1b": ("google/gemma-3-1b-it", "sliding windows, two rotary bases, norms on both sides"),
    "gemma3-4b": ("google/gemma-3-4b-it", "the same with linear rope scaling; reads pictures"),
    "gemma4": (
        "google/gemma-4-E2B-it",
        "inputs of each layer's own, shared keys and values; pictures and sound",
    ),
    "mistral": ("mistralai/Mistral-7B-Instruct-v0.3", "SentencePiece tokenizer, no system role"),
    "ministral-8b": ("mistralai/Ministral-8B-Instruct-2410", "a sliding window, the Tekken tokenizer"),
    "ministral3": ("mistralai/Ministral-3-3B-Instruct-2512", "YaRN, queries scaled by place; reads pictures"),
    "phi-4": ("microsoft/phi-4", "q, k and v in one matrix, gate and up in another"),
    "phi-4-mini": ("microsoft/Phi-4-mini-instruct", "the same with longrope on a part of each head"),
    "glm-4": (
        "zai-org/GLM-4-9B-0414",
        "four norms a layer, gate and up in one matrix, half of each head turned",
    ),
    "internlm2.5": ("internlm/internlm2_5-7b-chat", "q, k and v in one matrix; the authors' own code"),
    "internlm3": ("internlm/internlm3-8b-instruct", "biases one by one; the authors' own code"),
    "smollm3": ("HuggingFaceTB/SmolLM3-3B", "every fourth layer without positions, thoughts"),
    "gpt-oss": ("openai/gpt-oss-20b", "a mixture of experts, sinks, sliding windows, YaRN, channels"),
    "hunyuan": ("tencent/Hunyuan-0.5B-Instruct", "norms behind the rotation, dynamic rope scaling by alpha"),
    "ernie-4.5": ("baidu/ERNIE-4.5-0.3B-PT", "neighbouring pairs turned, tied embeddings"),
}

if __name__ == "__main__":
    for wanted in sys.argv[2:] or ABOUT:
        print(make_family(Path(sys.argv[1]) / wanted, wanted))
