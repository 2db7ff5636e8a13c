"""An engine whose one tool does what it is told: ``TUNEBOARD_ENGINE=tests.acting_engine``.

python -m tests.acting_engine merge ACTION [VALUE]
python -m tests.acting_engine worker SOCKET        with ACTING_IMPORTS: modules that it imports, by commas
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from core.engine import worker


def main(arguments: Sequence[str]) -> None:
    tool, *rest = arguments
    if tool == "worker":
        names = [name for name in os.environ.get("ACTING_IMPORTS", "").split(",") if name]
        worker.main(rest[0], main, names, "tests.acting_engine")
    else:
        print("begun", flush=True)
        ACTIONS[rest[0]](*rest[1:])


def leave(code: str) -> None:
    sys.exit(int(code))


def words() -> None:
    sys.exit("no model there")


def fall() -> None:
    raise ValueError("a bad value")


def interrupt() -> None:
    raise KeyboardInterrupt


def by_signal(number: str) -> None:
    os.kill(os.getpid(), int(number))
    time.sleep(10)


def sleep(seconds: str) -> None:
    time.sleep(float(seconds))


def stay() -> None:
    """It does not heed TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(60)


def thread() -> None:
    """Python waits for a thread at its end."""
    threading.Thread(target=lambda: (time.sleep(0.2), print("the thread is done", flush=True))).start()


def tell(file: str) -> None:
    """What the tool finds itself in."""
    listed = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
    files = {path.name: str(path.readlink()) for path in listed}
    handlers = {n.name: str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    found = {
        "environment": dict(os.environ),
        "files": files,
        "folder": str(Path.cwd()),
        "arguments": sys.argv[1:],
        "leads": os.getsid(0) == os.getpid() == os.getpgrp(),
        "handlers": handlers,
        "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "umask": os.umask(0),
        "random": os.urandom(4).hex(),
    }
    Path(file).write_text(json.dumps(found), encoding="utf-8")


ACTIONS = {
    function.__name__: function
    for function in (leave, words, fall, interrupt, by_signal, sleep, stay, thread, tell)
}

if __name__ == "__main__":
    main(sys.argv[1:])
