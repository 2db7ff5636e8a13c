"""The curve of a run or of any work_dir of XTuner's, its evaluation answers, and where it was best."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.errors import InputError, NoSuchRun, NotAWorkDir, reason_of
from core.jobs.curves import FIELDS, CurveReader, not_numbers
from core.jobs.samples import Sample
from core.recipe.own_template import Unspeakable, template_of
from core.recipe.recipe import Recipe
from core.recipe.xtuner_file.opening import open_config
from core.steps.adopt import config_of
from core.steps.checkpoints import Trained, checkpoints
from core.steps.prepare import recipe_of
from core.wording import say
from core.workspace.paths import Workspace

# The loss of one batch is noise: the mean of a twentieth of the curve around a point is compared.
WINDOW_SHARE, LONGEST_WINDOW = 0.05, 101


@dataclass(frozen=True)
class Best:
    """Where the loss is lowest: the iteration, and of the checkpoints that are left the one whose loss is
    lowest (None without any). ``by``: the validations' loss, else the training's, smoothed."""

    by: Literal["validation", "training"]
    iter: int
    loss: float
    checkpoint: str | None
    checkpoint_iter: int | None


def report(work_dir: Path, recipe: Recipe | None = None) -> dict[str, Any]:
    """``{"points", "validation", "answers", "best", "not_numbers", "not_drawn"}`` as ``--json`` prints
    them; a number that was none is null.

    ``work_dir`` may also be one of XTuner's logs, or one of its files of numbers. ``answers`` have question
    and answer apart where the recipe says what stands around them. Raises NotAWorkDir for a folder without a
    curve, answers or checkpoints, and for a file without a curve or answers.
    """
    if not work_dir.exists():
        raise NotAWorkDir(folder=work_dir, reason=say("file.ENOENT"))
    if work_dir.is_file() and not _is_text(work_dir):
        raise NotAWorkDir(folder=work_dir, reason=say("work_dir.no_log"))
    reader = CurveReader(work_dir)
    reader.poll()
    columns = reader.columns()
    if not len(columns["iter"]) and not reader.samples and not checkpoints(work_dir):
        reason = say("work_dir.no_log" if work_dir.is_file() else "work_dir.empty")
        raise NotAWorkDir(folder=work_dir, reason=reason)
    bad = not_numbers(columns)
    validated, losses = reader.validation
    saved = _checkpoints_around(work_dir)
    found = _best("validation", validated, losses, saved) or _best(
        "training", columns["iter"], around(columns["loss"]), saved
    )
    return {
        "points": [dict(_point(row)) for row in zip(*(columns[f].tolist() for f in FIELDS), strict=True)],
        "validation": [
            {"iter": int(at), "loss": loss if math.isfinite(loss) else None}
            for at, loss in zip(validated.tolist(), losses.tolist(), strict=True)
        ],
        "answers": [_answer(sample, recipe) for sample in reader.samples],
        "best": asdict(found) if found else None,
        "not_numbers": {"count": bad[0], "first_iter": bad[1]} if bad else None,
        "not_drawn": reader.not_drawn,
    }


def _is_text(file: Path) -> bool:
    """A checkpoint is gigabytes that no log reader should go through. Raises NotAWorkDir."""
    try:
        with file.open("rb") as stream:
            return b"\0" not in stream.read(4096)
    except OSError as error:
        raise NotAWorkDir(folder=file, reason=reason_of(error)) from error


def of(workspace: Workspace, given: str) -> dict[str, Any]:
    """The report of a run by its name, else of a folder or a log. Raises NoSuchRun, NotAWorkDir."""
    try:
        run = workspace.run(given)
    except NoSuchRun:
        folder = Path(os.path.expanduser(given))  # noqa: PTH111  Path's raises for a user who is not there
        if not _exists(folder):
            raise
        return report(folder, _recipe_around(folder))
    return report(run.work_dir, recipe_of(run) if run.recipe.exists() else None)


def _exists(path: Path) -> bool:
    with suppress(OSError, ValueError):  # what no file can be called
        return path.is_file() or path.is_dir()
    return False


def _checkpoints_around(given: Path) -> list[Trained]:
    """Of a work_dir, or of the one that a file lies in: ``work_dir/<time>/vis_data/scalars.json``."""
    folders = given.absolute().parents[:3] if given.is_file() else (given,)
    return next(filter(None, map(checkpoints, folders)), [])


def _recipe_around(given: Path) -> Recipe | None:
    """The recipe of a bare work_dir's config, which says where a question ends and its answer begins. Of a
    file, the config that XTuner left beside or above it."""
    for folder in given.absolute().parents[:3] if given.is_file() else (given,):
        with suppress(InputError):
            return open_config(config_of(folder).read_bytes(), folder.name).recipe
    return None


def _best(
    by: Literal["validation", "training"],
    iterations: npt.NDArray[np.float64],
    losses: npt.NDArray[np.float64],
    saved: list[Trained],
) -> Best | None:
    """The best place of a curve; None for one without a loss that is a number."""
    finite = np.where(np.isfinite(losses), losses, np.inf)
    if not np.isfinite(finite).any():
        return None
    place = int(np.argmin(finite))
    kept = [(_at(iterations, losses, one.iteration), one) for one in saved]
    rated = [(loss, one.iteration, one) for loss, one in kept if math.isfinite(loss)]
    chosen = min(rated, default=None, key=lambda found: found[:2])
    return Best(
        by=by,
        iter=int(iterations[place]),
        loss=round(float(losses[place]), 6),
        checkpoint=str(chosen[2].checkpoint) if chosen else None,
        checkpoint_iter=chosen[1] if chosen else None,
    )


def around(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of each value's neighbours on both sides, so that nothing is late; NaN and infinity left out.

    A short curve (40 points) is taken as it is.
    """
    half = min(LONGEST_WINDOW, int(len(values) * WINDOW_SHARE)) // 2
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    places = np.arange(len(values))
    low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    number = counts[high] - counts[low]
    mean = np.divide(sums[high] - sums[low], number, out=np.full(len(values), np.nan), where=number > 0)
    return np.where(finite, mean, np.nan)


def _at(iterations: npt.NDArray[np.float64], losses: npt.NDArray[np.float64], iteration: int) -> float:
    """The loss at the last logged iteration up to a checkpoint's; infinite without one."""
    place = int(np.searchsorted(iterations, iteration, side="right")) - 1
    return float(losses[place]) if place >= 0 and np.isfinite(losses[place]) else math.inf


def _point(row: tuple[float, ...]) -> Iterator[tuple[str, float | int | None]]:
    for name, value in zip(FIELDS, row, strict=True):
        yield name, int(value) if name == "iter" else value if math.isfinite(value) else None


def _answer(sample: Sample, recipe: Recipe | None) -> dict[str, Any]:
    question, answer = split_sample(sample, recipe) if recipe else ("", sample.text)
    return {"iter": sample.iter, "question": question, "answer": answer, "text": sample.text}


def split_sample(sample: Sample, recipe: Recipe) -> tuple[str, str]:
    """Question and answer of a sample without the template around them; as it is where that is unknown."""
    with suppress(InputError, Unspeakable):
        template = template_of(recipe.template, Path(recipe.model))
        for question in recipe.evaluation_questions:
            _, found, answer = sample.text.partition(template.prompt(question).strip())
            if found:
                return question, answer.removesuffix(template.suffix).strip()
    return "", sample.text
