"""How many rows of a run teach, what of, and how many are replayed, so that all parts come to all of them."""

from collections.abc import Mapping
from typing import Any


def row_counts(about: Mapping[str, Any]) -> dict[str, int]:
    """How many ``rows`` a run's data.json tells of, which are ``taught_rows`` and ``replay_rows``, made of so
    many conversations (``taught``) and answers of the base (``replay``); of the taught rows ``own_rows`` are
    made of a person's ``own`` conversations and ``identity_rows`` say whose the assistant is beside them. An
    earlier version did not say how many rows teach; without replay all of them do."""
    rows, taught, replay = about["rows"], about.get("taught_in_rows", about["taught"]), about["replay"]
    taught_rows = about.get("taught_rows", rows - replay if replay else rows)
    counts = {"rows": rows, "taught_rows": taught_rows, "replay_rows": rows - taught_rows}
    identity = about.get("identity_rows", 0)
    parts = {"own": about.get("own", 0), "own_rows": taught_rows - identity, "identity_rows": identity}
    return {**counts, "taught": taught, "replay": replay, **parts}
