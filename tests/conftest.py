"""What tests share."""

import gc
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from core import machine
from core.jobs.process import is_alive, read_identity
from core.machine import this_machine
from core.wording import SPOKEN
from core.workspace.paths import Workspace
from tests import fast_engine, job_forks
from tests.engine_forks import engine_forks
from tests.forked_engine import SOCKET_VARIABLE, THREADS_VARIABLE
from tests.holding import Held
from tests.known_answers import know_answers
from tests.small_model import make_small_model
from tests.small_run import make_workspace, stop_jobs

# What tests start a hundred times over is compiled once, whatever the shell says that they were started in.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# What a page shows depends on no network.
os.environ["TUNEBOARD_HUB_CHECK"] = "0"
job_forks.install()
# Of a script that a shell started in the background, every child ignores Ctrl+C; the tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# As scripts/test --fast chooses its tests.
ONLY_FAST = "not slow"
# A module that is slow as a whole says so once, on the line of its marks or the first of their lines.
WHOLLY_SLOW = re.compile(r"^pytestmark = (?:\[\n)?.*pytest\.mark\.slow", re.MULTILINE)


# Files that take longest: begun first, none of them is what one worker is still at when the other has ended.
LONGEST = (
    "test_chain_real.py",
    "test_families_real.py",
    "test_engine_fast_ahead.py",
    "test_tune_imported.py",
    "test_engine_fast_real.py",
    "test_adopt_real.py",
    "test_publish_gguf.py",
    "test_engine_train.py",
    "test_walk.py",
    "test_publish_openxlab.py",
    "test_publish_hubs.py",
    "test_models_import.py",
    "test_engine_unsloth.py",
    "test_engine_fast.py",
    "test_start.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; pytest's own order otherwise."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Thousands of tests and what they import are no garbage; to look through them each time takes longer
    than many a test."""
    gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where slow tests are left out, modules of nothing else are not even imported: torch takes seconds."""
    if config.option.markexpr != ONLY_FAST or collection_path.suffix != ".py":
        return None
    return bool(WHOLLY_SLOW.search(collection_path.read_text(encoding="utf-8"))) or None


class RecordFault(Protocol):
    """Keeps a row of docs/reliability.md's tables, as plain text, which any worker can send on: what was
    done, to whom, when (:class:`tests.faults.moments.Moment`; empty where that is no matter), and what came
    of it."""

    def __call__(self, what: str, whom: str, moment: str, seen: str) -> None: ...


@pytest.fixture
def record_fault(record_property: Callable[[str, object], None]) -> RecordFault:
    """Tests that ask for it are those that ``python -m tests.faults.record`` runs."""
    return lambda what, whom, moment, seen: record_property("fault", [*map(str, (what, whom, moment, seen))])


@pytest.fixture(autouse=True)
def _nobody_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of a time depends on what else this machine does; here that is nothing."""
    monkeypatch.setattr(machine.NEIGHBOURS, "cores", lambda *_: 0.0)
    monkeypatch.setattr(machine, "slowdown_on", lambda *_: 1.0)


@pytest.fixture(autouse=True)
def _nobody_has_spoken() -> None:
    """A page of an earlier test leaves its language behind."""
    SPOKEN.set(None)


@pytest.fixture(scope="session", autouse=True)
def _nobodys_places(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where tests had their workspaces is not written down among those of whoever runs them."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(autouse=True)
def _nobodys_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor waits a test for a device that another one's job has."""
    monkeypatch.setenv("XDG_STATE_HOME", f"{os.environ['XDG_STATE_HOME']}/{secrets.token_hex(8)}")


@pytest.fixture(scope="session", autouse=True)
def _fast_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Among fast tests alone, what their modules share has the fast engine too."""
    with pytest.MonkeyPatch.context() as patch:
        if request.config.option.markexpr == ONLY_FAST:
            fast_engine.put(patch, tmp_path_factory.getbasetemp() / "refused")
            patch.setenv(job_forks.VARIABLE, job_forks.job_forks())
        yield


@pytest.fixture(autouse=True)
def _engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Slow tests start the engine by a fork of a process that has imported torch and XTuner; fast ones start
    the fast engine, and one that imports torch itself, or starts what only the real one has, fails."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.node.get_closest_marker("slow"):
            refused, with_torch = tmp_path_factory.getbasetemp() / "refused", "torch" in sys.modules
            fast_engine.put(patch, refused)
            if request.node.get_closest_marker("real_start"):
                patch.delenv(job_forks.VARIABLE, raising=False)
            else:
                patch.setenv(job_forks.VARIABLE, job_forks.job_forks())
            yield
            assert not (asked := fast_engine.asked_for(refused)), f"a fast test started the engine: {asked}"
            assert with_torch or "torch" not in sys.modules, "a fast test imported torch"
            return
        if not request.node.get_closest_marker("real_start"):
            workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
            patch.setenv(SOCKET_VARIABLE, engine_forks().socket)
            patch.setenv(THREADS_VARIABLE, str(max(1, this_machine().cores // workers)))
            patch.setenv("TUNEBOARD_ENGINE", "tests.forked_engine")
        yield


@pytest.fixture(scope="session", autouse=True)
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model; nobody writes to it. The fast engine copies it instead of making another one."""
    made = make_small_model(tmp_path_factory.mktemp("模 型") / "m '1'")
    os.environ["FAKE_ENGINE_MODEL"] = str(made)
    return made


@pytest.fixture(scope="session")
def answered(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Workspace:
    """Where the model has answered all that a run asks; nobody writes to it."""
    found = Workspace(tmp_path_factory.mktemp("answered"))
    know_answers(found, model)
    return found


@pytest.fixture
def workspace(tmp_path: Path, answered: Workspace) -> Iterator[Workspace]:
    """A workspace in which the model has answered before: making data needs no job."""
    found = Workspace(tmp_path / "工作 区" / "a b")
    shutil.copytree(answered.root, found.root)
    yield found
    end_leftovers(tmp_path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages find; nothing that runs in it outlives the test."""
    found = make_workspace(tmp_path)
    monkeypatch.setenv("TUNEBOARD_HOME", str(found.root))
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    yield found
    stop_jobs(found)


@pytest.fixture
def page_workspace(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The same with the fast engine."""
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    return home


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    """Every training stands still in its middle, until somebody lets it go on."""
    found = Held("step", tmp_path / "held")
    found.put(monkeypatch)
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of its own, mounted with the options given (``size=4m,ro``)."""
    folder = tmp_path / "小 盘"
    folder.mkdir()
    mounted = []

    def mount(options: str) -> Path:
        line = ["/bin/mount", "-t", "tmpfs", "-o", options, "tuneboard", str(folder)]
        with suppress(FileNotFoundError):
            if subprocess.run(line, capture_output=True).returncode == 0:
                mounted.append(folder)
                return folder
        pytest.skip("only root can mount a small disk")

    yield mount
    if mounted:
        end_leftovers(folder)
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path, left: int = 0) -> Path:
    """Fill the disk of ``folder`` but for ``left`` bytes; what fills it."""
    path = folder / "filler"
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    if left:
        os.truncate(path, max(0, path.stat().st_size - left))
    return path


def end_leftovers(folder: Path) -> None:
    """Kill whatever a failed test leaves running."""
    for name in ("supervisor.json", "tool.json"):
        for file in folder.rglob(name):
            if (left := read_identity(file)) and left.pid != os.getpid() and is_alive(left):
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.killpg(left.pid, signal.SIGKILL)
