"""What the tests of the families do with torch, in a process of its own; each act prints JSON.

python -m tests.families_work text SOURCE TEXT            how far an imported text part is from its source
python -m tests.families_work look BASE ADAPTER MERGED    what an adapter holds, and how the three differ
python -m tests.families_work fast MODEL                  what of it the fast path does not know
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

# Long enough that a sliding window leaves something out.
TEXT = "Who are you? 你是谁？ 1234 don't stop. " * 4


def text(source: str, part: str) -> None:
    """The largest difference of the logits, in float32."""
    kind = json.loads((Path(source) / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    ids = _ids(part)
    whole = getattr(transformers, kind).from_pretrained(source, dtype=torch.float32)
    alone = AutoModelForCausalLM.from_pretrained(part, dtype=torch.float32)
    here, there = _logits(whole, ids), _logits(alone, ids)
    print(json.dumps({"largest": (here - there).abs().max().item(), "spread": here.std().item()}))


def look(base: str, adapter: str, merged: str) -> None:
    """``layers``: the names of the linear layers that LoRA is on, ``least``: the smallest of its second
    matrices' largest weights, which begin as zeros; ``changed`` and ``lost``: how far base and merged model
    are from the base with its adapter, ``spread`` of its logits. What is lost is that of nine tokens in ten:
    of a mixture of experts rounded weights may send one to another expert, which is no matter of merging."""
    from peft import PeftModel
    from safetensors.torch import load_file

    weights = load_file(Path(adapter) / "adapter_model.safetensors")
    second = [one.abs().max().item() for name, one in weights.items() if "lora_B" in name]
    ids = _ids(merged)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    before = _logits(plain, ids)
    tuned = _logits(PeftModel.from_pretrained(plain, adapter), ids)
    whole = _logits(AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32), ids)
    found = {
        "layers": sorted({name.split(".lora_")[0].rpartition(".")[2] for name in weights}),
        "least": min(second),
        "changed": (tuned - before).abs().max().item(),
        "lost": (tuned - whole).abs().amax(dim=-1).quantile(0.9).item(),
        "spread": tuned.std().item(),
    }
    print(json.dumps(found))


def fast(model: str) -> None:
    from core.engine.fast.families import check_layers
    from core.engine.fast.groups import Unsupported

    try:
        check_layers(AutoModelForCausalLM.from_pretrained(model), longest=512)
    except Unsupported as refused:
        print(json.dumps({"unknown": str(refused)}))
    else:
        print(json.dumps({"unknown": ""}))


def _ids(folder: str) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids: torch.Tensor = tokenizer(TEXT, return_tensors="pt", add_special_tokens=False)["input_ids"]
    return ids


@torch.inference_mode()
def _logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model.eval()(input_ids=ids).logits[0].float()
    return logits


ACTS: dict[str, Callable[..., None]] = {"text": text, "look": look, "fast": fast}

if __name__ == "__main__":
    ACTS[sys.argv[1]](*sys.argv[2:])
