"""``docs/models.md``: what came of a tiny model of each family, as ``tests.record_families`` recorded it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from core.workspace.paths import PROJECT
from scripts.documents.marked import filled, table

PAGE = "docs/models.md"
RECORDED = PROJECT / "tests" / "recorded" / "families.json"
HEAD = ("family", "as", "known by", "trained", "fast path", "merged", "chat", "GGUF", "published")
# How a folder becomes a model of the workspace.
HOW = {"link": "as it is", "copy": "as it is", "convert": "**imported**"}


def pages() -> dict[str, str]:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    parts = {"families": _families(recorded["families"]), "versions": _versions(recorded)}
    return {PAGE: filled(PAGE, {**parts, "reasons": _reasons(recorded["families"])})}


def _versions(recorded: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {found}" for name, found in recorded["versions"].items())
    return f"Recorded on {recorded['date']} with {versions}."


def _families(families: Mapping[str, Mapping[str, Any]]) -> str:
    return table(HEAD, [tuple(_row(name, found)) for name, found in families.items()])


def _row(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name} (`{found['model']}`)"
    yield f"`{found['architecture']}`, {HOW[found['how']]}"
    yield found["known_by"]
    if "failed" in found:
        yield from ("no", *[""] * 5)
        return
    yield ", ".join(f"`{layer}`" for layer in found["layers"])
    yield "no" if found["fast"] else "yes"
    yield found["merged"]
    yield "no" if found["chat"] else "yes"
    yield "no" if found["gguf"] else "yes"
    yield ", ".join(found["publish"])


def _reasons(families: Mapping[str, Mapping[str, Any]]) -> str:
    """Each reason once, with those that it is for."""
    said: dict[tuple[str, str], list[str]] = {}
    for name, found in families.items():
        for key, what in (("failed", "trained"), ("fast", "fast path"), ("chat", "chat"), ("gguf", "GGUF")):
            if reason := found.get(key):
                said.setdefault((what, reason), []).append(name)
    rows = [(what, ", ".join(names), reason) for (what, reason), names in sorted(said.items())]
    return table(("what", "families", "why not"), rows)
