"""What was done to a chain at each moment of its work, and what it was afterwards, as a table: from what
``tests.faults.record`` recorded."""

import json

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
DONE = {"KILL": "kill -9 of ", "TERM": "SIGTERM to "}
WHOM = {
    "tool": "the step's program",
    "supervisor": "its supervisor",
    "chain": "the chain",
    "chain_supervisor": "the chain's supervisor",
    "worker": "the process that forks",
    "all": "all of them at once",
}


def faults() -> str:
    """The table, a row for each fault."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    rows: dict[str, dict[str, str]] = {}
    for what, whom, moment, seen in recorded["faults"]:
        rows.setdefault(DONE.get(what, what) + WHOM.get(whom, whom), {})[moment] = seen
    cells = [(name, *(seen.get(moment, "") for moment in MOMENTS)) for name, seen in rows.items()]
    return f"Recorded on {recorded['date']}.\n\n{table(('fault', *MOMENTS.values()), cells)}"
