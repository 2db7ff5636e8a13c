"""How one of several processes ends: what gloo's threads still hold then ends nobody."""

import os
import subprocess
import sys

import pytest

from core.workspace.paths import PROJECT

PAIRS = 6
# Threads of gloo that come to nothing while the main one ends still hold a tensor: as on a busy machine.
AT_THE_END = """
import os, sys
import torch, torch._dynamo
from torch import distributed
from core.engine.program import as_a_program

def train(rank, port):
    store = distributed.TCPStore("127.0.0.1", port, 2, False)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    distributed.all_reduce(torch.ones(4))
    for thread in map(int, os.listdir("/proc/self/task")):
        os.sched_setaffinity(thread, {min(os.sched_getaffinity(0))})
        if thread != os.getpid():
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    for _ in range(3):
        tensor = torch.ones(400)
        distributed.all_reduce(tensor, async_op=True).wait()
    if HOW == "fails":
        raise ValueError("no rows")

def begin(rank, store):
    do, port = (lambda: train(rank, store.port)), store.port
    if HOW != "as Python":
        as_a_program(do)
    do()
    sys.exit()

HOW, codes = sys.argv[1], []
for _ in range(int(sys.argv[2])):
    store = distributed.TCPStore("127.0.0.1", 0, 2, True, wait_for_workers=False)
    forks = []
    for rank in range(2):
        if not (fork := os.fork()):
            begin(rank, store)
        forks.append(fork)
    codes += [os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) for fork in forks]
print(*sorted(set(codes)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [("well", "0"), ("fails", "1")])
def test_gloo_ends_no_process_that_has_ended(how: str, code: str) -> None:
    """As Python ends one, torch 2.13 aborts nearly half of them here (``how`` is "as Python")."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", AT_THE_END, how, str(PAIRS)],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment,
        timeout=240,
    )
    assert found.stdout.split() == [code], found.stderr[-2000:]
    assert ("no rows" in found.stderr) == (how == "fails")
