"""The commands that begin with ``data``: whether training and server write the same, and data made step by
step. Each returns what ``--json`` prints."""

import argparse
import os
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Any

from pydantic import with_config

from core.chat.document_questions import local_endpoint, make_drafts
from core.chat.endpoint import KEY_VARIABLE, endpoint
from core.cli.arguments import Decimal, whole_number
from core.cli.check import LEAVE_OUT
from core.cli.room import Commands, Options, Result, Task
from core.cli.terminal import progress
from core.data import drafts, making, versions
from core.data.documents.files import Passage, read_passages
from core.data.identity import LANGUAGES, IdentityLanguage
from core.data.mix import REPLAY_SHARE
from core.data.opening import Reading, Usable, read_usable, read_whole, say_left_out
from core.data.parity import parity
from core.data.personas import MOST_PARAPHRASES, MOST_TURNS, persona, persona_conversations, shipped_roles
from core.data.questions import replay_bank
from core.data.sets import SetPaths, place_of
from core.data.versions import Version, make_set, open_set, read_set, rows_of
from core.errors import InvalidOption
from core.jobs.job import JobSpec
from core.pace import Progress
from core.pipeline.tune_request import ready_model
from core.recipe.own_template import spoken_by, template_of
from core.steps import replay
from core.steps.data import REPLAY_TOKENS
from core.steps.step import call_job
from core.wording import say
from core.workspace.files import read_json
from core.workspace.paths import Workspace

MOST_ROWS = 10_000_000
PER_PASSAGE, SEED = 3, 42
HELP = "scripts/run data make documents --help"
# The usual part to hold back.
HELD_BACK_SHARE = 0.1


@with_config(extra="forbid")
@dataclass(frozen=True)
class DocumentsRequest:
    """Questions about documents for a data set: asked by a model here, None for the starter, or by one at an
    ``endpoint``. ``per_passage``: how many to each passage."""

    set: str
    files: tuple[Path, ...]
    model: str | None = None
    endpoint: str = ""
    endpoint_model: str = ""
    per_passage: int = PER_PASSAGE
    language: IdentityLanguage | None = None


@with_config(extra="forbid")
@dataclass(frozen=True)
class ReplayRequest:
    """A model's own answers for a data set: to ``questions``, a file, or the shipped ones; ``count`` of them,
    or as many as make up ``share`` of all rows. ``tokens`` is an answer's longest length."""

    set: str
    model: str | None = None
    share: float | None = None
    count: int | None = None
    questions: Path | None = None
    tokens: int = REPLAY_TOKENS
    system: str = ""
    seed: int = SEED


def _parity(options: argparse.Namespace, workspace: Workspace) -> Result:
    with progress(options.kind) as shown:
        model = ready_model(workspace, options.model, shown)
    name = options.template
    if name == "auto":
        name = spoken_by(model)
    found = parity(model.folder, template_of(name, model.folder))
    return {"model": str(model.folder), "template": name, **found.as_json(), "ok": found.same}


def _identity(options: argparse.Namespace, workspace: Workspace) -> Result:
    who = persona(options.name, options.persona, options.role)
    languages = (options.language,) if options.language else LANGUAGES
    made = persona_conversations(who, languages, options.paraphrases, options.turns, options.seed)
    place = make_set(workspace, options.set)
    settings = _settings(options, "name", "persona", "role", "language", "paraphrases", "turns", "seed")
    return said(place, making.grow(place, made, "identity", settings))


def _documents_request(options: argparse.Namespace) -> DocumentsRequest:
    """Raises InvalidOption."""
    if options.endpoint and not options.endpoint_model:
        raise InvalidOption(message=say("cli.wrong.required", names="--endpoint-model", count=1), help=HELP)
    files = tuple(Path(file) for file in getattr(options, "from"))
    given = (options.model, options.endpoint or "", options.endpoint_model or "", options.per_passage)
    return DocumentsRequest(options.set, files, *given, options.language)


def _ask_key(options: argparse.Namespace, _: Workspace) -> None:
    """A key typed at a terminal stands where this process looks for one, and nowhere else."""
    if options.endpoint and options.ask_key:
        os.environ[KEY_VARIABLE] = getpass(say("endpoint.ask_key"))


def _documents(workspace: Workspace, _: str, request: DocumentsRequest, shown: Progress) -> Result:
    named = place_of(workspace, request.set)
    passages = [passage for file in request.files for passage in _passages(named, file)]
    place = make_set(workspace, request.set)
    asking = (request.per_passage, request.language)
    if request.endpoint:
        where = endpoint(request.endpoint, request.endpoint_model, None)
        shown.stage("base")
        new = make_drafts(place, passages, where, where.model, *asking, shown.update)
    else:
        model = ready_model(workspace, request.model, shown)
        shown.stage("base")
        with local_endpoint(workspace, model) as where:
            new = make_drafts(place, passages, where, model.folder.name, *asking, shown.update)
    found = drafts.read_drafts(place)
    waiting = sum(draft.state == "new" for draft in found)
    return {"set": read_set(place).name, "passages": len(passages), "new": new, "waiting": waiting}


def _passages(place: SetPaths, file: Path) -> list[Passage]:
    """Of a document that came through the page, under the name it had there."""
    return read_passages(file, (read_json(place.names) or {}).get(file.stem))


def _take(options: argparse.Namespace, workspace: Workspace) -> Result:
    place = open_set(workspace, options.set)
    if options.all:
        drafts.accept_new(place)
    return said(place, making.take_accepted(place))


def _replay_request(options: argparse.Namespace) -> ReplayRequest:
    given = (options.model, options.share, options.count, options.questions, options.tokens, options.system)
    return ReplayRequest(options.set, *given, options.seed)


def _replay(workspace: Workspace, _: str, request: ReplayRequest, shown: Progress) -> Result:
    place = open_set(workspace, request.set)
    own = replay.read_questions(request.questions) if request.questions else []
    rows = rows_of(place)
    most = len(own) or sum(map(len, replay_bank().values()))
    count = request.count or min(most, replay.wanted(len(rows), request.share or REPLAY_SHARE))
    asked = replay.questions(rows, count, request.seed, own)
    model = ready_model(workspace, request.model, shown)
    shown.stage("base")
    made = replay.answers(workspace, place, model, asked, request.tokens, request.system, shown.update)
    settings = _settings(request, "count", "share", "tokens", "system", "seed")
    settings["model"] = model.folder.name
    return said(place, making.grow(place, made, "replay", settings))


def _mix(options: argparse.Namespace, workspace: Workspace) -> Result:
    named = [_weighted(text) for text in getattr(options, "from")]
    reading = Reading(ignore=tuple(options.ignore))
    read = [_part(workspace, name, options.leave_out_broken, reading) for name, _ in named]
    parts = [(part.conversations, weight) for part, (_, weight) in zip(read, named, strict=True)]
    place = make_set(workspace, options.set)
    settings = {"from": [*map(list, named)], **_settings(options, "weight", "rows", "seed")}
    left_out = {
        name: part.rows_left_out for part, (name, _) in zip(read, named, strict=True) if part.left_out
    }
    if left_out:
        settings["left_out"] = left_out
    with progress(options.kind) as shown:
        for part, (name, _) in zip(read, named, strict=True):
            if part.left_out:
                say_left_out(name, part.left_out, shown)
    version = making.mix_in(place, parts, options.weight, options.rows, options.seed, settings)
    return {**said(place, version), "left_out": sum(left_out.values())}


def _split(options: argparse.Namespace, workspace: Workspace) -> Result:
    place = open_set(workspace, options.set)
    train, held = making.split_off(place, options.share or HELD_BACK_SHARE, options.seed)
    return {**said(place, train), "held_back": {"rows": held.rows, "file": str(place.version(held.digest))}}


def _dedupe(options: argparse.Namespace, workspace: Workspace) -> Result:
    place = open_set(workspace, options.set)
    before = len(rows_of(place))
    version = making.drop_duplicates(place)
    return {**said(place, version), "dropped": before - (version.rows if version else 0)}


def _versions(options: argparse.Namespace, workspace: Workspace) -> Result:
    made = read_set(open_set(workspace, options.set))
    current = made.current.number if made.current else None
    return {
        "set": made.name,
        "current": current,
        "versions": [version.as_json() for version in made.versions],
    }


def _undo(options: argparse.Namespace, workspace: Workspace) -> Result:
    place = open_set(workspace, options.set)
    made = versions.go_to(place, options.to) if options.to else versions.undo(place)
    return said(place, made.current)


def plan(workspace: Workspace, request: DocumentsRequest | ReplayRequest) -> JobSpec:
    """The job that makes something for the data set that ``request`` names."""
    command = "data make documents" if isinstance(request, DocumentsRequest) else "data make replay"
    return call_job(place_of(workspace, request.set).job, command, workspace.root, request)


def said(place: SetPaths, version: Version | None) -> Result:
    """A data set's version as ``--json`` prints it."""
    name = read_set(place).name
    if version is None:
        return {"set": name, "version": None, "rows": 0, "file": None}
    return {
        "set": name,
        "version": version.digest,
        "operation": version.operation,
        "rows": version.rows,
        "file": str(place.version(version.digest)),
    }


def _settings(options: object, *names: str) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names if getattr(options, name)}


def _weighted(text: str) -> tuple[str, float]:
    """``NAME=2.5`` or ``NAME``. Raises InvalidOption."""
    name, found, weight = text.rpartition("=")
    if not found:
        return text, 1.0
    try:
        return name, Decimal(0, 1e6)(weight)
    except argparse.ArgumentTypeError as error:
        raise InvalidOption(message=f"--from: {error}", help="scripts/run data make mix --help") from error


def _part(workspace: Workspace, name: str, leave_out_broken: bool, reading: Reading) -> Usable:
    """A data set of the workspace, else a file, whole or without its broken rows."""
    place = place_of(workspace, name)
    if place.about.exists() and not Path(name).exists():
        return Usable(rows_of(place), [])
    return (read_usable if leave_out_broken else read_whole)(Path(name), reading)


SET = ("SET",)
ENDPOINT = ("--endpoint", "--endpoint-model", "--ask-key")
OPTIONS: Options = {
    "SET": {"metavar": "SET"},
    "--persona": {"choices": tuple(shipped_roles()), "default": "assistant", "metavar": "PERSONA"},
    "--role": {"default": "", "metavar": "TEXT"},
    "--paraphrases": {"type": whole_number(0, MOST_PARAPHRASES), "default": 0, "metavar": "N"},
    "--turns": {"type": whole_number(1, MOST_TURNS), "default": 1, "metavar": "N"},
    "--from": {"nargs": "+", "required": True, "metavar": "FILE"},
    "--endpoint": {"metavar": "URL"},
    "--endpoint-model": {"metavar": "NAME"},
    "--ask-key": {"action": "store_true"},
    "--per-passage": {"type": whole_number(1, 20), "default": PER_PASSAGE, "metavar": "N"},
    "--all": {"action": "store_true"},
    "--questions": {"type": Path, "metavar": "FILE"},
    "--count": {"type": whole_number(1, 100_000), "metavar": "N"},
    "--share": {"type": Decimal(0, 0.95), "default": None, "metavar": "SHARE"},
    "--tokens": {"type": whole_number(1, 4096), "default": REPLAY_TOKENS, "metavar": "N"},
    "--weight": {"type": Decimal(0, 1e6), "default": 1.0, "metavar": "WEIGHT"},
    "--rows": {"type": whole_number(1, MOST_ROWS), "metavar": "N"},
    "--to": {"default": "", "metavar": "VERSION"},
}
COMMANDS: Commands = {
    "data parity": (_parity, ("--model", "--template")),
    "data make identity": (
        _identity,
        (*SET, "--name", "--persona", "--role", "--language", "--paraphrases", "--turns", "--seed"),
    ),
    "data make documents": (
        Task(DocumentsRequest, _documents_request, _documents, first=_ask_key),
        (*SET, "--from", "--model", *ENDPOINT, "--per-passage", "--language"),
    ),
    "data make take": (_take, (*SET, "--all")),
    "data make replay": (
        Task(ReplayRequest, _replay_request, _replay),
        (*SET, "--model", "--share", "--count", "--questions", "--tokens", "--system", "--seed"),
    ),
    "data make mix": (_mix, (*SET, "--from", LEAVE_OUT, "--ignore", "--weight", "--rows", "--seed")),
    "data make split": (_split, (*SET, "--share", "--seed")),
    "data make dedupe": (_dedupe, SET),
    "data make versions": (_versions, SET),
    "data make undo": (_undo, (*SET, "--to")),
}
