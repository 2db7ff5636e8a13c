"""A server's beginning and end: the first visitors come at once, and the last page's thread never ends."""

import subprocess
import sys

import pytest

from core.workspace.paths import PROJECT

# Two sessions' threads: one page draws a table, the other a chart.
VISITORS = """
import sys, threading
from plotly import graph_objects as go
wrong = []
def visit(work):
    try:
        work()
    except BaseException as error:
        wrong.append(repr(error))
def table():
    import pandas
    pandas.DataFrame({"a": [1]})
def chart():
    while "pandas" not in sys.modules: pass
    go.Figure(go.Scatter(x=[1], y=[2]))
threads = [threading.Thread(target=visit, args=(work,)) for work in (chart, table)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong)
"""
OPENED = """
import asyncio
from ui.shell import door
from ui.shell.access import Access
async def open_door():
    async with door.greet(Access())(None):
        pass
asyncio.run(open_door())
"""


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_server_is_not_open_before_everything_is_imported() -> None:
    assert python(OPENED + VISITORS) == "[]"


def test_this_is_what_they_would_see() -> None:
    """Python 3.11 and plotly 7.1; when this fails, importing ahead may no longer be needed."""
    assert "partially initialized module" in python(VISITORS)


# A server that hears that it shall end, and a thread of a page that keeps it.
KEPT = """
import os, signal, threading, time
from ui.shell import door
door.EXIT_SECONDS = 0.3
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
door.end_in_time(lambda: None)
threading.Thread(target=time.sleep, args=(60,)).start()
os.kill(os.getpid(), signal.SIGTERM)
print(heard, flush=True)
"""


@pytest.mark.timeout(30)
def test_a_thread_that_never_ends_keeps_no_server() -> None:
    done = subprocess.run([sys.executable, "-c", KEPT], cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (128 + 15, "[1]\n"), done.stderr
