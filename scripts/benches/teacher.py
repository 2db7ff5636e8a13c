"""Whether what the base said before teaches what the base itself would: gradients beside each other.

    scripts/bench teacher [--model DIR] [--questions N] [--steps N] [--precision fp32|bf16]

A base (the starter unless another folder is named) answers replay questions. LoRA as a default recipe has it
is taught an identity alone for some steps, so that something was forgotten. Then the gradient of the replayed
rows by the base's k likeliest tokens, from a file, is held against that of the divergence over the whole
vocabulary by a second pass: loss, length and cosine, and how much of the probability lies outside the k.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax
from xtuner.dataset.collate_fns import default_collate_fn

from core.cli.terminal import progress
from core.data.asking import Prompter
from core.data.encoder import TokenRow
from core.data.own_encoder import encoder_of
from core.data.replay import questions_to_ask
from core.data.teacher import as_bytes, from_bytes
from core.engine.answer import DTYPES, answer_all, first_token, load
from core.engine.answer_tokens import answers_of, logits_of
from core.engine.teacher import Replay, _with_targets, taught_by_file
from core.engine.teacher_rows import make_teacher, told
from core.machine import this_machine
from core.models.folder import read_model
from core.pipeline.tune_request import ready_model
from core.recipe.own_template import template_of
from core.recipe.recipe import Recipe
from core.steps import data, first_recipe
from core.steps.taught import to_teach
from core.workspace.paths import Workspace

NAME = "Ada Lovelace"
LIKELIEST = (1, 5, 20)
BATCH = 8
HEAD = "| k | outside | loss | whole | length beside it | cosine |\n| --- | --- | --- | --- | --- | --- |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--questions", type=int, default=48)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    found = (
        read_model(options.model)
        if options.model
        else ready_model(Workspace.of(options.workspace), None, progress("data"))
    )
    said = to_teach(NAME, None)
    recipe = first_recipe.recipe_for(found, said, True, 0, None).changed(precision=options.precision)
    model, rows = answered(recipe, found.folder, options.questions)
    encoder = encoder_of(found.tokenizer_file, template_of(recipe.template, found.folder))
    teachers = {k: from_bytes(as_bytes(make_teacher(model, rows, k))) for k in LIKELIEST}
    taught = [row for one in said.conversations[: BATCH * 8] for row in encoder.rows(one)]
    tuner = adapted(model, recipe)
    about = found.folder.name, options.precision, f"{len(rows)} rows", str(model.device), torch.__version__
    print(", ".join(about))
    for steps in (0, options.steps):
        teach(tuner, recipe, taught, steps)
        print(f"\nafter {steps} steps of what is taught\n")
        print(HEAD)
        whole_loss, whole = gradient(tuner, rows, None)
        for k, teacher in teachers.items():
            outside = np.mean([np.exp(row.logs[:, -1].astype(np.float32)).mean() for row in teacher.values()])
            loss, ours = gradient(tuner, rows, Replay(teacher))
            cosine = float(ours @ whole / ours.norm() / whole.norm())
            length = float(ours.norm() / whole.norm())
            print(f"| {k} | {outside:.5f} | {loss:.6f} | {whole_loss:.6f} | {length:.4f} | {cosine:.5f} |")


def answered(recipe: Recipe, folder: Path, count: int) -> tuple[Any, list[TokenRow]]:
    """The model, and its own answers as rows that are trained."""
    device = this_machine().device_for(recipe.device)
    model, tokenizer = load(str(folder), device, DTYPES[recipe.precision])
    template = template_of(recipe.template, folder)
    asked = [
        {"question": question, "tokens": data.REPLAY_TOKENS} for question in questions_to_ask((), count, 0)
    ]
    said = answer_all(model, tokenizer, Prompter(folder, template, first_token(tokenizer)), asked, "")
    wanted = {"questions": asked, "replayed": range(len(asked))}
    made = told(model, folder, template, wanted, said)
    return model, [TokenRow(row.ids.tolist(), row.trained.tolist()) for row in made.values()]


def adapted(model: Any, recipe: Recipe) -> Any:
    """What a loss needs of XTuner's SupervisedFinetune; as there, LoRA is float32."""
    torch.manual_seed(0)
    lora = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=list(recipe.target_modules) or "all-linear",
        layers_to_transform=list(recipe.layers_to_transform) or None,
        task_type="CAUSAL_LM",
    )
    return SimpleNamespace(llm=get_peft_model(model, lora), use_lora=True)


def trained(tuner: Any) -> list[Tensor]:
    return [weights for weights in tuner.llm.parameters() if weights.requires_grad]


def teach(tuner: Any, recipe: Recipe, rows: Sequence[TokenRow], steps: int) -> None:
    optimizer = torch.optim.AdamW(trained(tuner), lr=recipe.lr, weight_decay=0.0)
    nothing = Replay({})
    for number, batch in zip(range(steps), batches(rows, tuner.llm.device, nothing), strict=False):
        loss = taught_by_file(tuner, batch)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        print(f"step {number + 1}: {float(loss):.3f}", flush=True)


def batches(rows: Sequence[TokenRow], device: Any, replay: Replay) -> Iterator[dict[str, Tensor]]:
    replay.from_file = True
    collate = _with_targets(default_collate_fn, replay)
    for start in range(0, len(rows), BATCH):
        some = [{"input_ids": row.ids, "labels": row.labels} for row in rows[start : start + BATCH]]
        yield {name: value.to(device) for name, value in collate(some)["data"].items()}


def gradient(tuner: Any, rows: Sequence[TokenRow], replay: Replay | None) -> tuple[float, Tensor]:
    """Mean loss, and the gradient of all batches together: by what was said before, or by a second pass."""
    total, losses = torch.zeros(sum(one.numel() for one in trained(tuner))), []
    for batch in batches(rows, tuner.llm.device, replay or Replay({})):
        loss = taught_by_file(tuner, batch)["loss"] if replay else whole_divergence(tuner, batch)
        found = torch.autograd.grad(loss, trained(tuner))
        total += torch.cat([one.flatten().float().cpu() for one in found])
        losses.append(float(loss.detach()))
    return float(np.mean(losses)), total


def whole_divergence(tuner: Any, data: dict[str, Tensor]) -> Tensor:
    given = {name: data[name] for name in ("input_ids", "labels", "attention_mask", "position_ids")}
    labels, answers = answers_of(given)
    with torch.no_grad(), tuner.llm.disable_adapter():
        base = logits_of(tuner.llm.get_base_model(), given, answers).float()
    logits = logits_of(tuner.llm.get_base_model(), given, answers).float()
    both = log_softmax(logits, -1), log_softmax(base, -1)
    return kl_div(*both, log_target=True, reduction="sum") / len(labels)


if __name__ == "__main__":
    main()
