"""The commands that begin with ``data``: whether training and server write the same, and data made step by
step. Each returns what ``--json`` prints."""

import argparse
from getpass import getpass
from pathlib import Path
from typing import Any

from core.chat.document_questions import local_endpoint, make_drafts
from core.chat.endpoint import endpoint
from core.cli.arguments import Decimal, whole_number
from core.cli.room import Commands, Options, Result
from core.cli.terminal import progress
from core.data import drafts, making, versions
from core.data.conversations import Conversation
from core.data.documents import Passage, read_passages
from core.data.identity import LANGUAGES
from core.data.opening import read_conversations
from core.data.parity import parity
from core.data.personas import (
    MOST_PARAPHRASES,
    MOST_TURNS,
    persona,
    persona_conversations,
    shipped_roles,
)
from core.data.questions import replay_bank
from core.data.sets import SetPaths, place_of
from core.data.versions import Version, make_set, open_set, read_set, rows_of
from core.errors import InvalidOption
from core.jobs.job import JobSpec
from core.pipeline.tune import ready_model
from core.recipe.templates import TEMPLATES, template_for
from core.steps import replay
from core.steps.data import REPLAY_TOKENS
from core.steps.step import module_job
from core.wording import say, spoken_language
from core.workspace.files import read_json
from core.workspace.paths import Workspace

MOST_ROWS = 10_000_000
HELP = "scripts/run data make documents --help"
# Four fifths replay is what core.data.mix measured; a tenth is the usual part to hold back.
REPLAY_SHARE, HELD_BACK_SHARE = 0.8, 0.1


def _parity(options: argparse.Namespace, workspace: Workspace) -> Result:
    with progress(options.kind) as shown:
        model = ready_model(workspace, options.model, shown)
    name = options.template
    if name == "auto":
        name = template_for(model.chat_template, model.origin or model.model_type)
    found = parity(model.folder, TEMPLATES[name])
    return {"model": str(model.folder), "template": name, **found.as_json(), "ok": found.same}


def _identity(options: argparse.Namespace, workspace: Workspace) -> Result:
    who = persona(options.name, options.persona, options.role)
    languages = (options.language,) if options.language else LANGUAGES
    made = persona_conversations(who, languages, options.paraphrases, options.turns, options.seed)
    place = make_set(workspace, options.set)
    settings = _settings(options, "name", "persona", "role", "language", "paraphrases", "turns", "seed")
    return said(place, making.grow(place, made, "identity", settings))


def _documents(options: argparse.Namespace, workspace: Workspace) -> Result:
    if options.endpoint and not options.endpoint_model:
        raise InvalidOption(message=say("cli.wrong.required", names="--endpoint-model"), help=HELP)
    named = place_of(workspace, options.set)
    passages = [passage for file in getattr(options, "from") for passage in _passages(named, Path(file))]
    place = make_set(workspace, options.set)
    asking = (options.per_passage, options.language)
    with progress(options.kind) as shown:
        if options.endpoint:
            key = getpass(say("endpoint.ask_key")) if options.ask_key else None
            where = endpoint(options.endpoint, options.endpoint_model, key)
            shown.stage("base")
            new = make_drafts(place, passages, where, where.model, *asking, shown.update)
        else:
            model = ready_model(workspace, options.model, shown)
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


def _replay(options: argparse.Namespace, workspace: Workspace) -> Result:
    place = open_set(workspace, options.set)
    own = replay.read_questions(options.questions) if options.questions else []
    rows = rows_of(place)
    most = len(own) or sum(map(len, replay_bank().values()))
    count = options.count or min(most, replay.wanted(len(rows), options.share or REPLAY_SHARE))
    asked = replay.questions(rows, count, options.seed, own)
    with progress(options.kind) as shown:
        model = ready_model(workspace, options.model, shown)
        shown.stage("base")
        made = replay.answers(workspace, place, model, asked, options.tokens, options.system, shown.update)
    settings = _settings(options, "count", "share", "tokens", "system", "seed")
    settings["model"] = model.folder.name
    return said(place, making.grow(place, made, "replay", settings))


def _mix(options: argparse.Namespace, workspace: Workspace) -> Result:
    named = [_weighted(text) for text in getattr(options, "from")]
    parts = [(_part(workspace, name), weight) for name, weight in named]
    place = make_set(workspace, options.set)
    settings = {"from": [*map(list, named)], **_settings(options, "weight", "rows", "seed")}
    version = making.mix_in(place, parts, options.weight, options.rows, options.seed, settings)
    return said(place, version)


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


def plan(workspace: Workspace, command: str, name: str, *arguments: str | Path) -> JobSpec:
    """The job that makes something for the data set ``name``; its commands are this module's."""
    env = {"PYTHONIOENCODING": "utf-8", "TUNEBOARD_LANG": spoken_language()}
    options = (command, name, f"--workspace={workspace.root}", "--json", *arguments)
    return module_job("core", *options, env=env)


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


def _settings(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names if getattr(options, name)}


def _weighted(text: str) -> tuple[str, float]:
    """``NAME=2.5`` or ``NAME``. Raises InvalidOption."""
    name, found, weight = text.rpartition("=")
    if not found:
        return text, 1.0
    try:
        return name, Decimal(0, 1e6)(weight)
    except argparse.ArgumentTypeError as error:
        raise InvalidOption(message=f"--from: {error}", help="data make mix --help") from error


def _part(workspace: Workspace, name: str) -> list[Conversation]:
    """A data set of the workspace, else a file."""
    place = place_of(workspace, name)
    if place.about.exists() and not Path(name).exists():
        return rows_of(place)
    return read_conversations(Path(name))


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
    "--per-passage": {"type": whole_number(1, 20), "default": 3, "metavar": "N"},
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
        _documents,
        (*SET, "--from", "--model", *ENDPOINT, "--per-passage", "--language"),
    ),
    "data make take": (_take, (*SET, "--all")),
    "data make replay": (
        _replay,
        (*SET, "--model", "--share", "--count", "--questions", "--tokens", "--system", "--seed"),
    ),
    "data make mix": (_mix, (*SET, "--from", "--weight", "--rows", "--seed")),
    "data make split": (_split, (*SET, "--share", "--seed")),
    "data make dedupe": (_dedupe, SET),
    "data make versions": (_versions, SET),
    "data make undo": (_undo, (*SET, "--to")),
}
