"""Import: a folder with a model becomes a model of the workspace."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from core.errors import MissingArtefact
from core.jobs.job import JobPaths, JobSpec
from core.models.families import check_trainable
from core.models.folder import read_object, refuse_pointer
from core.models.hubs import check_tokenizer, files_of, wanted
from core.steps.step import engine_job
from core.wording import spoken_language
from core.workspace.files import read_json
from core.workspace.import_paths import ImportPaths

STEP = "import_model"
MADE = "made.json"
How: TypeAlias = Literal["link", "copy", "move"]


def plan(paths: ImportPaths, source: Path, how: How) -> JobSpec:
    """The job that makes the model of ``source``, which is only read, or with "move" used up.

    What can be seen without loading anything is said at once: raises NotAModel, QuantizedBase.
    """
    names = [file.name for file in wanted(files_of(source), source)]
    for name in names:
        refuse_pointer(source / name)
    check_tokenizer(names, source)
    check_trainable(read_object(source / "config.json"), source)
    request = {"source": str(source), "target": str(paths.model), "how": how}
    spec = engine_job(STEP, JobPaths(paths.job(STEP)).request, env={"TUNEBOARD_LANG": spoken_language()})
    return replace(spec, request=request, results=(MADE,))


def read(paths: ImportPaths) -> str:
    """What was done: link, copy, move or convert. Raises MissingArtefact."""
    found = read_json(paths.job(STEP) / MADE)
    if found is None or not paths.model.is_dir():
        raise MissingArtefact(what=paths.model.name, where=paths.model.parent, step=STEP)
    return str(found["how"])
