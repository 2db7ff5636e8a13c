"""How a tool's process ends, and whether it is one of several that train together."""

import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn


def is_one_of_several() -> bool:
    """Whether this process trains together with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def as_a_program(do: Callable[[], None], above: str = "") -> NoReturn:
    """Do it, and end this process as Python ends a program: a fork must not go back up to where it was made.
    A failure is told without the frames of the file ``above``, where ``do`` was called from.

    The interpreter itself is not taken apart: nothing is written by that, it takes a while, and threads of
    gloo that still let go of a tensor meanwhile abort the process (torch 2.13, pytorch/pytorch#179291): of
    several processes one seemed to have died that had done all it had to.
    """
    code, interrupted = 0, False
    try:
        do()
    except SystemExit as stopped:
        code = _code_of(stopped)
    except BaseException as error:
        code, interrupted = 1, isinstance(error, KeyboardInterrupt)
        told = error.with_traceback(_below(above, error.__traceback__))
        sys.excepthook(type(told), told, told.__traceback__)
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        code = code or 120
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


def _code_of(stopped: SystemExit) -> int:
    if stopped.code is None or isinstance(stopped.code, int):
        return (stopped.code or 0) & 0xFF
    print(stopped.code, file=sys.stderr)
    return 1


def _below(file: str, found: TracebackType | None) -> TracebackType | None:
    """Without the frames of ``file`` and of this one."""
    while found and found.tb_next and found.tb_frame.f_code.co_filename in {file, __file__}:
        found = found.tb_next
    return found
