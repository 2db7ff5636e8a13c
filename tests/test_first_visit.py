"""The first visitors of a fresh server, at once: none may see half of a module that another is importing."""

import subprocess
import sys

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
