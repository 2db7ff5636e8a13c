"""A child with limits that is kept for many short calls: one costs a tenth of a millisecond, not a start."""

import atexit
import json
import os
import select
import subprocess
import threading
from collections.abc import Callable
from typing import Any, TextIO, cast

from core.limited.call import PATIENCE, Limits, OutOfTime, name_of, read_answer, start


class KeptChild:
    """Calls one function, for any number of threads, one after the other. A child that a call has ended is
    followed by another one."""

    def __init__(self, function: Callable[..., Any], limits: Limits) -> None:
        self._function, self._limits = name_of(function), limits
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._left: list[subprocess.Popen[str]] = []
        os.register_at_fork(after_in_child=self._leave)
        atexit.register(self._end)

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns. Raises as :func:`core.limited.call.call` does."""
        request = {"function": self._function, "arguments": arguments, "limits": self._limits.as_json()}
        line = json.dumps(request) + "\n"
        with self._lock:
            try:
                return self._ask(line)
            except BaseException:
                if self._child is not None and self._child.poll() is not None:
                    self._end()
                raise

    def _ask(self, line: str) -> Any:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = start()
        child = self._child
        asked, answers = cast("TextIO", child.stdin), cast("TextIO", child.stdout)
        try:
            asked.write(line)
            asked.flush()
            if not select.select([answers], [], [], self._limits.seconds * PATIENCE)[0]:
                raise OutOfTime
            answer = answers.readline()
        except BrokenPipeError:
            answer = ""
        except BaseException:  # an answer that nobody has read is not the next one's
            self._end()
            raise
        return read_answer(answer, None if answer else child.wait())

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _leave(self) -> None:
        """A forked process starts one of its own: this one is its parent's."""
        self._lock = threading.Lock()
        if self._child is not None:
            self._left.append(self._child)
            self._child = None
