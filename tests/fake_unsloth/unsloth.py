"""Speaks Unsloth 2026.10.9's interface, as far as ``core.engine.unsloth_way`` uses it, with transformers and
PEFT underneath; its folder on PYTHONPATH stands for an installed Unsloth.

As the real one it has to be imported first, draws LoRA's weights from ``random_state``, keeps LoRA in float32
and gives a loss without logits. What it was asked is printed, and so stands in the job's log.
"""

import json
import os
import sys
from typing import Any

TOO_LATE = {"transformers", "peft", "trl"} & set(sys.modules)
print("fake unsloth: imported after", sorted(TOO_LATE), flush=True)


def _said(what: str, values: dict[str, Any]) -> None:
    print(f"fake unsloth: {what} {json.dumps(values, default=str)}", flush=True)


class FastLanguageModel:
    """Static methods as the real one's."""

    @staticmethod
    def from_pretrained(
        model_name: str,
        max_seq_length: int = 2048,
        dtype: Any = None,
        load_in_4bit: bool = True,
        device_map: Any = "sequential",
        trust_remote_code: bool = False,
        use_gradient_checkpointing: Any = "unsloth",
        fix_tokenizer: bool = True,
        use_exact_model_name: bool = False,
        offload_embedding: Any = "auto",
        **options: Any,
    ) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        kept = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "UNSLOTH_DISABLE_STATISTICS")}
        _said("loads", {"longest": max_seq_length, "4bit": load_in_4bit, "dtype": dtype, **kept, **options})
        assert device_map == "cuda" and use_exact_model_name
        assert not (trust_remote_code or fix_tokenizer or offload_embedding)
        assert use_gradient_checkpointing is False
        model = AutoModelForCausalLM.from_pretrained(model_name, dtype=dtype)
        model.eval()
        return model, AutoTokenizer.from_pretrained(model_name)

    @staticmethod
    def get_peft_model(
        model: Any, *, use_gradient_checkpointing: Any = "unsloth", random_state: int = 3407, **lora: Any
    ) -> Any:
        from peft import LoraConfig, get_peft_model
        from transformers import set_seed

        _said("LoRA", {"checkpointing": use_gradient_checkpointing, "seed": random_state, **lora})
        set_seed(random_state)
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
        for name, weight in model.named_parameters():
            weight.requires_grad = "lora_" in name
        return model

    @staticmethod
    def for_training(model: Any) -> Any:
        _said("trains", {})
        return model.train()

    @staticmethod
    def for_inference(model: Any) -> Any:
        _said("answers", {})
        return model.eval()
