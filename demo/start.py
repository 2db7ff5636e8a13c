"""What the starters beside it begin: make this chat's Python environment once, on this computer and not on
the memory stick, and open the chat in the browser.

Nothing but Python's own library is imported; the words stand in settings.json, beside the app's.
"""

import hashlib
import io
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
READY = "ready"
SERVE = "serve"
# Where PyTorch's builds without a GPU's libraries are, a tenth of the size of the others.
CPU_BUILDS = "https://download.pytorch.org/whl/cpu/torch/"
GIGABYTE = 1e9
ROOM = 3 * GIGABYTE  # the packages, and what pip downloads of them
PATIENCE = 180  # seconds until the first page: a first start compiles, a stick is slow
CHINESE = 0x04  # Windows' number of the language, without its country


def main() -> int:
    """Returns the exit code; whoever began this keeps its window open after anything but 0."""
    if sys.maxsize < 2**32:
        return say("bits")
    try:
        python = environment(home() / name())
    except Missing as missing:
        return say(missing.key, **missing.values)
    return chat(python)


class Missing(Exception):
    """What is missing: a key of the words, and its values."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key, self.values = key, values


def language() -> str:
    """The computer's language if it has one of these words, else the one that the chat was made in."""
    known: dict[str, object] = SETTINGS["start"]
    asked, usual = "", str(SETTINGS["language"])
    if sys.platform == "win32":
        import ctypes

        asked = "zh" if ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF == CHINESE else "en"
    elif sys.platform == "darwin":
        with suppress(OSError):
            told = subprocess.run(["/usr/bin/defaults", "read", "-g", "AppleLocale"], capture_output=True)
            asked = told.stdout.decode(errors="replace")
    else:
        asked = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return next((one for one in known if asked.lower().startswith(one)), usual)


def say(key: str, **values: object) -> int:
    print("\n" + SETTINGS["start"][language()][key].format(**values), flush=True)
    return 1


def home() -> Path:
    """Where environments are kept. Windows' own folder for such is another one to a Python of its store."""
    try:
        if sys.platform == "win32":
            return Path.home() / ".tuneboard-chat"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "tuneboard-chat"
        named = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(named) if named.startswith("/") else Path.home() / ".cache") / "tuneboard-chat"
    except RuntimeError:  # nobody's computer: no home folder
        return Path(tempfile.gettempdir()) / "tuneboard-chat"


def name() -> str:
    """One for all chats with the same packages and the same Python."""
    told = (HERE / "requirements.txt").read_bytes() + sys.version.encode() + sys.executable.encode()
    return hashlib.sha256(told).hexdigest()[:12]


def environment(folder: Path) -> Path:
    """The environment's Python, made first where there is none or a half one. Raises Missing."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / READY
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(folder.with_suffix(".lock")):
            if not (ready.exists() and python.exists()):
                make(folder, python)
                ready.touch()
    except OSError as error:
        raise Missing("no_folder", folder=folder.parent, reason=error.strerror or error) from error
    return python


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Whoever double-clicks twice has two of these: the second waits for the first."""
    with lock.open("a+b") as file:
        said = False
        while not taken(file):
            said = said or bool(say("waiting"))
            time.sleep(1)
        yield


def taken(file: IO[bytes]) -> bool:
    """Whether nobody else has this file: from now on this process has it, until it closes it or ends."""
    with suppress(BlockingIOError, PermissionError):
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def make(folder: Path, python: Path) -> None:
    """A virtual environment with the packages. Raises Missing, OSError."""
    free = shutil.disk_usage(folder.parent).free
    if free < ROOM:
        needed, there = f"{ROOM / GIGABYTE:.0f}", f"{free / GIGABYTE:.1f}"
        raise Missing("no_room", folder=folder.parent, needed=needed, free=there)
    say("preparing", folder=folder)
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)]).returncode:
        raise Missing("no_venv")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    requirements = HERE / "requirements.txt"
    if sys.platform == "linux" and not shutil.which("nvidia-smi"):
        without_gpu(pip, requirements.read_text(encoding="utf-8").split())
    if subprocess.run([*pip, "--requirement", str(requirements)]).returncode:
        raise Missing("no_packages" if reaches(pip) else "no_network", version=sys.version.split()[0])


def reaches(pip: list[str]) -> bool:
    """Whether pip gets to any package at all, by the index and the proxy that it is set to."""
    asked = ["--dry-run", "--ignore-installed", "--no-deps", "--retries", "0", "six"]
    return not subprocess.run([*pip, *asked], capture_output=True).returncode


def without_gpu(pip: list[str], pins: list[str]) -> None:
    """PyTorch's smaller build, from what pip looks through anyway or from PyTorch's own page; where it is on
    neither, the other one comes with the rest."""
    torch = next(pin for pin in pins if pin.startswith("torch==")) + "+cpu"
    if subprocess.run([*pip, "--no-deps", torch], stderr=subprocess.DEVNULL).returncode:
        subprocess.run([*pip, "--no-deps", "--retries", "1", "--find-links", CPU_BUILDS, torch])


def chat(python: Path) -> int:
    """Show the chat in the browser: the one that is open already, else one of this process."""
    opened = home() / f"open-{hashlib.sha256(str(HERE).encode()).hexdigest()[:12]}"
    opened.parent.mkdir(parents=True, exist_ok=True)
    with opened.with_suffix(".lock").open("a+b") as lock:
        while not taken(lock):
            with suppress(OSError):
                address = opened.read_text(encoding="utf-8")
                say("opening", address=address)
                webbrowser.open(address)
                return 0
            time.sleep(0.3)  # it is starting
        try:
            return serve_until_closed(python, opened)
        finally:
            opened.unlink(missing_ok=True)


def serve_until_closed(python: Path, opened: Path) -> int:
    """Serve the chat to this computer alone until its window is closed. ``opened`` gets its address."""
    opened.unlink(missing_ok=True)  # of one that was killed
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
    }
    command = [str(python), "start.py", SERVE, *(f"--{name}={value}" for name, value in options.items())]
    own = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    address = f"http://127.0.0.1:{port}"
    say("opening", address=address)
    server = subprocess.Popen(command, cwd=HERE, env=own, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        if answers(f"{address}/_stcore/health", server):
            opened.write_text(address, encoding="utf-8")
            webbrowser.open(address)
        return server.wait() and say("ended")
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()


def serve(options: list[str]) -> None:
    """In the environment's Python: the server. It ends with whoever began it, however that ended: then nobody
    holds the other end of its input."""

    def end_too() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    Thread(target=end_too, daemon=True).start()
    sys.argv = ["streamlit", "run", "app.py", *options]
    runpy.run_module("streamlit", run_name="__main__")


def answers(address: str, server: "subprocess.Popen[bytes]") -> bool:
    """Whether the server comes up."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), direct.open(address, timeout=5):
            return True
        time.sleep(0.3)
    return False


if __name__ == "__main__":
    if sys.argv[1:2] == [SERVE]:
        serve(sys.argv[2:])
        sys.exit()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console may not know every letter
    sys.exit(main())
