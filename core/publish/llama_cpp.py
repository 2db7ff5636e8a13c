"""What llama.cpp can hold of a model: its architecture, its rope scaling, the way its tokenizer splits text.

The names are llama.cpp's own (MIT, the ggml authors). Whatever has no name there is refused: a file with a
wrong one loads, and then answers nonsense.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import NotForGguf
from core.wording import say
from core.workspace.files import read_json

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
# Dynamic scaling begins beyond the trained length, which is the context length that the file states.
ROPE_TYPES = {"default", "dynamic", "linear", "llama3", "yarn"}
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {
    _CONTRACTIONS + r"\p{N}" + _REST: "qwen2",
    _CONTRACTIONS + r"\p{N}{1,3}" + _REST: "llama-bpe",
}
SENTENCEPIECE = "sentencepiece"


def check(folder: Path) -> None:
    """Raises NotForGguf for a model that llama.cpp would read wrongly or not at all."""
    config = read_json(folder / "config.json") or {}
    kind, rope = str(config.get("model_type")), rope_type(config)
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise NotForGguf(model=folder.name, reason=say("gguf.architecture", found=kind, known=known))
    if rope not in ROPE_TYPES:
        raise NotForGguf(model=folder.name, reason=say("gguf.rope", found=rope))
    if not splitting(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))):
        raise NotForGguf(model=folder.name, reason=say("gguf.tokenizer"))


def rope_type(config: Mapping[str, Any]) -> str:
    """The kind of rope scaling that a config.json states; ``default`` for none."""
    found = rope_of(config)
    return str(found.get("rope_type") or found.get("type") or "default")


def rope_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json says of rotary positions: transformers 5 writes all of it in one entry, earlier ones
    the base beside the scaling."""
    base = {"rope_theta": config.get("rope_theta") or 10000.0}
    return {**base, **(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}


def splitting(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name for how a tokenizer.json splits text before merging; empty when it has none."""
    steps = list(_steps(tokenizer.get("pre_tokenizer")))
    kinds = [step.get("type") for step in steps]
    if tokenizer.get("model", {}).get("type") != "BPE":
        return ""
    if not steps or kinds == ["Metaspace"]:
        return SENTENCEPIECE if "<0x0A>" in tokenizer["model"]["vocab"] else ""
    if kinds == ["ByteLevel"] and _plain(steps[0]):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and _plain(steps[1]):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        return SPLITS.get(str(steps[0].get("pattern", {}).get("Regex")), "")
    return ""


def _plain(step: Mapping[str, Any]) -> bool:
    return bool(step.get("use_regex", True)) and not step.get("add_prefix_space")


def _steps(found: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if found and found.get("type") == "Sequence":
        for step in found["pretokenizers"]:
            yield from _steps(step)
    elif found:
        yield found
