"""``docs/reliability.md``: what a failed job is put down to, what is said of it, what of a recipe changes;
and what was done to chains on purpose."""

import json
from collections import Counter

from core.jobs.causes import BY_LOSS, BY_REASON, BY_SIGNAL, CAUSES, LOST, RULES
from core.recipe.recipe import Recipe
from core.steps.remedy import CHANGES, OUT_OF_MEMORY
from core.wording import say
from core.workspace.paths import PROJECT, RunPaths
from scripts.documents.faults import faults, other_faults
from scripts.documents.marked import filled, table

PAGE = "docs/reliability.md"
RECORDED = "tests/recorded/failures/index.json"
# What follows the model or the run, and is no value of its own.
FOLLOWS = {
    "nan_loss": "a lower `lr`; of fp16 `precision`",
    "lr_too_high": "a lower `lr`; of fp16 `precision`",
    "loss_not_falling": "the usual `lr` of the model",
    "dataset_empty": "`max_length` × 4, as far as the model reads",
    **dict.fromkeys(OUT_OF_MEMORY, "what fits by the memory formula"),
    **dict.fromkeys(("disk_full", "quota"), "`keep_checkpoints` 2"),
}


def pages() -> dict[str, str]:
    return {PAGE: filled(PAGE, {"failures": _failures(), "faults": faults(), "other faults": other_faults()})}


def _failures() -> str:
    index = json.loads((PROJECT / RECORDED).read_text(encoding="utf-8"))
    recorded = Counter(found["cause"] for found in index.values())
    rows = [
        (f"`{cause}`", _by(cause), say(f"cause.{cause}", "en"), _changes(cause), str(recorded[cause] or "–"))
        for cause in CAUSES
    ]
    return table(("cause", "by", "what is said", "what the button changes", "recorded"), rows)


def _by(cause: str) -> str:
    signals = [signal for signal, found in BY_SIGNAL.items() if found == cause]
    kinds = {
        "log": any(rule.cause == cause for rule in RULES),
        "losses": cause in BY_LOSS,
        "reason": cause in (*BY_REASON.values(), *LOST.values(), "not_started", "lost"),
        ", ".join(signals): bool(signals),
    }
    return ", ".join(kind for kind, counts in kinds.items() if counts) or "–"


def _changes(cause: str) -> str:
    if cause in FOLLOWS:
        return FOLLOWS[cause]
    change = CHANGES.get(cause)
    if change is None:
        return "–"
    values = change(Recipe(model="m", data="d"), RunPaths(PROJECT))
    return ", ".join(f"`{name}` {str(value).lower() or 'none'}" for name, value in values.items())
