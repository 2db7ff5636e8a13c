"""How fast many questions are answered: transformers' own generate in batches of 64, and core.engine.decode.

    scripts/bench answers [--model FOLDER] [--questions N] [--tokens N] [--precision bf16] [--json FILE]

The same prompts, in one process, each way in turn, the first of each not counted. Tokens are those that the
answers have, their ends among them: what an answer is padded with is no work that anybody wants.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from core.data.asking import Prompter
from core.data.questions import held_back_questions, replay_bank
from core.engine.answer import DTYPES, end_tokens, first_token, load
from core.engine.decode import write_all
from core.engine.token_rows import left_padded, through_end
from core.machine import this_machine
from core.models.folder import read_model
from core.recipe.own_template import spoken_by, template_of
from core.steps import prepare
from core.workspace.paths import Workspace

BATCH = 64
Rows = list[list[int]]
Write = Callable[[Any, Rows, int, list[int], int], Rows]


def in_batches(model: Any, prompts: Rows, limit: int, ends: list[int], pad: int) -> Rows:
    """By ``generate`` in batches of similar length, every row until the last of its batch has ended."""
    found: Rows = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        ids, gaps = left_padded([prompts[index] for index in batch], pad)
        longest = len(ids[0])
        mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
        with torch.inference_mode():
            made = model.generate(
                torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                max_new_tokens=limit,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=ends,
                pad_token_id=pad,
            )
        for index, row in zip(batch, made[:, longest:].tolist(), strict=True):
            found[index] = through_end(row, ends)
    return found


def as_answered(model: Any, prompts: Rows, limit: int, ends: list[int], pad: int) -> Rows:
    """As the engine answers."""
    return write_all(model, prompts, [limit] * len(prompts), ends, pad)


WAYS: dict[str, Write] = {"generate in 64s": in_batches, "core.engine.decode": as_answered}


def measure(folder: Path, precision: str, count: int, limit: int, times: int) -> list[dict[str, Any]]:
    """Each way: seconds and tokens a second, the best of ``times``, and how many answers are the other's."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = load(str(folder), device, DTYPES[precision])
    template = template_of(spoken_by(read_model(folder)), folder)
    prompter = Prompter(folder, template, first_token(tokenizer))
    texts = [prompter.prompt(question) for question in questions(count)]
    prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
    ends, pad = end_tokens(tokenizer, template), tokenizer.pad_token_id
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    made: dict[str, Rows] = {}
    for write in WAYS.values():
        write(model, prompts[:8], 4, ends, pad)
    for _ in range(times):
        for name, write in WAYS.items():
            began = time.monotonic()
            made[name] = write(model, prompts, limit, ends, pad)
            seconds[name].append(time.monotonic() - began)
    first = made["generate in 64s"]
    return [
        {
            "way": name,
            "seconds": round(min(seconds[name]), 2),
            "tokens_per_second": round(sum(map(len, rows)) / min(seconds[name]), 1),
            "same": sum(a == b for a, b in zip(rows, first, strict=True)),
            "questions": len(rows),
        }
        for name, rows in made.items()
    ]


def questions(count: int) -> list[str]:
    """The first of the shipped general ones: held back, and to replay."""
    known = [held.question for held in held_back_questions()]
    known += [question for bank in replay_bank().values() for question in bank]
    return list(dict.fromkeys(known))[:count]


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    head = "| way | seconds | tokens/s | same answers |\n| --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {r['way']} | {r['seconds']} | {r['tokens_per_second']} | {r['same']} of {r['questions']} |\n"
        for r in results
    )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench answers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--workspace", default="workspace/bench")
    parser.add_argument("--questions", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--precision", choices=DTYPES, default="bf16")
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    folder = asked.model or Workspace.of(asked.workspace).starter
    results = measure(folder, asked.precision, asked.questions, asked.tokens, asked.times)
    machine = this_machine()
    about = {
        "date": f"{datetime.now():%Y-%m-%d}",
        "machine": {"cores": machine.cores, "bf16": machine.bf16, "gpus": [asdict(g) for g in machine.gpus]},
        "model": folder.name,
        "precision": asked.precision,
        "versions": prepare.versions(),
        "results": results,
    }
    if asked.json:
        asked.json.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    print(f"{about['date']}, {about['machine']}, {folder.name} in {asked.precision}, {about['versions']}")


if __name__ == "__main__":
    main(sys.argv[1:])
