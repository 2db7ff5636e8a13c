"""A week of use in fast motion: runs made, trained, looked at, talked about and deleted, one after another.

    scripts/bench week [--runs N]

One server stays up for all of it. Every tenth of the way it says what the server holds: in the end as much
as after the first tenth, or something is kept that nobody needs.
"""

import argparse
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from core import runs
from core.chat.history import ChatMessage, change, delete_chat, new_chat
from core.workspace.paths import Workspace
from scripts.benches.held import Held
from scripts.benches.viewer import Viewer
from tests.server import Dashboard
from tests.small_run import end_training, make_run, make_workspace

TENTHS = 10
PAGES = ("", "data", "config", "train", "merge", "compare", "publish", "chat")
BEGINNING = datetime(2026, 1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder))
        with Dashboard(workspace.root) as server:
            server.url()
            print(f"   0 runs  {Held.of(server)}", flush=True)
            for number in range(1, asked.runs + 1):
                one_run(workspace, server, number)
                if number * TENTHS % asked.runs < TENTHS:
                    print(f"{number:4} runs  {Held.of(server)}", flush=True)


def one_run(workspace: Workspace, server: Dashboard, number: int) -> None:
    """Made, trained, opened on every page in a session of its own, talked about, deleted."""
    run = make_run(workspace, BEGINNING + timedelta(minutes=number))
    end_training(run)
    chat = new_chat(workspace)
    change(workspace, chat.id, lambda known: known.said(ChatMessage("user", f"What is {number}?")))
    with Viewer(server) as viewer:
        for page in PAGES:
            viewer.open(page, run.id)
    delete_chat(workspace, chat.id)
    runs.delete(workspace, run)


if __name__ == "__main__":
    main()
