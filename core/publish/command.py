"""``scripts/run publish``: its options, and what they ask for."""

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import InvalidOption
from core.paths import Workspace
from core.publish import tokens
from core.publish.order import HELP, QUANTS, TOS, WHATS, Order, Quant
from core.publish.publish import publish
from core.tune import Progress
from core.wording import say

LONGEST_TOKEN = 4096
OPTIONS: dict[str, dict[str, Any]] = {
    "--what": {"required": True, "choices": WHATS, "metavar": "|".join(WHATS)},
    "--to": {"default": "folder", "choices": TOS, "metavar": "|".join(TOS)},
    "--out": {"type": Path, "metavar": "DIR"},
    "--repo": {"default": "", "metavar": "OWNER/NAME"},
    "--public": {"action": "store_true"},
    "--base": {"metavar": "OWNER/NAME"},
    "--card": {"type": Path, "metavar": "FILE"},
    "--shard-size": {"default": "2GB", "metavar": "SIZE"},
    "--quants": {"default": "f16,q8_0,q4_1", "metavar": "TYPE,…"},
    "--dry-run": {"action": "store_true"},
    "--no-proof": {"action": "store_true"},
    "--token-stdin": {"action": "store_true"},
}


def run(options: argparse.Namespace, workspace: Workspace, progress: Callable[[], Any]) -> dict[str, Any]:
    """Publish as the options say; ``progress`` opens what shows it. Raises as :func:`publish` does."""
    order = order_of(options)
    paths = workspace.run(options.run)
    if order.hub and not order.rehearse:
        take_token(order, options.token_stdin)
    with progress() as shown:
        shown_as: Progress = shown
        return publish(workspace, paths, order, shown_as)


def order_of(options: argparse.Namespace) -> Order:
    """Raises InvalidOption."""
    quants: list[Quant] = []
    for name in filter(None, (part.strip().lower() for part in options.quants.split(","))):
        found = next((quant for quant in QUANTS if quant == name), None)
        if found is None:
            raise InvalidOption(message=say("publish.wrong.quants", known=", ".join(QUANTS)), help=HELP)
        quants.append(found)
    return Order(
        what=options.what,
        to=options.to,
        out=options.out,
        repo=options.repo,
        public=options.public,
        base=options.base,
        card=options.card,
        shard=options.shard_size,
        quants=tuple(dict.fromkeys(quants)),
        rehearse=options.dry_run,
        proof=not options.no_proof,
    )


def take_token(order: Order, from_stdin: bool) -> None:
    """Keep a token that is given now: from standard input, or asked at a terminal where none is kept."""
    if from_stdin:
        token = sys.stdin.readline(LONGEST_TOKEN).strip()
    elif tokens.read(order.to) is None and sys.stdin.isatty():
        token = getpass.getpass(
            f"{say('publish.ask_token', hub=say(f'hub.{order.to}'))} ", sys.stderr
        ).strip()
    else:
        return
    if token:
        tokens.keep(order.to, token)
