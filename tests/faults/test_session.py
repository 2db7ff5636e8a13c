"""What a session may be like in which a run is begun: another encoding, no home, no input, a full /tmp."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import launch, make_room, wait
from core.jobs.status import State
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.conftest import RecordFault, fill_disk
from tests.faults.moments import TIMEOUT
from tests.faults.test_kills import log
from tests.small_run import NAME, make_run

pytestmark = pytest.mark.slow
# Python's own way out of a bad locale is shut as well, as in a session of GBK or Latin-1.
NO_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def asked_for(workspace: Workspace) -> RunPaths:
    """A run whose chain was asked for and never begun."""
    run = make_run(workspace)
    paths = JobPaths(run.job(CHAIN))
    paths.folder.mkdir(parents=True)
    make_room(paths, chain.plan(workspace, run, TuneRequest(NAME), "test", "en"))
    os.utime(paths.spec, (0, 0))
    return run


def tune(
    workspace: Workspace, run: RunPaths, streams: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """``tune --run`` with what a shell makes of its streams."""
    command = '"$0" -m core tune --run "$1" --workspace "$2" ' + streams
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, run.id, str(workspace.root)],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
    )


def locale_of(charmap: str, folder: Path) -> Mapping[str, str]:
    """A session's variables of a locale made here."""
    name = f"zh_CN.{charmap}" if charmap == "GBK" else f"de_DE.{charmap}"
    language = name.partition(".")[0]
    if (localedef := shutil.which("localedef")) is None:
        pytest.skip("no localedef here")
    command = [localedef, "-i", language, "-f", charmap, str(folder / name)]
    done = subprocess.run(command, capture_output=True)
    if not (folder / name).exists():
        pytest.skip(f"no such locale can be made here: {done.stderr.decode()[:200]}")
    return {"LOCPATH": str(folder), "LC_ALL": name}


@pytest.mark.parametrize("charmap", ["", "GBK", "ISO-8859-1"])
def test_its_encoding_is_not_utf_8(
    page_workspace: Workspace, tmp_path: Path, charmap: str, record_fault: RecordFault
) -> None:
    """Folders and names are what they are elsewhere; what is not a terminal gets UTF-8."""
    session = locale_of(charmap, tmp_path) if charmap else NO_UTF8
    run = asked_for(page_workspace)
    done = tune(page_workspace, run, **session)
    assert done.returncode == 0, done.stderr
    assert str(run.merged) in done.stdout and NAME in read_json(run.data)["name"]
    assert {one.name for one in page_workspace.runs.iterdir()} == {run.id}
    record_fault(
        "the session's encoding is not UTF-8 (C, GBK, Latin-1)", "", "", "the chain comes to its end"
    )


@pytest.mark.parametrize(
    ("what", "environment", "streams"),
    [
        ("the home folder cannot be written", {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/x"}, ""),
        ("input, output and errors are closed", {}, "<&- >&- 2>&-"),
        ("the time zone is unknown, PATH is empty", {"TZ": "No/Where", "PATH": "/nowhere"}, ""),
    ],
)
def test_an_odd_session(
    page_workspace: Workspace,
    what: str,
    environment: Mapping[str, str],
    streams: str,
    record_fault: RecordFault,
) -> None:
    run = asked_for(page_workspace)
    done = tune(page_workspace, run, streams, **environment)
    assert done.returncode == 0, done.stderr
    assert (read_json(run.result) or {})["learned"] == 1.0
    record_fault(what, "", "", "the chain comes to its end")


def test_the_temporary_folder_is_full(
    page_workspace: Workspace,
    small_disk: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    record_fault: RecordFault,
) -> None:
    disk = small_disk("size=1m")
    fill_disk(disk)
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.setattr(tempfile, "tempdir", None)
    run = make_run(page_workspace)
    launch(run.job(CHAIN), chain.plan(page_workspace, run, TuneRequest(NAME), "test", "en"))
    assert wait(run.job(CHAIN), poll=0.05, timeout=TIMEOUT).state is State.finished, log(run)
    record_fault("the folder for temporary files is full", "", "", "the chain comes to its end")
