"""How a tool says why it gives up: in words in its log, and in a file from which its caller raises it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StorageFailed, TuneboardError, reason_of
from core.jobs.failure import leave_refusal


@contextmanager
def refusing(job: Path) -> Iterator[None]:
    """Ends the process, with the error's code and without a traceback, when the block raises one of this
    project's errors or a file could not be used."""
    try:
        yield
    except TuneboardError as error:
        _leave(job, error)
    except OSError as error:
        if error.filename is None and error.errno is None:  # not the system's own
            raise
        _leave(job, StorageFailed(path=error.filename or job, reason=reason_of(error)))


def _leave(job: Path, error: TuneboardError) -> None:
    leave_refusal(job, error)
    print(error.text(), flush=True)
    # sys.exit would wait for threads that still download.
    os._exit(error.exit_code)
