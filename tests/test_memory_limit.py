"""A session with too little memory of its own (ulimit -v): whatever a tool says first, the limit is named."""

import json
import subprocess
import sys

import pytest

from core.jobs.failure import why_failed
from core.jobs.status import read_status
from core.models.folder import starter_gguf
from core.steps import prepare, train
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, Workspace
from tests.command_line import environment
from tests.conftest import RecordFault
from tests.small_run import make_run

pytestmark = [pytest.mark.slow, pytest.mark.real_start]
MB = 1 << 20
# No room for torch; for torch, and not for what else is imported.
LIMITS = (250 * MB, 500 * MB)
TOOLS = ("train", "convert", "merge", "answer", "starter", "import_model")
# A supervisor has the limits of whoever starts it.
LIMITED = """
import json, resource, sys
from pathlib import Path
from core.jobs.job import JobSpec
from core.jobs.launch import launch, wait
folder, limit, *command = json.loads(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
launch(Path(folder), JobSpec(tuple(command), Path.cwd()))
print(wait(Path(folder), poll=0.05, timeout=120).reason)
"""


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("tool", TOOLS)
def test_the_limit_is_named(home: Workspace, tool: str, limit: int, record_fault: RecordFault) -> None:
    job = home.root / "job"
    command = [sys.executable, "-m", "core.engine", tool, *arguments(home, tool)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, json.dumps([str(job), limit, *command])],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.stdout.strip() == "memory limit", done.stdout + done.stderr
    failed = why_failed(job, read_status(job))
    assert failed and failed.cause == "memory_limited"
    record_fault(
        "too little memory in this session (ulimit -v)",
        "",
        "",
        "each tool names the limit, and how to raise it",
    )


def arguments(home: Workspace, tool: str) -> list[str]:
    """What the tool is called with; it does not come to read much of it."""
    base, made, request = str(home.starter), str(home.root / "made"), home.root / "request.json"
    if tool == "train":
        run = make_run(home)
        return [*train.plan(run, prepare.recipe_of(run)).command[4:]]
    write_json(request, {"model": base, "source": base, "target": made, "how": "copy", "questions": []})
    checkpoint = home.root / "iter_1.pth"
    checkpoint.touch()
    return {
        "convert": [made, str(checkpoint), made, "", base, ""],
        "merge": [base, made, made, "1", ""],
        "answer": [str(request), made],
        "starter": [str(starter_gguf()), made],
        "import_model": [str(request)],
    }[tool]
