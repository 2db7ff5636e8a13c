"""Unsloth's side of ``scripts/bench gpu``, run by an interpreter that has it: the loop of its notebooks.

    python unsloth_loop.py MODEL OUT "8x512 nf4 on,…" RANK ITERATIONS SKIPPED

"on" is its own activation checkpointing (which offloads to the host), "nf4" its 4-bit loading.
"""

import gc
import json
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import unsloth  # noqa: F401  # isort: skip  (it patches what is imported after it)
import torch
from unsloth import FastLanguageModel

PACKAGES = ("unsloth", "unsloth_zoo", "torch", "transformers", "peft", "bitsandbytes")
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main(folder: str, out: str, settings: str, rank: str, iterations: str, skipped: str) -> None:
    found = {}
    versions = {name: version(name) for name in PACKAGES}
    for setting in settings.split(","):
        model, batch, length = load(folder, setting, int(rank))
        torch.cuda.reset_peak_memory_stats()
        seconds = train(model, batch, length, int(iterations))
        speed = batch * length / statistics.median(seconds[int(skipped) :])
        found[setting] = {"tokens_per_second": speed, "memory": torch.cuda.max_memory_allocated()}
        Path(out).write_text(json.dumps({"versions": versions, "runs": found}), encoding="utf-8")
        del model
        gc.collect()
        torch.cuda.empty_cache()


def load(folder: str, setting: str, rank: int) -> tuple[torch.nn.Module, int, int]:
    size, quantization, checkpointing = setting.split()
    batch, length = map(int, size.split("x"))
    model, _ = FastLanguageModel.from_pretrained(
        folder, max_seq_length=length, dtype=torch.bfloat16, load_in_4bit=quantization == "nf4"
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=rank,
        lora_alpha=16,
        lora_dropout=0,
        bias="none",
        target_modules=TARGETS,
        use_gradient_checkpointing="unsloth" if checkpointing == "on" else False,
    )
    FastLanguageModel.for_training(model, use_gradient_checkpointing=checkpointing == "on")
    return model, batch, length


def train(model: torch.nn.Module, batch: int, length: int, iterations: int) -> list[float]:
    """Seconds of each step: forward, backward, clipping and AdamW, as its trainer does them."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    seconds = []
    for _ in range(iterations):
        began = time.perf_counter()
        ids = torch.randint(0, vocabulary, (batch, length)).pin_memory().cuda(non_blocking=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        # Its trainer reads the loss in every step, so the GPU's time is the step's.
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
