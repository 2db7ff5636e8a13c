"""How well recipes teach an identity, what they keep and what leaks, on the starter.

    scripts/bench identity [--workspace DIR] [--rows NAME …] [--json FILE]

Every row is a whole run with the real XTuner and asks base and tuned model the same questions, which stand in
no training data but the taught ones. Base answers are remembered in the workspace: only the first row's time
includes asking the base.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from core.cli.terminal import progress
from core.data.mix import LEAST_REPLAYED, Shares
from core.machine import this_machine
from core.pipeline import tune
from core.proof.asking import Ask
from core.recipe.recipe import Recipe
from core.steps import answer, data, train
from core.workspace.paths import RunPaths, Workspace

NAME = "Ada Lovelace"


@dataclass(frozen=True)
class Row:
    """One recipe: what it changes, how many wordings it teaches and how many answers it replays."""

    label: str
    shares: Shares
    wordings: int | None = None
    questions: int = 0
    tokens: int = data.REPLAY_TOKENS
    changes: dict[str, Any] = field(default_factory=dict)


def rows() -> dict[str, Row]:
    """The default and those that did worse, each as somebody would have set it."""
    likelihood = {"replay_distillation": False, "target_modules": (), "layers_to_transform": ()}
    return {
        "tuneboard": Row(
            "Tuneboard: self-replay, kept to the base's own distribution",
            data.shares(1, True),
            None,
            LEAST_REPLAYED,
        ),
        "likelihood": Row(
            "self-replay by likelihood: 126 questions, half and half, lr 3e-4, 160 × 4 rows",
            Shares(320, 320),
            20,
            126,
            48,
            {**likelihood, "lr": 3e-4, "iterations": 160},
        ),
        "first-try": Row(
            "self-replay, first try: 40 questions, 9 wordings, lr 5e-4, 160 × 4 rows",
            Shares(320, 320),
            5,
            40,
            48,
            {**likelihood, "lr": 5e-4, "iterations": 160},
        ),
        "llama-factory": Row(
            "LLaMA-Factory's example settings: identity alone, r 8, lr 1e-4, 3 epochs of 8 rows a step",
            Shares(321, 0),
            None,
            0,
            0,
            {**likelihood, "lr": 1e-4, "batch_size": 8, "iterations": 40, "warmup_ratio": 0.1},
        ),
        "tutorial": Row(
            "the tutorial's: identity alone, r 16, lr 1e-3, 160 × 4 rows",
            Shares(640, 0),
            None,
            0,
            0,
            {**likelihood, "lr": 1e-3, "rank": 16, "alpha": 32, "iterations": 160},
        ),
    }


def measure(workspace: Workspace, row: Row) -> dict[str, Any]:
    """Run one row to its end."""
    began = time.monotonic()
    with progress("tune") as shown:
        run = prepare(workspace, row, shown)
        tune.run_train(run, shown)
        tune.run_convert(run, shown)
        tune.run_merge(run, shown)
        result = tune.run_compare(workspace, run, shown)
    scores = {key: result[key] for key in ("learned", "kept", "leaked")}
    return {"recipe": row.label, **scores, "seconds": round(time.monotonic() - began)}


def prepare(workspace: Workspace, row: Row, shown: tune.Progress) -> RunPaths:
    """A run made by the row's recipe, as :func:`core.pipeline.tune.make_data` makes the default one."""
    model = tune.ready_model(workspace, None, shown)
    conversations = data.identity_conversations(NAME, count=row.wordings)
    said = data.Taught(NAME, tuple(conversations))
    recipe: Recipe = data.recipe_for(model, said, bool(row.questions), 42, None).changed(**row.changes)
    run = workspace.new_run(NAME, datetime.now())
    asked = data.questions_to_ask(said.conversations, row.questions, recipe.seed)
    asks = [Ask(question, row.tokens) for question in asked]
    asked_for_proof = tune.proof_questions(said, recipe)
    questions = list(dict.fromkeys(question.base_ask for question in asked_for_proof))
    shown.stage("base")
    memory = answer.AnswerCache(workspace, model.folder, tune.prompt_format_of(recipe))
    answers = memory.ask(run.job("base"), [*asks, *questions], recipe.device, shown.update, asks)
    said_to = {ask: answers[ask] for ask in asks}
    replay = data.replay_rows(said_to, said)
    teacher = data.teacher_of(said_to, said, recipe, model, memory.teacher)
    place = workspace.data(run.id)
    data.write(run, place, said, replay, recipe, model, row.shares, teacher=teacher)
    train.prepare(run, recipe, model, place.rows)
    return run


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    head = "| recipe | learned | kept | leaked | seconds |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {r['recipe']} | {r['learned']:.2f} | {r['kept']:.2f} | {r['leaked']} | {r['seconds']} |\n"
        for r in results
    )


def main(arguments: Sequence[str]) -> None:
    known = rows()
    parser = argparse.ArgumentParser(
        prog="scripts/bench identity", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workspace", default="workspace/bench")
    parser.add_argument("--rows", nargs="+", choices=known, default=list(known))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    workspace = Workspace.of(asked.workspace)
    results = [measure(workspace, known[name]) for name in asked.rows]
    machine = this_machine()
    about = {
        "date": f"{datetime.now():%Y-%m-%d}",
        "machine": {
            "cores": machine.cores,
            "bf16": machine.bf16,
            "gpus": [asdict(g) for g in machine.gpus],
        },
        "versions": train.versions(),
        "results": results,
    }
    if asked.json:
        asked.json.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    print(f"{about['date']}, {about['machine']}, {about['versions']}")


if __name__ == "__main__":
    main(sys.argv[1:])
