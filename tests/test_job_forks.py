"""The process that the tests fork their jobs from."""

import os
import socket
from pathlib import Path

import pytest

from core.jobs.job import JobSpec
from core.jobs.launch import launch, wait
from core.jobs.status import State
from tests.job_forks import VARIABLE


@pytest.mark.parametrize("said", [b"", b'{"folder": "/', b'{"folder": "/nowhere", "environment": {}}\n'])
def test_it_outlives_whoever_is_killed_while_asking(tmp_path: Path, said: bytes) -> None:
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(os.environ[VARIABLE])
            asking.sendall(said)
    launch(tmp_path / "job", JobSpec(("/bin/true",), Path("/")))
    assert wait(tmp_path / "job", timeout=60).state is State.finished
