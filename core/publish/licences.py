"""Whose the base model is, under which licence, and whether that lets a fine-tune of it be passed on."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from core.models.hubs import HUBS
from core.workspace.files import read_record
from core.workspace.import_paths import imports
from core.workspace.paths import Workspace

# yes: passing on is free, with the licence named. conditions: only as its text says (its name in the model's,
# a notice, no business). no: not changed. unknown: nobody but the publisher can say.
Allows = Literal["yes", "conditions", "no", "unknown"]

STARTER_ID, STARTER_LICENCE = "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0"
FREE = {
    "apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "unlicense", "isc",
    "zlib", "bsl-1.0", "ecl-2.0", "afl-3.0", "artistic-2.0", "ms-pl", "wtfpl", "odc-by",
    "cdla-permissive-2.0",
}  # fmt: skip
WITH_CONDITIONS = {
    "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "openrail",
    "bigscience-openrail-m",
    "bigscience-bloom-rail-1.0", "creativeml-openrail-m", "openrail++", "bigcode-openrail-m", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-sa-3.0", "cc-by-nc-2.0", "gpl-2.0", "gpl-3.0", "lgpl-3.0",
    "agpl-3.0",
    "mpl-2.0", "deepfloyd-if-license", "apple-amlr",
}  # fmt: skip
FORBIDDING = {"cc-by-nd-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-nd-3.0"}
FIRST_LINES = {
    "apache-2.0": ("Apache License", "Version 2.0"),
    "mit": ("MIT License",),
    "llama2": ("LLAMA 2 COMMUNITY LICENSE",),
    "llama3": ("META LLAMA 3 COMMUNITY LICENSE",),
    "llama3.1": ("LLAMA 3.1 COMMUNITY LICENSE",),
    "llama3.2": ("LLAMA 3.2 COMMUNITY LICENSE",),
    "gemma": ("Gemma Terms of Use",),
}
LICENCE_START = 600  # characters of a licence file that name it


@dataclass(frozen=True)
class Base:
    """The base model: ``id`` is its name on a hub (OWNER/NAME), None when its folder does not tell it.

    ``licence`` is an identifier of the Hugging Face hub's list, ``other`` for one that is not in it, empty
    when nothing tells it.
    """

    name: str
    id: str | None
    licence: str

    @property
    def allows(self) -> Allows:
        if self.licence in FREE:
            return "yes"
        if self.licence in FORBIDDING:
            return "no"
        return "conditions" if self.licence in WITH_CONDITIONS else "unknown"


def base_of(workspace: Workspace, folder: Path, given: str | None = None) -> Base:
    """What the folder of a base model tells of itself; ``given`` is OWNER/NAME as a person names it."""
    if folder == workspace.starter:
        return Base(STARTER_ID.partition("/")[2], given or STARTER_ID, STARTER_LICENCE)
    card = card_metadata(folder / "README.md")
    licence = str(card.get("license") or "").lower() or _licence_of_files(folder)
    found = given or _imported(workspace, folder) or _id_of(folder, card)
    return Base(found.partition("/")[2] if found else folder.name, found, licence)


def card_metadata(file: Path) -> dict[str, Any]:
    """The YAML block at the top of a model card; empty where there is none that can be read."""
    with suppress(OSError, yaml.YAMLError):
        text = file.read_text(encoding="utf-8", errors="replace")
        if text.startswith("---"):
            found = yaml.safe_load(text.split("---", 2)[1])
            return found if isinstance(found, dict) else {}
    return {}


def is_hub_id(text: object) -> bool:
    """Whether a text has the form OWNER/NAME of a hub; a path of two parts has it too."""
    if not isinstance(text, str):
        return False
    owner, slash, name = text.partition("/")
    parts = (owner, name)
    return bool(slash) and all(
        part and part[0].isalnum() and all(c.isascii() and (c.isalnum() or c in "-_.") for c in part)
        for part in parts
    )


def _imported(workspace: Workspace, folder: Path) -> str | None:
    """The name on its hub of a model that was downloaded here."""
    for paths in imports(workspace):
        if paths.model == folder:
            hub, _, name = str((read_record(paths.origin) or {}).get("source", "")).partition(":")
            name = name.partition("@")[0]
            return name if hub in HUBS and is_hub_id(name) else None
    return None


def _id_of(folder: Path, card: dict[str, Any]) -> str | None:
    """The name its files carry from where they were downloaded."""
    config = read_record(folder / "config.json") or {}
    named = (config.get("_name_or_path"), card.get("model_id"))
    return next((str(name) for name in named if is_hub_id(name) and not Path(str(name)).exists()), None)


def _licence_of_files(folder: Path) -> str:
    for file in sorted(folder.glob("LICEN[CS]E*")):
        with suppress(OSError):
            start = file.read_text(encoding="utf-8", errors="replace")[:LICENCE_START]
            known = (name for name, lines in FIRST_LINES.items() if all(line in start for line in lines))
            return next(known, "other")
    return ""
