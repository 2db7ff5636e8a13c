"""What can be trained, judged by a model's config.json alone: no weight is read and no code is run."""

from collections.abc import Mapping
from typing import Any

from core.errors import NotAModel, QuantizedBase
from core.wording import say

# Types that transformers knows by itself although folders of them may carry their authors' code.
NATIVE = {
    *("llama", "qwen2", "qwen3", "qwen3_moe", "mistral", "ministral", "ministral3", "gemma", "gemma2"),
    *("gemma3_text", "gemma4_text", "qwen3_5_text", "phi3", "glm4", "smollm3", "gpt_oss"),
    *("hunyuan_v1_dense", "ernie4_5"),
}
# Llamas under another name: core.engine.native_llama makes plain Llamas of them.
CONVERTED = {
    "internlm": "InternLMForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "internlm3": "InternLM3ForCausalLM",
}
# The text parts that are taken out of multimodal folders, by type: transformers' class of each alone.
TEXT_PARTS = {
    "gemma3_text": "Gemma3ForCausalLM",
    "gemma4_text": "Gemma4ForCausalLM",
    "ministral3": "Ministral3ForCausalLM",
    "qwen3_5_text": "Qwen3_5ForCausalLM",
}
# Mixtures of experts that are trained: LoRA on what every token passes through, attention first of all.
MIXTURES = {"qwen3_moe", "gpt_oss"}
# Types whose numbers grow beyond what float16 holds (65,504): what is merged of them is bfloat16.
WIDE = ("gemma", "glm4", "gpt_oss")
# Types that transformers computes attention of in one way only.
EAGER = {"gpt_oss"}
# What every config counts, and more than any of it comes to.
COUNTS = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
LARGEST_COUNT = 1 << 40
CAUSAL = ("ForCausalLM", "LMHeadModel")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
# What a multimodal config says for its text part too.
SHARED = (
    *("bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings", "torch_dtype", "dtype"),
    "quantization_config",
)
# The entry of config.json in which an imported model keeps the type that it had.
CONVERTED_FROM = "converted_from"
SENSES = ("vision_config", "audio_config", "visual")


def odd_kinds(config: Mapping[str, Any]) -> list[str]:
    """The keys that every config has whose values are not of the kind that they must be. What a multimodal
    config counts beside its text part is nobody's: some of them have null there."""
    named = config.get("architectures")
    odd = [] if named is None or _are_texts(named) else ["architectures"]
    odd += [] if isinstance(config.get("model_type", ""), str) else ["model_type"]
    counted = text_part(config) or config
    return odd + [name for name in COUNTS if not _counts(counted.get(name, 1))]


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) for one in found)


def _counts(found: object) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 < found < LARGEST_COUNT


def is_converted(config: Mapping[str, Any]) -> bool:
    """Whether a model becomes another one when it is imported: InternLM's, and the text part of several."""
    return is_internlm(config) or text_part(config) is not None


def is_internlm(config: Mapping[str, Any]) -> bool:
    """Whether a model becomes a native Llama when it is imported."""
    return str(config.get("model_type")) in CONVERTED


def text_part(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config.json of the text model in a multimodal folder, if it is one that is known; else None."""
    text = config.get("text_config")
    if not isinstance(text, dict) or str(text.get("model_type")) not in TEXT_PARTS:
        return None
    shared = {name: config[name] for name in SHARED if name in config}
    own = {"architectures": [TEXT_PARTS[str(text["model_type"])]]}
    return {**shared, **text, **own, CONVERTED_FROM: str(config.get("model_type", ""))}


def import_reason(config: Mapping[str, Any]) -> str:
    """Why a model has to be imported before it is trained, as a part of a sentence."""
    if is_internlm(config):
        return say("model.import_first")
    return say("model.import_text", architecture=architecture_of(config))


def merged_dtype(model_type: str) -> str:
    """How the weights of a merged model are stored: torch's name of the type."""
    return "bfloat16" if model_type.startswith(WIDE) else "float16"


def refusal(config: Mapping[str, Any]) -> str:
    """Why no model of this config can be trained, as a part of a sentence; empty where it can.

    What is converted when it is imported counts as trainable.
    """
    kind, architecture = str(config.get("model_type")), architecture_of(config)
    if (text := text_part(config)) is not None:
        return refusal(text)
    if any(isinstance(config.get(sense), dict) for sense in SENSES):
        return say("model.multimodal", architecture=architecture)
    if config.get("is_encoder_decoder") or (architecture and not architecture.endswith(CAUSAL)):
        return say("model.not_causal", architecture=architecture or kind)
    if kind not in MIXTURES and any(_many(config.get(name)) for name in EXPERTS):
        return say("model.experts", architecture=architecture or kind)
    if kind in CONVERTED and architecture in {"", CONVERTED[kind]}:
        return ""
    if "auto_map" in config and kind not in NATIVE:
        return say("model.remote_code")
    return ""


def check_trainable(config: Mapping[str, Any], where: object) -> None:
    """Raises NotAModel, QuantizedBase for a config whose model cannot be trained."""
    if reason := refusal(config):
        raise NotAModel(folder=where, reason=reason)
    if kind := quantization(config):
        raise QuantizedBase(model=where, quantization=kind)


def quantization(config: Mapping[str, Any]) -> str | None:
    """How the weights are quantized (gptq, awq, bitsandbytes, …); None where they are not."""
    found = config.get("quantization_config")
    return str(found.get("quant_method", "unknown")) if isinstance(found, dict) else None


def architecture_of(config: Mapping[str, Any]) -> str:
    """The first class that a config names; empty where it names none."""
    found = config.get("architectures")
    return found[0] if isinstance(found, list) and found and isinstance(found[0], str) else ""


def _many(found: object) -> bool:
    return isinstance(found, int) and found > 1
