"""What LoRA, its variants and full fine-tuning learn, keep and take, on the starter.

    scripts/bench methods [--workspace DIR] [--methods NAME …] [--name NAME] [--iterations N] [--seed N]
                          [--json FILE]

Every row is ``tune`` with nothing but ``--method``, unless it is to be shorter. Base answers are remembered
in the workspace: only the first row's time includes unpacking the starter and asking it.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from core.cli.terminal import progress
from core.jobs.curves import read_curve
from core.jobs.status import read_status
from core.machine import this_machine
from core.models.folder import read_shape
from core.pipeline import tune
from core.pipeline.tune_request import TuneRequest
from core.recipe.memory import trainable
from core.recipe.recipe import Method
from core.steps import prepare
from core.workspace.paths import Workspace

NAME = "Ada Lovelace"


def measure(workspace: Workspace, request: TuneRequest) -> dict[str, Any]:
    """One whole chain."""
    began = time.monotonic()
    with progress("tune") as shown:
        result = tune.tune(workspace, request, shown)
    run = workspace.run(result["run"])
    recipe, model, status = prepare.recipe_of(run), prepare.model_of(run), read_status(run.job("train"))
    times = [point.time for point in read_curve(run.work_dir).points if point.time]
    return {
        "method": request.method,
        "lr": recipe.lr,
        "precision": recipe.precision,
        "trained": trainable(recipe, model, read_shape(model)),
        "checkpoint": sum(file.stat().st_size for file in run.work_dir.glob("*.pth")) // 2,
        **{key: result[key] for key in ("learned", "kept", "leaked")},
        "iteration": statistics.median(times),
        "training": round((status.ended or 0) - (status.started or 0)),
        "seconds": round(time.monotonic() - began),
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    head = (
        "| method | peak rate | trained weights | learned | kept | leaked | a checkpoint | an iteration "
        "| training |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "".join(map(_row, results))


def _row(found: dict[str, Any]) -> str:
    trained = f"{found['trained'] / 1e6:.2f}M ({found['precision']})"
    scores = f"{found['learned']:.2f} | {found['kept']:.2f} | {found['leaked']}"
    size = f"{found['checkpoint'] / 1e6:,.0f} MB"
    times = f"{found['iteration']:.2f} s | {found['training']} s"
    return f"| `{found['method']}` | {found['lr']:g} | {trained} | {scores} | {size} | {times} |\n"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench methods", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workspace", default="workspace/bench")
    parser.add_argument("--methods", nargs="+", choices=get_args(Method), default=list(get_args(Method)))
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    workspace, machine = Workspace.of(asked.workspace), this_machine()
    results: list[dict[str, Any]] = []
    for method in asked.methods:
        request = TuneRequest(asked.name, method=method, iterations=asked.iterations, seed=asked.seed)
        results.append(measure(workspace, request))
        about = {
            "date": f"{datetime.now():%Y-%m-%d}",
            "machine": {"cores": machine.cores, "bf16": machine.bf16, "gpus": len(machine.gpus)},
            "versions": prepare.versions(),
            "results": results,
        }
        if asked.json:
            asked.json.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    print(f"{about['date']}, {about['machine']}, {about['versions']}")


if __name__ == "__main__":
    main(sys.argv[1:])
