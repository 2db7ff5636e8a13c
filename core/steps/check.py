"""Checking a data file before it is trained: the command's work, the job that does it, and its report."""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from core.data.checking.block import VERSION, Settings
from core.data.checking.check import check
from core.data.checking.identity import Person
from core.data.checking.report import MOST_LISTED, Report
from core.data.checking.texts import TemplateTokens, template_tokens
from core.data.formats.reading import Format
from core.data.formats.shapes import FORMATS
from core.data.opening import Opened, open_data
from core.data.reading.keeping import forget_old
from core.errors import NotAModel
from core.jobs.job import JobSpec
from core.jobs.request import as_record
from core.models.folder import find_model, model_type_of
from core.recipe.own_template import template_name, template_of
from core.steps.check_request import CheckRequest
from core.steps.first_recipe import default_length
from core.steps.step import call_job
from core.wording import say
from core.workspace.data_paths import CheckPaths, cache_of, check_of
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace

# What is written down of the progress, so often; seconds.
EVERY = 0.5
UNKNOWN = "unknown"


def run(
    workspace: Workspace,
    request: CheckRequest,
    progress: Callable[[float, str], None],
    whole: bool = False,
) -> tuple[Opened, Report]:
    """Check the file and keep the report; the ``whole`` one, with every finding, is not kept.

    Raises NoSuchFile, Unreadable, EmptyData, NoSuchModel, NotAModel."""
    forget_old(cache_of(workspace))
    folder = find_model(workspace, request.model)
    settings_of = _settings(folder, request)
    place = where(workspace, request)
    opened = open_data(request.file, cache_of(workspace), request.reading)
    note = _Noting(place, progress)
    settings = settings_of(opened.format or Format(FORMATS[0]))
    length = request.max_length or partial(default_length, folder, len(opened.source))
    most = sys.maxsize if whole else MOST_LISTED
    person = Person(request.name.strip(), request.author.strip())
    report = check(opened.source, settings, length, cache_of(workspace), note, most, person)
    if opened.format is None:
        report = report.called(UNKNOWN)
    if not whole:
        write_json(place.report, report.as_record())
    return opened, report


def _settings(folder: Path, request: CheckRequest) -> Callable[[Format], Settings]:
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.exists():
        raise NotAModel(folder=folder, reason=say("model.no_tokenizer"))
    template = request.template or template_name(folder, model_type_of(folder))
    return lambda chosen: Settings(tokenizer, template, chosen)


def marks(workspace: Workspace, request: CheckRequest) -> TemplateTokens:
    """What the template and the tokenizer of this check take for more than text."""
    settings = _settings(find_model(workspace, request.model), request)(Format(FORMATS[0]))
    return template_tokens(
        settings.tokenizer_file, template_of(settings.template, settings.tokenizer_file.parent)
    )


def where(workspace: Workspace, request: CheckRequest) -> CheckPaths:
    """The folder of this check: the same for the same question about the same file, as rows are checked
    now."""
    told = f"{json.dumps(as_record(replace(request, file=request.file.absolute())))}|{VERSION}"
    return check_of(workspace, hashlib.sha256(told.encode()).hexdigest()[:32])


def plan(workspace: Workspace, request: CheckRequest) -> JobSpec:
    """The job that checks; its report is read with :func:`read`."""
    return call_job(where(workspace, request).root, "data check", workspace.root, request)


def read(workspace: Workspace, request: CheckRequest) -> Report | None:
    """The report of the last whole check; None when there is none that this program can read."""
    try:
        return Report.of_record(read_json(where(workspace, request).report))  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return None


def share(workspace: Workspace, request: CheckRequest) -> float:
    """How far the check is, from 0 to 1."""
    found: Any = read_json(where(workspace, request).progress)
    return float(found["share"]) if isinstance(found, dict) and "share" in found else 0.0


class _Noting:
    """Progress for whoever waits, and now and then in a file for whoever looks in."""

    def __init__(self, place: CheckPaths, progress: Callable[[float, str], None]) -> None:
        self.place, self.progress, self.last = place, progress, 0.0

    def __call__(self, share: float) -> None:
        self.progress(share, "")
        if time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            write_json(self.place.progress, {"share": round(share, 3)})
