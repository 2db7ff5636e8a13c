"""Ask what was fetched back from where it was published, and the merged model here, the same questions.

The published one is spoken to by its own chat template and tokenizer, as a stranger would; the one here by
the training's template. Both write greedily in the same number format: the same weights give the same tokens.

The request is ``{"what", "published", "base", "merged", "template", "system", "precision", "questions",
"tokens"}``; the answer, in another file, ``[{"question", "here", "there", "same_prompt", "same"}]``.
"""

import json
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from core.engine.answer import DTYPES, end_tokens, first_token, load
from core.engine.starter import read_gguf_once
from core.engine.tokenizer_file import load_tokenizer
from core.jobs import progress
from core.jobs.progress import Phase
from core.recipe.own_template import template_of
from core.recipe.templates import Template
from core.workspace.files import write_json

Answers = list[tuple[list[int], list[int], str]]
# The one GGUF file that holds the merged model's own numbers, before any of the rounded ones.
EXACT = "model-f16.gguf"


def main(request: str, answers: str) -> None:
    """Answer the request file into the answers file."""
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    progress.phase(Phase.answering, 2)
    here = _ask_here(wanted, device)
    progress.reach(1, share=0.5)
    print("asked the model here", flush=True)
    there = _ask_there(wanted, device)
    progress.reach(2, share=1.0)
    print("asked what was fetched", flush=True)
    rows = [
        {
            "question": question,
            "here": ours[2],
            "there": theirs[2],
            "same_prompt": ours[0] == theirs[0],
            "same": ours[1] == theirs[1],
        }
        for question, ours, theirs in zip(wanted["questions"], here, there, strict=True)
    ]
    write_json(Path(answers), rows)


def _template(wanted: dict[str, Any]) -> Template:
    return template_of(wanted["template"], Path(wanted["base"]))


def _ask_here(wanted: dict[str, Any], device: str) -> Answers:
    model, tokenizer = load(wanted["merged"], device, DTYPES[wanted["precision"]])
    template, first = _template(wanted), first_token(tokenizer)
    texts = [template.asked(question, wanted["system"], first) for question in wanted["questions"]]
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    found: Answers = _write(model, tokenizer, prompts, end_tokens(tokenizer, template), wanted["tokens"])
    return found


def _ask_there(wanted: dict[str, Any], device: str) -> Answers:
    model, tokenizer = _load_published(wanted, device)
    before = [{"role": "system", "content": wanted["system"]}] if wanted["system"] else []
    prompts = [
        tokenizer.apply_chat_template(
            [*before, {"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
        )
        for question in wanted["questions"]
    ]
    ends = end_tokens(tokenizer, _template(wanted))
    found: Answers = _write(model, tokenizer, prompts, ends, wanted["tokens"])
    return found


def _load_published(wanted: dict[str, Any], device: str) -> tuple[Any, Any]:
    folder, dtype = Path(wanted["published"]), DTYPES[wanted["precision"]]
    if wanted["what"] == "app":
        folder = folder / "model"
    if wanted["what"] == "gguf":
        return _load_gguf(folder, wanted["merged"], device, dtype)
    if wanted["what"] == "adapter":
        return _load_adapter(folder, wanted["base"], device, dtype), load_tokenizer(folder)
    return load(str(folder), device, dtype)


def _load_adapter(folder: Path, base: str, device: str, dtype: torch.dtype) -> Any:
    """Merged as ``merge`` does it, in float16: applied at run time it would be rounded elsewhere."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16)  # nosec B615  # a folder
    merged = PeftModel.from_pretrained(model, str(folder), is_trainable=False).merge_and_unload()
    return merged.to(device=device, dtype=dtype).eval()


def _load_gguf(folder: Path, merged: str, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """The file's weights, vocabulary and template; settings that transformers 4.57 does not read out of it
    (biases) and the way text is split, which it chooses by itself, are the merged model's."""
    read_gguf_once()
    files = sorted(file.name for file in folder.glob("*.gguf"))
    name = EXACT if EXACT in files else files[0]
    model = AutoModelForCausalLM.from_pretrained(  # nosec B615  # a folder
        folder, gguf_file=name, config=gguf_config(merged), dtype=dtype
    )
    own, tokenizer = (
        AutoTokenizer.from_pretrained(folder, gguf_file=name),  # nosec B615  # a folder
        load_tokenizer(merged),
    )
    if not tokenizer.get_vocab().items() <= own.get_vocab().items():
        raise ValueError(f"{name} has another vocabulary than the merged model")
    tokenizer.chat_template = own.chat_template
    return model.to(device).eval(), tokenizer


def gguf_config(folder: str) -> Any:
    """The settings under which transformers reads a GGUF file of this model: Mistral is written as Llama."""
    config = AutoConfig.from_pretrained(folder)  # nosec B615  # a folder
    if config.model_type != "mistral":
        return config
    kind = {"model_type", "architectures"}
    return LlamaConfig(**{name: value for name, value in config.to_dict().items() if name not in kind})


@torch.inference_mode()
def _write(model: Any, tokenizer: Any, prompts: list[list[int]], ends: list[int], limit: int) -> Answers:
    """One question at a time: in a batch, padding changes the last digits."""
    found: Answers = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=limit,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
        new = output[0, len(prompt) :].tolist()
        found.append((prompt, new, tokenizer.decode(new, skip_special_tokens=True).strip()))
    return found
