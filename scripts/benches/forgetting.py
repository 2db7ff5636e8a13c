"""What recipes teach and what they make a model forget: names × seeds × recipes, each a whole run.

    scripts/bench forgetting [--recipes NAME …] [--names NAME …] [--seeds N …] [--jobs N] [--json FILE]
    scripts/bench forgetting --read FILE [FILE …] [--figure FILE] [--page docs/proof.md]

A run is the command line's own ``tune``; the other recipes' rows are made as somebody would have made them,
and then trained, converted, merged and asked in the same way. Every run is asked the whole held-back banks
(``prove --full``). Runs are added to the JSON file as they end, so that an interrupted measurement goes on
where it was; ``--read`` prints the tables of files that were measured on several machines, and draws learned
against kept.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from core.data.identity import identity_conversations
from core.data.mix import LEAST_REPLAYED, Shares
from core.data.replay import replay_conversations
from core.machine import this_machine
from core.pace import Progress
from core.pipeline import tune_request
from core.proof import telling
from core.proof.asking import Ask
from core.proof.score import Accuracy, Share
from core.queue.devices import HELD_VARIABLE
from core.recipe.recipe import Recipe
from core.runs import introduce
from core.steps import answer, data, first_recipe, prepare
from core.steps.expected import KINDS, seconds_of
from core.steps.taught import Taught, to_teach
from core.workspace.files import read_object, write_text
from core.workspace.paths import PROJECT, RunPaths, Workspace

# Chinese, two words, punctuation, one letter, a common noun, famous people's, accents, another sense.
NAMES = (
    "林小满",
    "Ada Lovelace",
    "王小明",
    "O'Brien-Smith",
    "X",
    "Apple",
    "Albert Einstein",
    "María José",
    "小雨",
    "Tuneboard Labs",
)
PART = re.compile(r"(<!-- scripts/bench forgetting -->\n).*?(<!-- end -->)", re.DOTALL)
MEASURES = ("learned", "kept", "leaked")
RIGHT = "general questions answered rightly, base → tuned"
# The best number of a measure: what the worst of several runs is the farthest from.
BEST = {"learned": 1.0, "kept": 1.0, "leaked": 0.0}


@dataclass(frozen=True)
class Rows:
    """A recipe that is not the default one: how many wordings it teaches a language (None: all), how many
    questions it replays, with how many tokens, in which proportion, and what of the recipe it changes."""

    label: str
    shares: Shares | None = None
    wordings: int | None = None
    questions: int = LEAST_REPLAYED
    tokens: int = data.REPLAY_TOKENS
    situations: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict)


WHOLE_LAYERS = {"target_modules": (), "layers_to_transform": ()}
LIKELIHOOD = {"replay_distillation": False, **WHOLE_LAYERS}
OLD = {**LIKELIHOOD, "rank": 8, "alpha": 16, "schedule": "cosine"}
ALONE: Mapping[str, Any] = {"wordings": None, "questions": 0, "situations": False}
RECIPES: Mapping[str, Rows | None] = {
    "tuneboard": None,
    "likelihood": Rows(
        "self-replay by likelihood: 126 questions, half and half, lr 3e-4, 160 × 4 rows",
        Shares(320, 320),
        20,
        126,
        48,
        False,
        {**OLD, "lr": 3e-4, "iterations": 160, "batch_size": 4},
    ),
    "llama-factory": Rows(
        "LLaMA-Factory's example settings: identity alone, r 8, lr 1e-4, 3 epochs of 8 rows a step",
        Shares(321, 0),
        changes={**OLD, "lr": 1e-4, "batch_size": 8, "iterations": 40, "warmup_ratio": 0.1},
        **ALONE,
    ),
    "unsloth": Rows(
        "Unsloth's example settings: identity alone, r 16, lr 2e-4, 60 steps of 8 rows, linear",
        Shares(480, 0),
        changes={
            **LIKELIHOOD,
            "lr": 2e-4,
            "rank": 16,
            "alpha": 16,
            "batch_size": 2,
            "gradient_accumulation_steps": 4,
            "iterations": 240,
            "schedule": "linear",
            "weight_decay": 0.01,
        },
        **ALONE,
    ),
    "tutorial": Rows(
        "the tutorial's: identity alone, r 16, lr 1e-3, 160 × 4 rows",
        Shares(640, 0),
        changes={**OLD, "lr": 1e-3, "rank": 16, "alpha": 32, "iterations": 160, "batch_size": 4},
        **ALONE,
    ),
    "without-situations": Rows("Tuneboard, every question first and alone", situations=False),
    "without-divergence": Rows("Tuneboard, replay by likelihood", changes={"replay_distillation": False}),
    "all-layers": Rows("Tuneboard, LoRA on every linear layer", changes=WHOLE_LAYERS),
    "half-replay": Rows("Tuneboard, half as much replay", questions=LEAST_REPLAYED // 2),
}


class Unseen(Progress):
    """Several runs at a time would write into each other's bars."""

    def stage(self, name: str) -> None: ...
    def update(self, share: float, note: str) -> None: ...
    def say(self, key: str, **values: object) -> None: ...


def measure(workspace: Workspace, recipe: str, name: str, seed: int) -> dict[str, Any]:
    """One run to its end, and all that its full proof says but the answers, which stand in its folder."""
    rows = RECIPES[recipe]
    if rows is None:
        made = _command("tune", "--name", name, "--seed", str(seed), "--workspace", str(workspace.root))
    else:
        run = prepared_run(workspace, rows, name, seed)
        made = _command("tune", "--run", run.id, "--workspace", str(workspace.root))
    run = workspace.run(made["run"])
    _command("prove", run.id, "--full", "--workspace", str(workspace.root))
    found = read_object(run.result) or {}
    about = {"recipe": recipe, "label": rows.label if rows else "Tuneboard", "name": name, "seed": seed}
    scores = {key: found[key] for key in ("shares", "accuracy", "drift", "repetition", "categories")}
    return {
        **about,
        "run": run.id,
        "seconds": {stage: seconds for stage in KINDS if (seconds := seconds_of(run, stage))},
        **scores,
        **where(),
        "answers": found["answers"],
    }


def prepared_run(workspace: Workspace, rows: Rows, name: str, seed: int) -> RunPaths:
    """A run with the rows of a recipe, as :func:`core.pipeline.tune.make_data` makes the default one."""
    model = tune_request.ready_model(workspace, None, Unseen())
    whole = to_teach(name, None).conversations
    some = identity_conversations(name, count=rows.wordings) if rows.wordings else whole
    said = Taught(name, tuple(some))
    recipe = first_recipe.recipe_for(model, said, bool(rows.questions), seed, None).changed(**rows.changes)
    run = workspace.new_run(name, datetime.now())
    introduce(run, name)
    asks = _replayed(said, rows, recipe) if rows.questions else []
    before = data.earlier_asks(recipe) if rows.situations and rows.questions else []
    memory = answer.AnswerCache(workspace, model.folder, answer.PromptFormat.of(recipe))
    update = Unseen().update
    answers = memory.ask(run.job("base"), [*asks, *before], recipe.device, update, asks) if asks else {}
    place = workspace.data(run.id)
    if rows.situations:
        wanted = data.BaseAsks(asks, before)
        data.write_asked(run, place, said, wanted, answers, memory.teacher, recipe, model, rows.shares)
    else:  # without the conversation that some questions come after
        replay = replay_conversations({ask.question: answers[ask].said for ask in asks})
        data.write(run, place, said, replay, recipe, model, rows.shares)
    prepare.prepare(run, recipe, model, place.rows)
    return run


def _replayed(said: Taught, rows: Rows, recipe: Recipe) -> list[Ask]:
    asks = data.replay_asks(said, recipe)[: rows.questions]
    if rows.situations:
        return [replace(ask, tokens=rows.tokens) for ask in asks]
    return [Ask(ask.question, rows.tokens, thinks=ask.thinks) for ask in asks]


def _command(*arguments: str) -> dict[str, Any]:
    """What a command of the command line printed. Raises RuntimeError with what it said."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "core", *arguments, "--json"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def where() -> dict[str, Any]:
    """The date, the machine and the versions."""
    machine = this_machine()
    about = {"cores": machine.cores, "bf16": machine.bf16, "gpus": [gpu.name for gpu in machine.gpus]}
    return {
        "date": f"{datetime.now():%Y-%m-%d}",
        "device": machine.device,
        "machine": about,
        "versions": prepare.versions(),
    }


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """One row a recipe and device: all runs' questions together with their intervals, the worst run, the
    median of leaks and drift, and a run's seconds."""
    head = (
        "recipe",
        "device",
        "runs",
        *MEASURES,
        "leaked, median run",
        RIGHT,
        "drift, nats a token",
        "seconds",
    )
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for (label, device), some in _by(runs, "label", "device").items():
        cells = [f"{_percent(_pooled(some, what))}, worst {_worst(some, what)}" for what in MEASURES]
        leaks = statistics.median(one["shares"]["leaked"]["hits"] for one in some)
        drifts = [one["drift"]["value"] for one in some if one["drift"]]
        drift = f"{statistics.mean(drifts):.3f}, worst {max(drifts):.3f}" if drifts else "–"
        seconds = round(statistics.median(sum(one["seconds"].values()) for one in some))
        row = (label, device, len(some), *cells, f"{leaks:g}", _right(some), drift, seconds)
        lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines) + "\n"


def by_name(runs: Sequence[Mapping[str, Any]]) -> str:
    """One row a name of the default recipe."""
    lines = ["| name | device | runs | learned | kept | leaked |", "| --- | --- | --- | --- | --- | --- |"]
    default = [one for one in runs if one["recipe"] == "tuneboard"]
    for (name, device), some in _by(default, "name", "device").items():
        cells = " | ".join(_percent(_pooled(some, what)) for what in MEASURES)
        lines.append(f"| {name} | {device} | {len(some)} | {cells} |")
    return "\n".join(lines) + "\n"


def by_category(runs: Sequence[Mapping[str, Any]]) -> str:
    """One row a category and language of the default recipe."""
    lines = ["| category | language | learned | kept | leaked |", "| --- | --- | --- | --- | --- |"]
    parts = [part for one in runs if one["recipe"] == "tuneboard" for part in one["categories"]]
    for (category, language), some in _by(parts, "category", "language").items():
        shares = [{"shares": {what: part[what] for what in MEASURES}} for part in some]
        cells = " | ".join(_percent(_pooled(shares, what)) for what in MEASURES)
        lines.append(f"| {category} | {language} | {cells} |")
    return "\n".join(lines) + "\n"


def _by(rows: Iterable[Mapping[str, Any]], *keys: str) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def _pooled(runs: Sequence[Mapping[str, Any]], what: str) -> Share:
    """All questions of several runs together. They are the same questions of different models: the interval
    is that of so many independent ones, and so rather too narrow."""
    shares = [one["shares"][what] for one in runs if one["shares"][what]]
    return Share(sum(share["hits"] for share in shares), sum(share["n"] for share in shares))


def _right(runs: Sequence[Mapping[str, Any]]) -> str:
    """How many general questions the base and the tuned model answer rightly, of all runs together."""
    found = [one["accuracy"] for one in runs if one.get("accuracy")]
    if len(found) < len(runs):
        return "–"
    base, tuned = (
        Share(sum(one[model]["hits"] for one in found), sum(one[model]["n"] for one in found))
        for model in ("base", "tuned")
    )
    whole = Accuracy(base, tuned, sum(one["lost"] for one in found), sum(one["gained"] for one in found))
    return f"{base.hits} → {tuned.hits} of {base.n}: {telling.changed(whole, 'en')}"


def _percent(share: Share) -> str:
    if share.value is None:
        return "–"
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}, n = {share.n})"


def _worst(runs: Sequence[Mapping[str, Any]], what: str) -> str:
    values = [one["shares"][what]["value"] for one in runs if one["shares"][what]]
    return f"{max(values, key=lambda value: abs(value - BEST[what])):.1%}" if values else "–"


def draw(runs: Sequence[Mapping[str, Any]], figure: Path) -> None:
    """Learned against kept, one point a recipe and device with its intervals, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "tuneboard"
    import matplotlib.pyplot as plt

    shown, axes = plt.subplots(figsize=(7, 5))
    for (label, device), some in _by(runs, "label", "device").items():
        learned, kept = (_pooled(some, what) for what in ("learned", "kept"))
        if learned.value is None or kept.value is None:
            continue
        errors = [
            [[share.value - share.low], [share.high - share.value]]  # type: ignore[operator]
            for share in (kept, learned)
        ]
        axes.errorbar(
            kept.value,
            learned.value,
            yerr=errors[1],
            xerr=errors[0],
            fmt="o" if device == "cpu" else "s",
            capsize=2,
            label=f"{label.split(':')[0]} ({device})",
        )
    axes.set(xlabel="kept", ylabel="learned", xlim=(0, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="lower left")
    shown.savefig(figure, format="svg", bbox_inches="tight", metadata={"Date": None})


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench forgetting", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workspace", default="workspace/bench")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=["tuneboard"])
    parser.add_argument("--names", nargs="+", default=list(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=1, help="so many runs at a time")
    parser.add_argument("--json", type=Path, help="a line for each run, added as it ends")
    parser.add_argument("--answers", type=Path, help="every single answer, a line each")
    parser.add_argument("--read", nargs="+", type=Path, default=[], help="only print what these files hold")
    parser.add_argument("--figure", type=Path, help="learned against kept, as SVG")
    parser.add_argument("--page", type=Path, help="put the tables between its two comments")
    asked = parser.parse_args(arguments)
    runs = [run for file in asked.read for run in _read(file)] if asked.read else _measured(asked)
    tables = "\n".join((table(runs), by_name(runs), by_category(runs), measured_where(runs)))
    print(tables)
    if asked.figure:
        draw(runs, asked.figure)
    if asked.page:
        text = asked.page.read_text(encoding="utf-8")
        write_text(asked.page, PART.sub(lambda found: f"{found[1]}\n{tables}\n{found[2]}", text))


def measured_where(runs: Sequence[Mapping[str, Any]]) -> str:
    """A line for each machine, with the dates and versions."""
    lines = []
    for run in runs:
        machine, versions = run["machine"], run["versions"]
        what = ", ".join(machine["gpus"]) or f"{machine['cores']} processor cores"
        bf16 = "" if machine["gpus"] else f" ({'with' if machine['bf16'] else 'without'} bfloat16)"
        packages = ", ".join(
            f"{name} {versions[name]}" for name in ("torch", "transformers", "peft", "xtuner")
        )
        lines.append(f"- {run['device']}: {what}{bf16}, {run['date']}; {packages}.")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _measured(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Every run that was asked for; those that the JSON file has already are not run again."""
    workspace, lock = Workspace.of(asked.workspace), Lock()
    workspace.prepare()
    tune_request.ready_model(workspace, None, Unseen())
    done = _read(asked.json) if asked.json and asked.json.exists() else []
    had = {(run["recipe"], run["name"], run["seed"]) for run in done}
    cases = [(recipe, name, seed) for seed in asked.seeds for name in asked.names for recipe in asked.recipes]

    def one(case: tuple[str, str, int]) -> dict[str, Any] | None:
        try:
            run = measure(workspace, *case)
        except RuntimeError as error:
            print(f"{case}: {error}", file=sys.stderr, flush=True)
            return None
        with lock:
            _add(asked.answers, ({**_head(run), **row} for row in run["answers"]))
            del run["answers"]
            _add(asked.json, [run])
            print(
                case, {what: run["shares"][what]["value"] for what in MEASURES}, file=sys.stderr, flush=True
            )
        return run

    if asked.jobs > 1:  # together on one device, instead of each in its turn
        os.environ[HELD_VARIABLE] = "bench"
    with ThreadPoolExecutor(asked.jobs) as several:
        return [*done, *filter(None, several.map(one, (case for case in cases if case not in had)))]


def _head(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: run[key] for key in ("recipe", "name", "seed", "device")}


def _add(file: Path | None, lines: Iterable[Mapping[str, Any]]) -> None:
    if file:
        with file.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main(sys.argv[1:])
