"""Ask a model many questions at once: greedy, in batches of similar length, with the training's template.

The request is a JSON file ``{"model", "template", "system", "precision", "questions": [{"question",
"tokens", "system", "thinks"}]}``; a question without a system prompt has the request's, and ``thinks`` asks a
model that can do both to think first or to answer at once. The answers go to another, ``[{"question",
"answer", "finished"}]`` in the same order, each with the thought before it. ``finished`` is false when the
token limit cut the answer off.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from core.engine.tokenizer_file import load_tokenizer
from core.models.fitted import fitted_in
from core.recipe.own_template import template_of
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template
from core.recipe.thinking import in_mode
from core.recipe.thoughts import left_open, special_marks
from core.workspace.files import write_json

# Two processor cores answer 129 questions in 29 s 64 at a time, in 46 s 16 at a time.
BATCH = 64
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def main(request: str, answers: str) -> None:
    """Answer every question of the request file into the answers file."""
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = load(wanted["model"], device, DTYPES[wanted["precision"]])
    template = template_of(wanted["template"], Path(wanted["model"]))
    said = answer_all(model, tokenizer, template, wanted["questions"], wanted.get("system", ""))
    write_json(Path(answers), said)


def answer_all(
    model: Any, tokenizer: Any, template: Template, questions: list[dict[str, Any]], system: str
) -> list[dict[str, Any]]:
    """What a loaded model answers to the questions of a request, as the answers file has it."""
    first = first_token(tokenizer)
    ways = {mode: in_mode(template, mode) for mode in (None, False, True)}
    prompts = [
        ways[q.get("thinks")].asked(q["question"], q.get("system") or system, first) for q in questions
    ]
    done: dict[int, dict[str, Any]] = {}
    for batch in batches(prompts, [q["tokens"] for q in questions], tokenizer):
        texts = generate(
            model, tokenizer, [prompts[i] for i in batch], questions[batch[0]]["tokens"], template
        )
        for index, (text, finished) in zip(batch, texts, strict=True):
            opened = left_open(prompts[index])
            said = f"{opened}{text}" if opened else text.lstrip()
            done[index] = {"question": questions[index]["question"], "answer": said, "finished": finished}
        print(f"answered {len(done)}/{len(questions)}", flush=True)
    return [done[index] for index in range(len(questions))]


def load(folder: str, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model ready to generate, with its adapter where the folder is of that kind, and its tokenizer,
    padding on the left."""
    tokenizer = load_tokenizer(folder, padding_side="left")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if fitted := fitted_in(Path(folder)):
        from core.engine.adapter import load_fitted  # PEFT takes a second to import

        model = load_fitted(fitted, dtype)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return model.to(device).eval(), tokenizer


def first_token(tokenizer: Any) -> str:
    """What training puts before every text: asked without it a model would meet another text."""
    return "" if type(tokenizer).__name__ in WITHOUT_FIRST_TOKEN else tokenizer.bos_token or ""


def batches(prompts: list[str], limits: list[int], tokenizer: Any) -> Iterator[list[int]]:
    """Indices of prompts in groups of one token limit and similar length, so that little is padded."""
    lengths = [len(ids) for ids in tokenizer(prompts, add_special_tokens=False)["input_ids"]]
    order = sorted(range(len(prompts)), key=lambda index: (limits[index], lengths[index]))
    group: list[int] = []
    for index in order:
        if group and (len(group) == BATCH or limits[index] != limits[group[0]]):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


@torch.inference_mode()
def generate(
    model: Any, tokenizer: Any, prompts: list[str], limit: int, template: Template
) -> list[tuple[str, bool]]:
    """Continue each prompt by at most ``limit`` tokens: (text, whether the model ended it itself)."""
    ends, hidden = end_tokens(tokenizer, template), hidden_tokens(tokenizer)
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
    output = model.generate(
        **inputs,
        max_new_tokens=limit,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
    )
    return [_read(tokenizer, ids.tolist(), ends, hidden) for ids in output[:, inputs["input_ids"].shape[1] :]]


def end_tokens(tokenizer: Any, template: Template) -> list[int]:
    """The tokens that end an answer: the tokenizer's own and the template's stop words that are one token."""
    words = [template.suffix, *template.stop_words]
    ids = [tokenizer.convert_tokens_to_ids(word) for word in words if word]
    known = {i for i in ids if i is not None and i != tokenizer.unk_token_id}
    return sorted(known | {tokenizer.eos_token_id})


def hidden_tokens(tokenizer: Any) -> frozenset[int]:
    """The special tokens that are no part of an answer's text: all but those that tell a thought from it."""
    known = tokenizer.get_vocab()
    kept = {known[mark] for mark in special_marks(known.__contains__)}
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset((added | set(tokenizer.all_special_ids)) - kept)


def _read(
    tokenizer: Any, ids: list[int], ends: list[int], hidden: frozenset[int] = frozenset()
) -> tuple[str, bool]:
    end = next((place for place, token in enumerate(ids) if token in ends), None)
    text = tokenizer.decode([token for token in ids[:end] if token not in hidden])
    # The limit may cut a character of several tokens: what is left of it reads as U+FFFD.
    return (text if end is not None else text.rstrip("\ufffd")).rstrip(), end is not None
