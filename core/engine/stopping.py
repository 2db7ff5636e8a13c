"""A training that is asked to stop (SIGTERM) ends when nothing more is lost by it, and then by that signal.

Here is when; what is kept is :mod:`core.engine.kept_on_stop`'s. A tool that heeds nothing is ended by the
signal at once, wherever it is.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

PR_SET_PDEATHSIG = 1


class Stopped(BaseException):
    """This process was asked to stop, and has kept what there was to keep. Not an Exception, which a library
    might take for one of its own."""


class StopRequest:
    """Whether somebody asked this process to stop.

    While it is ``free``, nothing is lost when it stops at once: then the asking itself raises Stopped.
    """

    def __init__(self) -> None:
        self.asked = False
        self.free = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Until the block ends, SIGTERM is a request; after what has come to its end it is none, for there is
        nothing left to stop: of several processes one that was ended there would seem to have died. Of the
        main thread alone."""
        after = signal.signal(signal.SIGTERM, self._heed)
        try:
            yield
            after = signal.SIG_IGN
        finally:
            self.free = False
            signal.signal(signal.SIGTERM, after)

    def unless_asked(self, do: Callable[[], object]) -> bool:
        """Do what a stop may break off; whether it was done to its end. Raises Stopped where nothing would be
        lost anyway."""
        before = self.free
        try:
            self.free = True
            if self.asked:
                raise Stopped
            do()
            self.free = False
        except Stopped:
            if before:
                raise
            return False
        finally:
            self.free = before
        return True

    def _heed(self, *_: object) -> None:
        first, self.asked = not self.asked, True
        if first and self.free:
            raise Stopped


STOP = StopRequest()


def stop_with_parent() -> None:
    """From here on this process is asked to stop when the one that started it has ended, by whatever: one
    of several that nobody watches any more would train on, and keep its device."""
    with suppress(OSError, AttributeError):  # another system
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def end_as_asked() -> NoReturn:
    """End this process by the signal that asked for it, as any other tool that was asked to stop ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
    raise AssertionError("unreachable")
