"""``python -m core.limited.child``: calls functions within limits; each is a line of JSON."""

import errno
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TextIO

from core.errors import TuneboardError
from core.limited.call import OWN_MEMORY


def main() -> None:
    """Answer until nobody asks any more. What a function prints goes nowhere."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        _answer(json.loads(line), answers)


def _answer(request: Mapping[str, Any], answers: TextIO) -> None:
    try:
        function = _function(request["function"])
        _limit(**request["limits"])
        answer = json.dumps({"result": function(*request["arguments"])})
    except BaseException as error:  # whatever a file makes its reader trip over
        answer = json.dumps(_told(error), default=str)
    answers.write(answer + "\n")
    answers.flush()


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found


def _limit(seconds: float, memory: int, written: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 1)
    _lower(resource.RLIMIT_AS, OWN_MEMORY + memory)
    _lower(resource.RLIMIT_FSIZE, written)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(what: int, limit: int) -> None:
    """A user's own limit (ulimit) may be lower; the next call may have another one."""
    _, most = resource.getrlimit(what)
    resource.setrlimit(what, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TuneboardError):
        return {"error": type(error).__name__, "values": error.values}
    if isinstance(error, MemoryError) or "failed to map segment" in str(error):
        return {"error": "OutOfMemory"}
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return {"error": "TooMuchWritten"}
    return {"error": "ChildFailed", "values": {"text": f"{type(error).__name__}: {error}"[:200]}}


if __name__ == "__main__":
    main()
