"""The short list of models to choose from: what each is, where it is to be had, and its numbers.

The list is ``catalog.json`` beside this file, with the day when it was last looked through;
``python -m scripts.catalog`` holds it against the hubs.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, with_config

from core.models.hubs import HUBS, Hub, ModelSource
from core.wording import Language

FILE = Path(__file__).with_name("catalog.json")
STARTER = "starter"
# Licences that ask for nothing but to be passed on.
FREE = {"apache-2.0", "mit"}


@with_config(extra="forbid")
@dataclass(frozen=True)
class Entry:
    """One model of the list.

    ``name`` is what it is called here; ``huggingface`` and ``modelscope`` are its names there, None where it
    is not. ``licence`` is what its card states, None where it states none; ``gated``: on Hugging Face it has
    to be accepted first. ``languages`` are those its authors name, the strongest first. ``thinks``: it
    reasons in words before it answers, always or unless told not to. ``parameters`` are counted as its files
    store them, ``size`` is the bytes of its weights.
    """

    name: str
    huggingface: str
    modelscope: str | None
    licence: str | None
    gated: bool
    languages: tuple[str, ...]
    well: tuple[str, ...]
    thinks: bool
    architecture: str
    model_type: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    parameters: int
    size: int

    @property
    def title(self) -> str:
        """What the model is called in the workspace: as on Hugging Face, unless it comes with the program."""
        return STARTER if self.name == STARTER else self.huggingface.rpartition("/")[2]

    def sources(self, language: Language, hub: Hub | None = None) -> tuple[ModelSource, ...]:
        """Where it is to be had, the first to be asked first: only ``hub`` if one is named, else ModelScope
        first for whoever reads Chinese, unless the environment names another address of Hugging Face."""
        chinese = language == "zh" and "HF_ENDPOINT" not in os.environ
        known: Mapping[Hub, str | None] = {"huggingface": self.huggingface, "modelscope": self.modelscope}
        order = (hub,) if hub else tuple(reversed(HUBS)) if chinese else HUBS
        return tuple(ModelSource(one, name) for one in order if (name := known[one]))

    def is_from(self, source: str) -> bool:
        """Whether a source, as an import wrote it down, is this model on either hub, at any revision."""
        hubs = {f"huggingface:{self.huggingface}", f"modelscope:{self.modelscope}"}
        return source.partition("@")[0] in hubs


@dataclass(frozen=True)
class Catalog:
    """The list and the day (ISO 8601) when it was last looked through."""

    date: str
    models: tuple[Entry, ...]


@cache
def catalog() -> Catalog:
    """The list as it is shipped."""
    return read(FILE.read_bytes())


def read(content: bytes) -> Catalog:
    """A list from JSON. Raises pydantic's ValidationError."""
    return TypeAdapter(Catalog).validate_json(content)


def find(given: str | None) -> Entry | None:
    """The model of the list that somebody calls ``given``: its name here, or its name on a hub, in any case.
    The starter is none: it is there already."""
    asked = (given or "").strip().lower()
    for entry in catalog().models:
        known = {name.lower() for name in (entry.name, entry.huggingface, entry.modelscope) if name}
        if asked in known and entry.name != STARTER:
            return entry
    return None


def differences(entry: Entry, config: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """What of a model's config.json is not as the list says: (listed, found) by its name there."""
    heads = config.get("num_attention_heads")
    hidden = config.get("hidden_size")
    derived = hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else None
    found = {
        "architectures": (entry.architecture, (config.get("architectures") or [None])[0]),
        "model_type": (entry.model_type, config.get("model_type")),
        "num_hidden_layers": (entry.layers, config.get("num_hidden_layers")),
        "hidden_size": (entry.hidden, hidden),
        "intermediate_size": (entry.intermediate, config.get("intermediate_size")),
        "num_attention_heads": (entry.heads, heads),
        "num_key_value_heads": (entry.kv_heads, config.get("num_key_value_heads", heads)),
        "head_dim": (entry.head_dim, config.get("head_dim") or derived),
        "vocab_size": (entry.vocabulary, config.get("vocab_size")),
    }
    return {name: (listed, there) for name, (listed, there) in found.items() if listed != there}
