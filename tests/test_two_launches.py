"""Of two processes that launch one run at the same instant one runs it, and the other is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.jobs.job import JobPaths, tries
from core.jobs.launch import stop, wait
from core.jobs.process import descendants, read_identity
from core.jobs.status import State
from core.workspace.paths import PROJECT
from tests.conftest import RecordFault

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

ROUNDS = 20
# Launches for each line that it reads.
LAUNCHING = """
import sys
from pathlib import Path
from core.errors import JobRunning
from core.jobs.job import JobSpec
from core.jobs.launch import launch
for _ in sys.stdin:
    try:
        launch(Path(sys.argv[1]), JobSpec(("/bin/sleep", "1000"), Path("/")))
        print("runs", flush=True)
    except JobRunning:
        print("refused", flush=True)
"""


def test_twenty_times(tmp_path: Path, record_fault: RecordFault) -> None:
    folder = tmp_path / "工作 区" / "chain"
    command = [sys.executable, "-c", LAUNCHING, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [subprocess.Popen(command, cwd=PROJECT, text=True, bufsize=1, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    try:
        for number in range(1, ROUNDS + 1):
            for one in both:
                one.stdin.write("go\n")
            assert sorted(one.stdout.readline().strip() for one in both) == ["refused", "runs"], number
            supervisor = read_identity(JobPaths(folder).supervisor)
            assert supervisor and len(descendants(supervisor.pid)) <= 1
            stop(folder, by="test", grace=0)
            assert wait(folder, timeout=60).state is State.stopped
        assert len(tries(folder)) == ROUNDS
        seen = f"each of {ROUNDS} times one runs and the other is told"
        record_fault("two launches of one run at once", "", "", seen)
    finally:
        for one in both:
            one.communicate(timeout=60)
