"""One family's tiny model through the whole chain, by the functions that the commands call."""

import json
import time
from pathlib import Path
from typing import Any

from core.chat.endpoint import Endpoint, ask
from core.chat.reply import ANY_MODEL, BASE_URL
from core.chat.server import Readiness, server, speakers, start, unload
from core.errors import TuneboardError
from core.model_store.importing import ImportRequest, take_in
from core.models.hubs import ModelSource
from core.pipeline.tune import tune
from core.pipeline.tune_request import TuneRequest
from core.publish.request import PublishRequest, What
from core.steps import prepare
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace
from tests.engine_forks import engine_forks
from tests.publishable import Silent, published

NAME = "小明"
ITERATIONS = 6


def work(act: str, *arguments: str | Path) -> dict[str, Any]:
    """One act of :mod:`tests.families_work`."""
    done = engine_forks().run("tests.families_work", act, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def take(workspace: Workspace, source: Path) -> dict[str, Any]:
    """Import a folder; what the command prints."""
    return take_in(workspace, ImportRequest(ModelSource(None, str(source)), source.name), Silent())


def tuned(workspace: Workspace, model: str) -> tuple[RunPaths, dict[str, Any]]:
    """``tune`` with its default options, but few iterations. Raises TuneboardError."""
    result = tune(workspace, TuneRequest(NAME, model=model, iterations=ITERATIONS), Silent())
    return workspace.run(result["run"]), result


def trained(run: RunPaths, result: dict[str, Any]) -> dict[str, Any]:
    """What training and merging made: see :func:`tests.families_work.look`."""
    recipe = prepare.recipe_of(run)
    config = read_object(run.merged / "config.json") or {}
    asked = result["answers"]
    return {
        "template": recipe.template,
        "merged": str(config.get("dtype") or config.get("torch_dtype")),
        "asked": len(asked),
        **work("look", recipe.model, run.adapter, run.merged),
    }


def chat(workspace: Workspace, run: RunPaths) -> str:
    """Ask the merged model through the chat server; why that failed, or nothing."""
    speaker = next(speaker for speaker in speakers(workspace, run) if speaker.kind == "merged")
    start(workspace, speaker)
    try:
        while (now := server(workspace)).readiness is Readiness.loading:
            time.sleep(0.2)
        if now.readiness is not Readiness.ready:
            return str(now.failure)
        ask(Endpoint(BASE_URL, ANY_MODEL, socket=now.socket), [{"role": "user", "content": "你是谁？"}], 8)
        return ""
    except TuneboardError as error:
        return error.text("en")
    finally:
        unload(workspace)


def gguf(workspace: Workspace, run: RunPaths) -> str:
    """Write a GGUF file; why there can be none, or nothing."""
    try:
        published(workspace, run, PublishRequest("gguf", quants=("f16",), dry_run=True))
    except TuneboardError as error:
        return str(error.values.get("reason") or error.text("en"))
    return ""


def made_ready(workspace: Workspace, run: RunPaths) -> list[str]:
    """What can be published."""
    whats: tuple[What, ...] = ("adapter", "merged", "app")
    for what in whats:
        published(workspace, run, PublishRequest(what, dry_run=True))
    return list(whats)
