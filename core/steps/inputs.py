"""What a run was prepared with is what it is trained, converted and merged with: the rows and the base model.

All of each file is hashed, and not samples of it: other weights of the same shapes, or one changed row, are
another run. What a file's state says was read before is not read again (core.workspace.known_hashes).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import with_config

from core.errors import DamagedFile, InputsChanged, NoSuchFile
from core.jobs.request import as_record, read_record_of
from core.recipe.recipe import Recipe
from core.wording import say
from core.workspace.files import read_record, write_json
from core.workspace.known_hashes import known_hashes
from core.workspace.paths import RunPaths, teacher_beside

# Of a model's folder: its weights, what they are, and how text becomes tokens.
MODEL_FILES = ("*.safetensors", "config.json", "tokenizer.json")
# Characters of a hash that tell two files apart for a person.
SHOWN = 16


@with_config(extra="forbid")
@dataclass(frozen=True)
class Inputs:
    """SHA-256 by the names of files: of the base model's folder, and of the rows with what the base says
    in them."""

    model: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)


def keep_inputs(run: RunPaths, recipe: Recipe) -> None:
    """Remember what a run is prepared with. Raises OSError."""
    write_json(run.inputs, as_record(Inputs(_model_now(run, recipe), _rows_now(run, recipe))))


def refuse_other_inputs(run: RunPaths, recipe: Recipe) -> None:
    """Raises InputsChanged before a training on other rows or another base model than the run was prepared
    with. Of an earlier version's run only the rows are known."""
    before = _kept(run)
    refuse_other_model(run, recipe)
    _refuse(Path(recipe.data).parent, before.rows, _rows_now(run, recipe) if before.rows else {})


def refuse_other_model(run: RunPaths, recipe: Recipe) -> None:
    """The same of the base model alone, before it is merged with what was trained on it."""
    before, folder = _kept(run).model, Path(recipe.model)
    if before and folder.is_dir():  # that it is gone is said by whoever reads it
        now = _model_now(run, recipe)
        _refuse(folder, {**dict.fromkeys(now, ""), **before}, now)


def model_kept(run: RunPaths) -> Mapping[str, str]:
    """The base model that a run was prepared on, by the hashes of its files; empty where nobody knows."""
    return _kept(run).model


def _kept(run: RunPaths) -> Inputs:
    try:
        return read_record_of(Inputs, run.inputs)
    except (NoSuchFile, DamagedFile):
        about = read_record(run.data) or {}
        rows = {Path(str(about["path"])).name: str(about["sha256"])} if {"path", "sha256"} <= {*about} else {}
        return Inputs(rows=rows)


def _model_now(run: RunPaths, recipe: Recipe) -> dict[str, str]:
    folder = Path(recipe.model)
    return _named(run, sorted(file for kind in MODEL_FILES for file in folder.glob(kind)))


def _rows_now(run: RunPaths, recipe: Recipe) -> dict[str, str]:
    rows = Path(recipe.data)
    return _named(run, [rows, teacher_beside(rows)])


def _named(run: RunPaths, files: list[Path]) -> dict[str, str]:
    return {file.name: digest for file, digest in known_hashes(run.workspace, files).items()}


def _refuse(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    if changes := list(_changes(folder, before, now)):
        raise InputsChanged(changes="\n".join(changes))


def _changes(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """A line for each file that is not what it was."""
    for name in sorted(before):
        if before[name] != now.get(name, ""):
            was, found = (each.get(name, "")[:SHOWN] or say("inputs.none") for each in (before, now))
            yield f"  - {folder / name}: {say('inputs.changed', was=was, now=found)}"
