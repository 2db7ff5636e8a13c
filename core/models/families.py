"""What can be trained, judged by a model's config.json alone: no weight is read and no code is run."""

from collections.abc import Mapping
from typing import Any

from core.errors import NotAModel, QuantizedBase
from core.wording import say

# Types that transformers 4.57.6 knows by itself although folders of them may carry their authors' code.
NATIVE = {"llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "phi3"}
# Llamas under another name: core.engine.native_llama makes plain Llamas of them.
CONVERTED = {
    "internlm": "InternLMForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "internlm3": "InternLM3ForCausalLM",
}
CAUSAL = ("ForCausalLM", "LMHeadModel")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
SENSES = ("vision_config", "audio_config", "visual")


def is_converted(config: Mapping[str, Any]) -> bool:
    """Whether a model becomes a native Llama when it is imported."""
    return str(config.get("model_type")) in CONVERTED


def refusal(config: Mapping[str, Any]) -> str:
    """Why no model of this config can be trained, as a part of a sentence; empty where it can.

    What is converted when it is imported counts as trainable.
    """
    kind, architecture = str(config.get("model_type")), _architecture(config)
    if any(isinstance(config.get(sense), dict) for sense in SENSES):
        return say("model.multimodal", architecture=architecture)
    if config.get("is_encoder_decoder") or (architecture and not architecture.endswith(CAUSAL)):
        return say("model.not_causal", architecture=architecture or kind)
    if any(_many(config.get(name)) for name in EXPERTS):
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


def _architecture(config: Mapping[str, Any]) -> str:
    found = config.get("architectures")
    return str(found[0]) if isinstance(found, list) and found else ""


def _many(found: object) -> bool:
    return isinstance(found, int) and found > 1
