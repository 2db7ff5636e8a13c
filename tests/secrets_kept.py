"""A publishing that is watched from outside: whether what must be secret shows anywhere."""

import json
import os
import subprocess
import time
from pathlib import Path

from core.workspace.paths import RunPaths, Workspace
from tests.command_line import command, environment
from tests.promised import hold
from tests.publishable import REPO


def publish_secretly(
    workspace: Workspace, run: RunPaths, to: str, typed: str, *, secrets: tuple[str, ...], folder: Path
) -> int:
    """Publish the merged model by the command line with ``typed`` as its token.

    None of ``secrets`` is in a process's arguments or environment meanwhile, in what is printed, or in any
    file below ``folder`` but the one they are kept in. Returns how often the processes were looked at.
    """
    line = command("publish", run.id, "--workspace", workspace.root, "--what", "merged", "--to", to)
    with subprocess.Popen(
        [*line, "--repo", REPO, "--token-stdin", "--json"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(typed + "\n")
        process.stdin.close()
        seen = 0
        while process.poll() is None:
            seen += 1
            assert not [text for text in processes() if any(secret in text for secret in secrets)]
            time.sleep(0.2)
        printed, told = process.stdout.read(), process.stderr.read()
    said = printed + told
    assert process.returncode == 0, said
    hold(process.args, json.loads(printed))  # type: ignore[arg-type]
    assert not any(secret in said for secret in secrets)
    kept = folder / "config"
    for file in folder.rglob("*"):
        if file.is_file() and kept not in file.parents:
            assert not any(secret.encode() in file.read_bytes() for secret in secrets), file
    return seen


def processes() -> list[str]:
    """Arguments and environment of every process of this user, but of this one and its keeper's file."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    found.append((entry / name).read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue
    return found
