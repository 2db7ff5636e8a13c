"""XTuner's own configs: which of them open as a Recipe, and what of one does not fit."""

from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from core.data.reading.source import open_source
from core.errors import InputError, NotAConfig
from core.recipe.xtuner_file.catalog import Shipped, config_bytes, search, shipped
from core.recipe.xtuner_file.compare import Difference
from core.recipe.xtuner_file.opening import kind_of, open_config
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.units import Size
from core.wording import say
from core.workspace.data_paths import cache_of
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace


def listing(words: list[str]) -> dict[str, Any]:
    """``{"configs": [{"name", "kind", "opens", "reason"}], "count", "of", "opens"}`` of those whose name has
    every word; ``of`` and ``opens`` count all that XTuner ships. Reading them all takes a second."""
    every = {one.name: kind(one) for one in shipped()}
    rows = [_row(one.name, every[one.name]) for one in search(words)]
    opens = sum(found == "sft" for found in every.values())
    return {"configs": rows, "count": len(rows), "of": len(every), "opens": opens}


def opened(given: str, workspace: Workspace) -> dict[str, Any]:
    """A config by name, or a file, as its Recipe and what did not fit; epochs as iterations where the file of
    rows that it names is here and not packed. Raises NoSuchConfig, NotAConfig, NotARecipe."""
    content, file = config_bytes(given)
    found = open_config(content, file)
    if size := _size_of(Path(found.recipe.data), workspace):
        found = open_config(content, file, size)
    return {
        "config": file,
        "recipe": asdict(found.recipe),
        "misfits": [row(one) for one in found.misfits],
        "on_purpose": [row(one) for one in found.differences if one.on_purpose],
    }


def size_of(run: RunPaths) -> Size | None:
    """How much a run trains on, by its data.json; None before there is one."""
    about = read_object(run.data) or {}
    rows, tokens = about.get("rows"), about.get("kept")
    return Size(rows, tokens if isinstance(tokens, int) else None) if isinstance(rows, int) and rows else None


def _size_of(data: Path, workspace: Workspace) -> Size | None:
    with suppress(InputError, OSError, ValueError):  # ValueError: what no file can be called
        if data.is_file() and (rows := len(open_source(data, cache_of(workspace)))):
            return Size(rows)
    return None


def row(one: Difference) -> dict[str, str | None]:
    """A difference with its reason in words."""
    return {"place": one.place, "file": one.file, "recipe": one.recipe, "why": say(f"config.why.{one.why}")}


def kind(one: Shipped) -> str:
    """What a shipped config trains: see :func:`core.recipe.xtuner_file.opening.kind_of`."""
    return _kind(one.file)


@cache
def _kind(file: Path) -> str:
    if file.suffix == ".json":
        return "deepspeed"
    try:
        return kind_of(read_config(file.read_bytes(), file.name))
    except (NotAConfig, OSError):
        return "unreadable"


def _row(name: str, found: str) -> dict[str, Any]:
    opens = found == "sft"
    return {
        "name": name,
        "kind": found,
        "opens": opens,
        "reason": "" if opens else say(f"config.kind.{found}"),
    }
