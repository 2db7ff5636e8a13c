"""``scripts/run publish``: its options, and what they ask for."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import InvalidOption
from core.jobs.job import JobPaths, JobSpec
from core.jobs.tail import last_lines
from core.pace import Progress
from core.publish import tokens
from core.publish.publish import publish
from core.publish.request import HELP, QUANTS, TOS, TWO_KEYS, WHATS, PublishRequest, Quant
from core.steps.step import module_job
from core.wording import say, spoken_language
from core.workspace.paths import RunPaths, Workspace

LONGEST_TOKEN = 4096
OPTIONS: dict[str, dict[str, Any]] = {
    "--what": {"required": True, "choices": WHATS, "metavar": "|".join(WHATS)},
    "--where-to": {"default": "folder", "choices": TOS, "metavar": "|".join(TOS)},
    "--out": {"type": Path, "metavar": "DIR"},
    "--repo": {"default": "", "metavar": "OWNER/NAME"},
    "--public": {"action": "store_true"},
    "--base": {"metavar": "OWNER/NAME"},
    "--readme": {"type": Path, "metavar": "FILE"},
    "--shard-size": {"default": "2GB", "metavar": "SIZE"},
    "--quants": {"default": "f16,q8_0,q4_1", "metavar": "TYPE,…"},
    "--dry-run": {"action": "store_true"},
    "--no-proof": {"action": "store_true"},
    "--token-stdin": {"action": "store_true"},
}


def run(options: argparse.Namespace, workspace: Workspace, progress: Callable[[], Any]) -> dict[str, Any]:
    """Publish as the options say; ``progress`` opens what shows it. Raises as :func:`publish` does."""
    request = request_of(options)
    paths = workspace.run(options.run)
    if request.hub and not request.dry_run:
        take_token(request, options.token_stdin)
    with progress() as shown:
        shown_as: Progress = shown
        return publish(workspace, paths, request, shown_as)


def request_of(options: argparse.Namespace) -> PublishRequest:
    """Raises InvalidOption."""
    quants: list[Quant] = []
    for name in filter(None, (part.strip().lower() for part in options.quants.split(","))):
        found = next((quant for quant in QUANTS if quant == name), None)
        if found is None:
            raise InvalidOption(message=say("publish.wrong.quants", known=", ".join(QUANTS)), help=HELP)
        quants.append(found)
    return PublishRequest(
        what=options.what,
        to=options.to,
        out=options.out,
        repo=options.repo,
        public=options.public,
        base=options.base,
        card=options.readme,
        shard=options.shard_size,
        quants=tuple(dict.fromkeys(quants)),
        dry_run=options.dry_run,
        proof=not options.no_proof,
    )


def plan(workspace: Workspace, run: RunPaths, request: PublishRequest) -> JobSpec:
    """The job that publishes, as the page starts it."""
    env = {"PYTHONIOENCODING": "utf-8", "TUNEBOARD_LANG": spoken_language()}
    options = [f"--workspace={workspace.root}", "--json", *arguments(request)]
    return module_job("core", "publish", *options, "--", run.id, env=env)


def arguments(request: PublishRequest) -> list[str]:
    """The options that ask for this request."""
    given = {
        "what": request.what,
        "to": request.to,
        "out": request.out,
        "repo": request.repo,
        "base": request.base,
        "readme": request.card,
        "shard-size": request.shard,
        "quants": ",".join(request.quants),
    }
    switches = {"public": request.public, "dry-run": request.dry_run, "no-proof": not request.proof}
    return [
        *(f"--{name}={value}" for name, value in given.items() if value),
        *(f"--{name}" for name, on in switches.items() if on),
    ]


def result_of(run: RunPaths) -> dict[str, Any] | None:
    """What the page's last publishing printed at its end; None when it did not come so far."""
    for line in last_lines(JobPaths(run.job("publish")).log, 1):
        with suppress(ValueError):
            found = json.loads(line)
            return found if isinstance(found, dict) and "what" in found else None
    return None


def take_token(request: PublishRequest, from_stdin: bool) -> None:
    """Keep a token that is given now: from standard input, or asked at a terminal where none is kept."""
    if from_stdin:
        token = sys.stdin.readline(LONGEST_TOKEN).strip()
    elif tokens.read(request.to) is None and sys.stdin.isatty():
        question = say(
            "publish.ask_keys" if request.to == TWO_KEYS else "publish.ask_token",
            hub=say(f"hub.{request.to}"),
        )
        token = getpass.getpass(f"{question} ", sys.stderr).strip()
    else:
        return
    if token:
        tokens.keep(request.to, token)
