"""Who stands on a model of the workspace, and deleting one that nobody uses."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from core.errors import DamagedFile, InputError, ModelBusy, ModelInUse, NoListedModel
from core.jobs.job import JobPaths, job_folders
from core.jobs.status import is_live
from core.models.folder import near_models
from core.steps.prepare import recipe_of
from core.wording import say
from core.workspace.files import read_bytes, read_record
from core.workspace.import_paths import ImportPaths, import_of
from core.workspace.names import slug
from core.workspace.paths import RunPaths, Workspace

# How deep job folders lie: the chat server, a data set's or a check, a run's step.
MODEL = "--model="
# So many runs are named where the model of many is to be deleted.
NAMED = 10
# A line of a recipe that is followed by another setting, a comment or the end.
MODEL_LINE = re.compile(r"^model:[ \t]+(\S.*)$(?!\n[ \t])", re.MULTILINE)
DEPTHS = (1, 2, 3)


def delete(workspace: Workspace, name: str, even_if_used: bool = False) -> dict[str, Any]:
    """Delete a model's folder and what its import left; weights that are linked to stay where they are.

    Runs that stand on it keep what they made, but cannot be trained, merged or compared any more: with
    ``even_if_used`` that is what is wanted. Returns ``{"deleted", "folder", "runs"}``.

    Raises NoListedModel, ModelBusy (a job uses it), ModelInUse (unless ``even_if_used``), OSError.
    """
    paths = _of(workspace, name)
    if job := next(_jobs_on(workspace, paths), None):
        raise ModelBusy(model=paths.model.name, job=job)
    runs = [run.id for run in runs_on(workspace, paths.model)]
    if runs and not even_if_used:
        raise ModelInUse(model=paths.model.name, runs=named(runs))
    _remove(paths)
    return {"deleted": paths.model.name, "folder": str(paths.model), "runs": runs}


def runs_on(workspace: Workspace, model: Path) -> list[RunPaths]:
    """The runs whose base the model is, newest first. A run that cannot be read stands on none."""
    folder, resolved = model.resolve(), cache(Path.resolve)
    runs = map(RunPaths, workspace.run_folders())
    return [run for run in runs if _base(run, resolved) == folder]


def named(runs: Sequence[str]) -> str:
    """Runs in a sentence: the first few by name, of more how many."""
    left = len(runs) - NAMED
    return say("row.list").join([*runs[:NAMED], *([say("runs.and_more", count=left)] if left > 0 else [])])


def _of(workspace: Workspace, name: str) -> ImportPaths:
    """The model of that name, as it is listed or as a person calls it; a path is never a name."""
    listed = {folder.name: folder for folder in workspace.model_folders()}
    found = listed.get(name) or listed.get(slug(name))
    if found is None:
        raise NoListedModel(model=name, workspace=workspace.models, near=near_models(workspace, name))
    return import_of(found)


def _base(run: RunPaths, resolved: Callable[[Path], Path]) -> Path | None:
    with suppress(InputError, DamagedFile, OSError):
        named = _model_named(read_bytes(run.recipe).decode(errors="replace"))
        return resolved(Path(named or recipe_of(run).model))
    return None


def _model_named(recipe: str) -> str:
    """The model of a recipe by that line alone, which takes a hundredth of the whole; empty where it is not
    one line as the program writes it."""
    lines = MODEL_LINE.findall(recipe)
    with suppress(yaml.YAMLError):
        found = yaml.safe_load(lines[0]) if len(lines) == 1 else None
        return found if isinstance(found, str) and "\0" not in found else ""
    return ""


def _jobs_on(workspace: Workspace, paths: ImportPaths) -> Iterator[Path]:
    """Live jobs that use the model: in a run on it, its import, or named in what they were asked."""
    of_runs = {run.root for run in runs_on(workspace, paths.model)}
    for depth in DEPTHS:
        for folder in job_folders(workspace.root, depth):
            if (
                not JobPaths(folder).exit.exists()
                and is_live(folder)
                and (
                    folder.parent in of_runs
                    or folder.parent == paths.root
                    or any(_names(text, paths.model) for text in _asked(folder))
                )
            ):
                yield folder


def _asked(job: Path) -> Iterator[str]:
    """Every word of a job's command and of the request beside it; of ``--model=`` what it names."""
    for word in (read_record(JobPaths(job).spec) or {}).get("command", ()):
        yield str(word).removeprefix(MODEL)
        if str(word).startswith(MODEL):
            yield slug(str(word).removeprefix(MODEL))
    yield from _words(read_record(JobPaths(job).request))


def _words(found: object, key: str = "") -> Iterator[str]:
    """Every path in a value of JSON, and what stands under ``model``; other words name no model."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _words(value, name)
    elif isinstance(found, list):
        for value in found:
            yield from _words(value, key)
    elif isinstance(found, str) and key == "model":
        yield from (found, slug(found))
    elif isinstance(found, str) and "/" in found:
        yield found


def _names(text: str, model: Path) -> bool:
    """Whether a word is the model's folder, something in it, or its name."""
    if len(text) > 4096 or "\0" in text:
        return False
    return model.name == text or Path(text) == model or model in Path(text).parents


def _remove(paths: ImportPaths) -> None:
    if paths.model.is_symlink():
        paths.model.unlink()
    else:
        shutil.rmtree(paths.doomed, ignore_errors=True)  # what an earlier try could not delete
        paths.model.rename(paths.doomed)
        shutil.rmtree(paths.doomed)
    shutil.rmtree(paths.root, ignore_errors=True)
