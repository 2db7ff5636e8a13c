"""What a sweep starts from: a run of the workspace, and its recipe or one that a file holds."""

from pathlib import Path

from core.errors import InvalidRecipe, NoRunOfRecipe, NoSuchFile, NoSuchRun
from core.pipeline.tune import prepared
from core.recipe.presets import OF_THE_DATA
from core.recipe.recipe import Recipe, from_yaml, merged_from_bytes
from core.steps import data, prepare
from core.workspace.files import is_endless
from core.workspace.paths import RunPaths, Workspace


def base_of(workspace: Workspace, given: str) -> tuple[RunPaths, Recipe]:
    """The run and the recipe that ``given`` names: a run's name, or a recipe's file whose rows are a run's.

    Raises NoSuchRun for what is neither, NoRunOfRecipe for a file of which no run here has the rows,
    MissingArtefact, InvalidRecipe.
    """
    try:
        run = workspace.run(given)
    except NoSuchRun:
        if not (file := Path(given).expanduser()).exists():
            raise
        run = _run_with(workspace, file)
        return run, recipe_in(file, run)
    return run, prepare.recipe_of(run)


def recipe_in(file: Path, run: RunPaths) -> Recipe:
    """A run's recipe with what a file says instead, but for what belongs to the run's rows.

    Raises InvalidRecipe (all problems at once), NoSuchFile, MissingArtefact.
    """
    if not file.exists():
        raise NoSuchFile(path=file)
    content = b"" if is_endless(file) else file.read_bytes()
    return merged_from_bytes(content, str(file), prepare.recipe_of(run), OF_THE_DATA)


def _run_with(workspace: Workspace, file: Path) -> RunPaths:
    """The run that a recipe's file is of: it lies in its folder, or names its rows; of several on the same
    rows the first."""
    inside = file.resolve().parent
    runs = [RunPaths(folder) for folder in reversed(workspace.run_folders())]
    if found := next((run for run in runs if run.root == inside and prepared(run)), None):
        return found
    try:
        rows = from_yaml(file).data
    except InvalidRecipe as error:  # a part of a recipe: it says nothing of rows
        raise NoRunOfRecipe(path=file) from error
    found = next((run for run in runs if prepared(run) and data.about_data(run)["path"] == rows), None)
    if found is None:
        raise NoRunOfRecipe(path=file)
    return found
