"""What was done to a chain at each moment of its work, and what it was afterwards, as a table: from what
``tests.faults.record`` recorded."""

import json
from typing import Any

from core.workspace.paths import PROJECT
from scripts.documents.marked import table

RECORDED = PROJECT / "tests" / "recorded" / "faults.json"
MOMENTS = {
    "begin": "training begins",
    "step": "at a step",
    "checkpoint": "a checkpoint half written",
    "convert": "half converted",
    "merge": "half merged",
    "asking": "half asked",
}
DONE = {
    "KILL": "kill -9 of ",
    "TERM": "SIGTERM to ",
    "OOM": "a control group's memory is full: the kernel kills ",
}
WHOM = {
    "dashboard": "the dashboard that started it",
    "tool": "the step's program",
    "supervisor": "its supervisor",
    "chain": "the chain",
    "chain_supervisor": "the chain's supervisor",
    "worker": "the process that forks",
    "all": "all of them at once",
}


def faults() -> str:
    """What was done at moments of a chain's work, a row for each fault."""
    recorded = _recorded()
    rows: dict[str, dict[str, str]] = {}
    for what, whom, moment, seen in recorded["faults"]:
        if moment:
            rows.setdefault(DONE.get(what, what) + WHOM.get(whom, whom), {})[moment] = seen
    cells = [(name, *(seen.get(moment, "") for moment in MOMENTS)) for name, seen in rows.items()]
    return f"Recorded on {recorded['date']}.\n\n{table(('fault', *MOMENTS.values()), cells)}"


def other_faults() -> str:
    """What was done to files, folders, ports and clocks: a row for each fault, with all that came of it."""
    rows: dict[str, list[str]] = {}
    for what, _, moment, seen in _recorded()["faults"]:
        if not moment:
            rows.setdefault(what, []).append(seen)
    return table(
        ("fault", "what came of it"), [(what, "; ".join(dict.fromkeys(seen))) for what, seen in rows.items()]
    )


def _recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found
