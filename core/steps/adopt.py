"""Adopt: a work_dir that XTuner filled elsewhere becomes a run, without a byte of it being changed.

The run's ``train/work_dir`` is a link to it. Its config is never run: it is read as a Recipe, and what is
converted later is built from the Recipe's own config.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import NoSuchModel, NotAConfig, NotAModel, NotARecipe, NotAWorkDir
from core.machine import this_machine
from core.models.folder import Model, find_model, read_model
from core.recipe.check import settle
from core.recipe.recipe import Recipe, to_yaml
from core.recipe.templates import template_for
from core.recipe.xtuner_config import write_config
from core.recipe.xtuner_file.compare import Difference
from core.recipe.xtuner_file.opening import OpenedConfig, kind_of, open_config
from core.recipe.xtuner_file.reader import read_config
from core.steps import prepare
from core.steps.checkpoints import checkpoints
from core.steps.configs import row
from core.wording import say
from core.workspace.files import is_endless, read_record, write_json, write_text
from core.workspace.paths import RunPaths, Workspace, make_folder

# An adapter is built from these: where the file differs in one of them, the Recipe's config builds another.
OF_THE_ADAPTER = ("model.lora", "model.llm.type", "model.tokenizer", "model.peft_model")


def adopt(workspace: Workspace, folder: Path, model: str | None, now: datetime) -> RunPaths:
    """The run of a work_dir; one that was adopted before is the same run.

    ``model`` is the base model's folder or name where it is not where the config says.

    Raises NotAWorkDir, NotAConfig, NotARecipe, NoSuchModel (only for a ``model`` that was given).
    """
    folder = _resolved(folder)
    config = config_of(folder)
    opened = _open(config)
    base = _base(workspace, folder, opened.recipe.model, model)
    workspace.prepare()
    run = known(workspace, folder) or workspace.new_run(folder.name, now)
    recipe = _settled(opened.recipe, base)
    make_folder(run.job("train"), exist_ok=True)
    if not run.work_dir.is_symlink():
        run.work_dir.symlink_to(folder, target_is_directory=True)
    write_text(run.recipe, to_yaml(recipe))
    write_text(run.config, write_config(recipe, Path(recipe.data), Path(recipe.model), run.work_dir))
    write_json(run.about, {"title": folder.name})
    differences = [asdict(one) for one in opened.differences]
    write_json(run.adopted, {"work_dir": str(folder), "config": str(config), "differences": differences})
    return run


def _resolved(folder: Path) -> Path:
    """The folder itself. Raises NotAWorkDir for what no folder can be called, or is nobody's home."""
    try:
        return folder.expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise NotAWorkDir(folder=folder, reason=say("file.ENOENT")) from error


def known(workspace: Workspace, folder: Path) -> RunPaths | None:
    """The run that adopted this work_dir before."""
    for found in workspace.run_folders():
        run = RunPaths(found)
        if (read_record(run.adopted) or {}).get("work_dir") == str(folder):
            return run
    return None


def config_of(folder: Path) -> Path:
    """The config that XTuner leaves in a work_dir: the newest one. Raises NotAWorkDir.

    DeepSpeed 0.18.9 leaves a program of its own beside it (``zero_to_fp32.py``).
    """
    if not _is_folder(folder):
        raise NotAWorkDir(folder=folder, reason=say("file.ENOENT"))
    for pattern in ("*.py", "*/vis_data/config.py"):
        for file in sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime, reverse=True):
            if _trains(file):
                return file
    raise NotAWorkDir(folder=folder, reason=say("work_dir.no_config"))


def _is_folder(folder: Path) -> bool:
    with suppress(OSError):  # a name that is too long
        return folder.is_dir()
    return False


def _trains(file: Path) -> bool:
    """Whether a file is a config that describes a training, of whatever kind."""
    with suppress(NotAConfig, OSError):
        return not is_endless(file) and kind_of(read_config(file.read_bytes(), file.name)) != "none"
    return False


def differences(run: RunPaths) -> list[Difference]:
    """What of an adopted run's config its Recipe does not say."""
    rows = (read_record(run.adopted) or {}).get("differences") or []
    return [Difference(**row) for row in rows]


def refuse_unlike(run: RunPaths) -> None:
    """Raises NotARecipe for an adopted run whose adapter its Recipe's config would build otherwise."""
    for one in differences(run):
        if one.place.startswith(OF_THE_ADAPTER):
            reason = f"{one.place} = {one.file or '–'}. {say(f'config.why.{one.why}')}".rstrip("。.")
            raise NotARecipe(path=(read_record(run.adopted) or {}).get("config"), reason=reason)


def no_export(run: RunPaths) -> str | None:
    """Why an adopted run cannot be converted and merged, in a sentence; None where it can be."""
    if not checkpoints(run.work_dir):
        return say("adopt.no_checkpoint")
    try:
        refuse_unlike(run)
    except NotARecipe as error:
        return error.text()
    model = prepare.recipe_of(run).model
    if not Path(model).is_dir():
        return say("adopt.base_missing", model=model)
    return None


def _open(config: Path) -> OpenedConfig:
    return open_config(config.read_bytes(), str(config))


def _base(workspace: Workspace, folder: Path, named: str, given: str | None) -> Model | None:
    """The base model, where it is here: as given, else at one of the places that the config may mean."""
    if given is not None:
        return read_model(find_model(workspace, given))
    for place in _places(workspace, folder, named):
        try:
            return read_model(place.resolve())
        except (NoSuchModel, NotAModel):
            continue
    return None


def _places(workspace: Workspace, folder: Path, named: str) -> Iterator[Path]:
    """XTuner's own work_dirs lie in ``work_dirs`` beside what a config names by a relative path."""
    yield from (above / named for above in (*reversed(folder.parents[:2]), Path()))
    yield from (workspace.model(name) for name in (named, Path(named).name))


def _settled(recipe: Recipe, base: Model | None) -> Recipe:
    if base is not None:
        named = recipe.template
        if named == "auto":  # XTuner's own: its configs know no chat template
            named = template_for(base.chat_template, base.origin or base.model_type)
        return settle(recipe.changed(model=str(base.folder), template=named), this_machine(), base)
    return recipe.changed(template="default") if recipe.template == "auto" else recipe


def as_json(run: RunPaths) -> dict[str, Any]:
    """What the command line says of an adopted run."""
    recipe = prepare.recipe_of(run)
    return {
        "run": run.id,
        "work_dir": str(run.work_dir.resolve()),
        "model": recipe.model,
        "model_is_here": Path(recipe.model).is_dir(),
        "checkpoints": [str(found.checkpoint) for found in checkpoints(run.work_dir)],
        "no_export": no_export(run),
        "misfits": [row(one) for one in differences(run) if not one.on_purpose],
    }
