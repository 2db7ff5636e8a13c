"""``scripts/run publish``: its options, and what they ask for."""

import argparse
import getpass
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import InvalidOption
from core.jobs.job import JobPaths, JobSpec
from core.jobs.tail import last_lines
from core.publish import tokens
from core.publish.request import HELP, QUANTS, TOS, TWO_KEYS, WHATS, PublishRequest, Quant
from core.runs import PUBLISH
from core.steps.step import call_job
from core.wording import did_you_mean, say
from core.workspace.paths import RunPaths, Workspace

LONGEST_TOKEN = 4096
OPTIONS: dict[str, dict[str, Any]] = {
    "--what": {"required": True, "choices": WHATS, "metavar": "|".join(WHATS)},
    "--where-to": {"default": "folder", "choices": TOS, "metavar": "|".join(TOS)},
    "--out": {"type": Path, "metavar": "DIR"},
    "--into": {"default": "", "metavar": "DISK|DIR"},
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


def request_of(options: argparse.Namespace) -> PublishRequest:
    """Raises InvalidOption."""
    if options.out and options.into:
        raise InvalidOption(message=say("cli.publish.out_and_into"), help=HELP)
    quants: list[Quant] = []
    for name in filter(None, (part.strip().lower() for part in options.quants.split(","))):
        found = next((quant for quant in QUANTS if quant == name), None)
        if found is None:
            values = {"given": name, "near": did_you_mean(name, dict.fromkeys(QUANTS, ()))}
            known = say("row.list").join(QUANTS)
            raise InvalidOption(message=say("publish.wrong.quants", known=known, **values), help=HELP)
        quants.append(found)
    return PublishRequest(
        what=options.what,
        to=options.to,
        out=options.out,
        into=options.into,
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
    return call_job(run.job(PUBLISH), "publish", workspace.root, request, run.id)


def result_of(run: RunPaths) -> dict[str, Any] | None:
    """What the page's last publishing printed at its end; None when it did not come so far."""
    for line in last_lines(JobPaths(run.job(PUBLISH)).log, 1):
        with suppress(ValueError):
            found = json.loads(line)
            return found if isinstance(found, dict) and "what" in found else None
    return None


def take_token(options: argparse.Namespace, workspace: Workspace) -> None:
    """Keep a token that is given now: from standard input, or asked at a terminal where none is kept. Raises
    NoSuchRun before anybody types one."""
    workspace.run(options.run)
    request, from_stdin = request_of(options), options.token_stdin
    if request.dry_run or not request.hub:
        return
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
