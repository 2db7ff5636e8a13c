"""Publish: make the bundle, look through it, list it, send it, and prove what arrived."""

import shutil
from pathlib import Path
from typing import Any

from core.pace import Progress
from core.publish import arrival, bundle, client_venv, llama_cpp, llama_server, post, tokens, usage
from core.publish.bundle import Bundle
from core.publish.deliver import check_place, deliver, destination
from core.publish.facts import Facts, read_facts
from core.publish.hub import Parcel
from core.publish.places import note
from core.publish.request import PublishRequest
from core.steps.export import Space
from core.steps.step import check_space, engine_job, megabytes, run_job
from core.wording import say
from core.workspace.checksums import read_checksums
from core.workspace.paths import RunPaths, Workspace
from core.workspace.publish_paths import ClientPaths

# Of the weights: a bundle needs as much again where it is not a hard link.
BYTES_PER_WEIGHT = {"f16": 2.0, "q8_0": 1.07, "q5_1": 0.9, "q5_0": 0.85, "q4_1": 0.8, "q4_0": 0.75}
SPARE = 100_000_000


def publish(
    workspace: Workspace, run: RunPaths, request: PublishRequest, progress: Progress
) -> dict[str, Any]:
    """Make and send what ``request`` asks for. Returns the result as ``--json`` prints it.

    Raises MissingArtefact, LicenceForbids, CardRefused, NothingPersonal, NoPlaceForIt, PlaceRefused,
    NotForGguf, DiskFull, NoToken, HubRefused, StepFailed, StepStopped.
    """
    facts = read_facts(workspace, run, request.base)
    if not request.hub and not request.dry_run:
        check_place(destination(workspace, run, request), about(run, request), request, workspace)
    client = ""
    if request.hub and not request.dry_run:
        client = _client(workspace, run, request, progress)
        user = post.check(run.job("send"), request, client)
        progress.say("publish.signed_in", user=user, hub=say(f"hub.{request.to}"))
    made = make(workspace, run, request, facts, progress)
    listed = [{"name": file.name, "size": file.size} for file in made.files]
    result = {"run": run.id, "what": request.what, "to": request.to, "size": made.size, "files": listed}
    if trials := _trials(run, request, made, facts, progress):
        result["llama_cpp"] = trials
    if request.dry_run:
        return {**result, "bundle": str(made.folder), "sent": False}
    progress.stage("send" if request.hub else "copy")
    if request.hub:
        parcel = post.parcel_of(made, request, facts.base.licence, client)
        result |= _post(run, request, made, parcel, facts, progress)
    else:
        result |= _put(workspace, run, request, made, progress)
    note(run, request, result)
    return result


def _trials(
    run: RunPaths, request: PublishRequest, made: Bundle, facts: Facts, progress: Progress
) -> list[dict[str, Any]]:
    """GGUF files under llama.cpp, where it is installed."""
    program = llama_server.installed()
    if request.what != "gguf" or not request.proof or not program:
        return []
    progress.stage("llama")
    trials = llama_server.try_out(run, made, facts, program, arrival.questions(run)[-1])
    for one in trials:
        progress.say("publish.llama_cpp.ok" if one["ok"] else "publish.llama_cpp.bad", **one)
    return trials


def _put(
    workspace: Workspace, run: RunPaths, request: PublishRequest, made: Bundle, progress: Progress
) -> dict[str, Any]:
    """Write it to a folder or a zip."""
    target = destination(workspace, run, request)
    check_place(target, made.size, request, workspace)
    deliver(made, target, request, progress.update)
    done = {"where": str(target), "sent": True}
    return {**done, "next": usage.by_git(target, request.repo)} if request.by_git else done


def _client(workspace: Workspace, run: RunPaths, request: PublishRequest, progress: Progress) -> str:
    """The interpreter of a client that has an environment of its own, which is made the first time."""
    if request.to != "openxlab":
        return ""
    client = ClientPaths.of(workspace, request.to)
    if not client_venv.is_ready(client):
        progress.stage("client")
        client_venv.install(client, run.job("client"))
    return str(client.python)


def _post(
    run: RunPaths, request: PublishRequest, made: Bundle, parcel: Parcel, facts: Facts, progress: Progress
) -> dict[str, Any]:
    """Send it to a hub, and prove what arrived unless nobody wants that."""
    url = post.send(run.job("send"), parcel, progress.update)
    sent = {"where": url, "repo": request.repo, "private": not request.public, "sent": True}
    if not request.proof or not arrival.can_be_fetched(parcel):
        return sent
    found = arrival.prove(run, made, parcel, facts, progress)
    return {**sent, "proof": found.as_json(), "ok": found.ok}


def make(
    workspace: Workspace, run: RunPaths, request: PublishRequest, facts: Facts, progress: Progress
) -> Bundle:
    """The bundle, looked through and listed, and nothing sent yet."""
    source = bundle.ready(run, request.what)
    if request.what == "gguf":
        llama_cpp.check(source)
    check_space(run.root, _room(source, request))
    progress.stage("bundle")
    made = bundle.build(run, request, facts, lambda folder: fill(run, request, facts, source, folder))
    bundle.refuse_personal(made, run, workspace, facts, tokens.kept())
    for file in made.files:
        progress.say("publish.file", size=megabytes(file.size), name=file.name)
    progress.say("publish.size", count=len(made.files), size=megabytes(made.size))
    return made


def fill(run: RunPaths, request: PublishRequest, facts: Facts, source: Path, folder: Path) -> None:
    """Write weights anew: as GGUF files, or in other pieces than they lie in."""
    if request.what == "gguf":
        spec = engine_job("gguf", source, folder, facts.name, facts.recipe.template, *request.quants)
        run_job("gguf", run.job("gguf"), spec)
    else:
        run_job("shard", run.job("shard"), engine_job("shard", source, folder, str(request.shard_bytes)))


def space(run: RunPaths, request: PublishRequest) -> Space:
    """What making the bundle may take, and what is free."""
    return Space(_room(bundle.ready(run, request.what), request), shutil.disk_usage(run.root).free)


def space_there(workspace: Workspace, run: RunPaths, request: PublishRequest) -> Space:
    """What it takes where a folder or a zip goes, and what is free there. Raises OSError, NotWritable,
    PlaceRefused."""
    target = destination(workspace, run, request)
    there = next(path for path in target.parents if path.exists())
    return Space(about(run, request) + SPARE, shutil.disk_usage(there).free)


def about(run: RunPaths, request: PublishRequest) -> int:
    """About how many bytes it will have. Raises MissingArtefact, NotAModel."""
    return _room(bundle.ready(run, request.what), request) - SPARE


def _room(source: Path, request: PublishRequest) -> int:
    """Bytes that making the bundle may take, at most: every file of what it is made of."""
    if request.what == "gguf":
        weights = sum(file.stat().st_size for file in source.glob("*.safetensors"))
        return int(weights / 2 * sum(BYTES_PER_WEIGHT[quant] for quant in request.quants)) + SPARE
    return sum(file.size for file in read_checksums(source)) + SPARE
