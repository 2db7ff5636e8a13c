"""Call a function in a child process that has only so much time, memory and room.

The child gets the function's name and its arguments as JSON and answers in JSON. It inherits no secret, and
is gone when the call is over: whatever a file does to the program that reads it, the caller stays as it was.

ChildFailed                 it ended without an answer
├── OutOfTime               it took more processor time than it was given
├── OutOfMemory             it wanted more memory
└── TooMuchWritten          it wrote a larger file
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core import errors
from core.wording import spoken_language
from core.workspace.paths import PROJECT

# What a child gets of the environment: where programs and their libraries are (a Python of a cluster's
# modules does not start without), and what a test counts its lines with. Whole names: LANGCHAIN_API_KEY
# begins as LANG does.
_PASSED = {"PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "HOME"}
_OF_PYTHON = re.compile(r"PYTHON[A-Z0-9]*|COVERAGE_[A-Z_]+")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Beside another program a child gets less than a processor: seconds of the clock for one of its own.
PATIENCE = 20.0
# What a child's Python and its libraries take of the memory they are given, in bytes of addresses.
OWN_MEMORY = 1 << 29


class ChildFailed(Exception):
    """The child ended without an answer."""


class OutOfTime(ChildFailed):
    """It took more processor time than it was given."""


class OutOfMemory(ChildFailed):
    """It wanted more memory than it was given."""


class TooMuchWritten(ChildFailed):
    """It wrote a larger file than it might."""


@dataclass(frozen=True)
class Limits:
    """``seconds`` of processor time, ``memory`` in bytes beside the program's own, and ``written``: bytes of
    the largest file that it may write."""

    seconds: float
    memory: int = 1 << 30
    written: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def call(function: Callable[..., Any], *arguments: Any, limits: Limits) -> Any:
    """What a function of this project returns, called in a child; arguments and result are JSON.

    Raises what the function raises of core.errors, and ChildFailed.
    """
    request = {"function": name_of(function), "arguments": arguments, "limits": limits.as_json()}
    with start() as child:
        try:
            answer, _ = child.communicate(json.dumps(request) + "\n", timeout=limits.seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise OutOfTime from None
        finally:
            child.kill()
        return read_answer(answer, child.wait())


def start() -> "subprocess.Popen[str]":
    """A child that waits for calls, a line each, until nobody can ask it any more."""
    passed = {
        name: value for name, value in os.environ.items() if name in _PASSED or _OF_PYTHON.fullmatch(name)
    }
    return subprocess.Popen(
        [sys.executable, "-m", "core.limited.child"],
        cwd=PROJECT,
        env={**passed, **_ONE_THREAD, "TUNEBOARD_LANG": spoken_language()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def name_of(function: Callable[..., Any]) -> str:
    """How a child is told which function: by its module and its name there."""
    return f"{function.__module__}:{function.__qualname__}"


def read_answer(line: str, code: int | None) -> Any:
    """What a child answered; ``code``: how it ended, None where it goes on. Raises as :func:`call` does."""
    answer = json.loads(line) if line.endswith("\n") else _without_answer(code)
    if "error" in answer:
        raise _error(answer["error"], answer.get("values", {}))
    return answer["result"]


def _without_answer(code: int | None) -> dict[str, Any]:
    """SIGXCPU ends a child whose time is over. One that a library ended (SIGABRT, SIGSEGV) had no memory
    left, as far as that can be told."""
    if code == -signal.SIGXCPU:
        return {"error": "OutOfTime"}
    return (
        {"error": "OutOfMemory"}
        if code in {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGKILL}
        else {"error": ""}
    )


def _error(name: str, values: Mapping[str, Any]) -> Exception:
    own: dict[str, type[ChildFailed]] = {
        one.__name__: one for one in (OutOfTime, OutOfMemory, TooMuchWritten)
    }
    if name in own:
        return own[name]()
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, errors.TuneboardError):
        return known(**values)
    return ChildFailed(values.get("text", ""))
