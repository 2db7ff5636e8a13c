"""An environment of its own for a hub's client that cannot be installed beside this project's libraries.

``python -m core.publish.client_venv FOLDER PINS`` makes it by uv, fully pinned (24 packages and 50 MB for
OpenXLab's, some seconds); it is made anew when its pins change, and twice is harmless.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import StepFailed
from core.jobs.environment import INDEXES, PROXIES, handed_over
from core.jobs.job import JobPaths
from core.jobs.tail import last_lines
from core.steps.step import check_space, module_job, run_job
from core.wording import say
from core.workspace.files import held, write_text
from core.workspace.paths import make_folder
from core.workspace.publish_paths import ClientPaths

ROOM = 200_000_000
LINES = 3  # uv's own words


def main(folder: str, pins: str) -> int:
    """Returns uv's exit code."""
    import uv

    client = ClientPaths(Path(folder), Path(pins))
    program = uv.find_uv_bin()
    with held(client.lock):
        if is_ready(client):
            return 0
        shutil.rmtree(client.root, ignore_errors=True)
        for command in (
            [program, "venv", "--python", sys.executable, str(client.root)],
            [program, "pip", "sync", "--python", str(client.python), str(client.pins)],
        ):
            if code := subprocess.call(command):
                return code
        write_text(client.mark, client.pins.read_text(encoding="utf-8"))
    return 0


def is_ready(client: ClientPaths) -> bool:
    """Whether it was made whole, of these pins."""
    return client.mark.exists() and client.mark.read_bytes() == client.pins.read_bytes()


def install(client: ClientPaths, job: Path) -> None:
    """Make it as a job. Raises StepFailed, StepStopped, DiskFull, NotWritable."""
    check_space(client.root.parent, ROOM)
    make_folder(client.root.parent, exist_ok=True)
    try:
        # uv breaks its sentences where the terminal of its starter ends: the last lines would be halves.
        env = {"COLUMNS": "1000"}
        spec = module_job("core.publish.client_venv", client.root, client.pins, env=env)
        run_job("client", job, spec, secrets=handed_over(*INDEXES, *PROXIES))
    except StepFailed as error:
        log = JobPaths(job).log
        line = " ".join(map(str.strip, last_lines(log, LINES)))
        raise StepFailed(step="client", reason=say("publish.no_client"), line=line, log=log) from error


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
