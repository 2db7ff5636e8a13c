"""Jobs where /proc shows a user only their own processes (hidepid), or not even all of these."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs import process
from core.jobs.job import JobPaths
from core.jobs.process import Identity, group_alive, identify, is_alive
from core.jobs.status import read_status
from tests.as_user import ROOT, as_user, their_folder

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

RUNS = """
import json, sys
from pathlib import Path
from core.jobs.job import JobSpec
from core.jobs.launch import launch, stop, wait
folder, tool, asked = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "stop"
launch(folder, JobSpec((sys.executable, "-c", tool), folder))
if asked:
    stop(folder, "somebody", grace=5)
ended = wait(folder, timeout=60)
print(json.dumps([ended.state, ended.code]))
"""
LIVES = "import time; print('up', flush=True); time.sleep(60)"
# torchrun's workers have sessions of their own.
LEAVES = (
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'],"
    " start_new_session=True)"
)
# PR_SET_DUMPABLE: ssh-agent does this, and whatever holds a key.
HIDES = "import ctypes, time; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print('up', flush=True); time.sleep(4)"


@pytest.fixture
def folder() -> Iterator[Path]:
    with their_folder() as found:
        yield found / "job"


@ROOT
@pytest.mark.parametrize("hidepid", [1, 2])
@pytest.mark.parametrize(
    ("tool", "then", "ended"),
    [
        pytest.param("print('done')", "wait", ["finished", 0], id="ends by itself"),
        pytest.param("raise SystemExit(3)", "wait", ["failed", 3], id="fails"),
        pytest.param(LIVES, "stop", ["stopped", 143], id="is stopped"),
        pytest.param(LEAVES, "wait", ["finished", 0], id="leaves a worker behind"),
        pytest.param(HIDES, "wait", ["finished", 0], id="hides even from its own user"),
        pytest.param(HIDES, "stop", ["stopped", 143], id="hides and is stopped"),
    ],
)
def test_a_job_where_others_processes_are_hidden(
    folder: Path, hidepid: int, tool: str, then: str, ended: list[object]
) -> None:
    said = as_user(["-c", RUNS, str(folder), tool, then], hidepid=hidepid)
    assert json.loads(said) == ended
    assert JobPaths(folder).exit.exists() and read_status(folder).state == ended[0]
    assert not JobPaths(folder).supervisor_log.read_text(encoding="utf-8")


def test_another_users_process_that_proc_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        seen = identify(child.pid)
        monkeypatch.setattr(process, "_entry", lambda _: None)
        unseen = identify(child.pid)
        assert unseen.ticks == 0 and is_alive(seen) and is_alive(unseen)
        elsewhere = Identity(child.pid, seen.ticks, seen.boot, "another container", seen.started)
        assert not is_alive(elsewhere), "there the number is another process's"
        monkeypatch.undo()
        assert is_alive(unseen), "shown again, it is the same"
        child.send_signal(signal.SIGKILL)
    assert not is_alive(seen) and not is_alive(unseen)
    with pytest.raises(ProcessLookupError):
        identify(child.pid)
    assert group_alive(os.getpgid(0))
