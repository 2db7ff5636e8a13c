"""A workspace of very many runs: what the Start page, the list of runs and the server's memory come to.

    scripts/bench scale [--runs N] [--live N] [--workspace DIR] [--browser]

One run is made by the command line with the fake engine; the others are copies of its folder under other
names, with files of their own where the list reads them and links elsewhere. The newest are live: their
files name this program's process, so that each look at them asks the system. With ``--workspace`` the
workspace stays, and the next call finds it. With ``--browser`` Start is used in one instead.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from core.jobs.job import JobPaths
from core.jobs.process import identify
from core.jobs.progress import JobProgress, Phase
from core.machine import this_machine
from core.run_list import RunIndex
from core.workspace.file_states import TICK
from core.workspace.paths import PROJECT, RunPaths, Workspace
from scripts.benches.held import Held
from scripts.benches.scale_page import measure_page
from scripts.benches.viewer import Viewer
from tests.browser import chromium
from tests.server import Dashboard

NAME = "Ada"
BEGINNING = datetime(2025, 1, 1)
EVERY = timedelta(minutes=40)
# What the list reads is each run's own file; what is larger, or never read there, is a link.
OWN = ("about.json", "data.json", "recipe.yaml", "result.json", "exit.json", "tool.json", "supervisor.json")
# What a run that is being trained does not have yet, and of which jobs it has no end.
NOT_YET = ("convert", "merge", "likelihood", "ask", "adapter", "merged", "result.json")
AT_WORK = ("chain", "train")
LOOKS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--live", type=int, default=1_000)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--browser", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(asked.workspace or Path(folder) / "workspace")
        began = time.monotonic()
        made = populate(workspace, asked.runs, asked.live)
        print(f"{this_machine().cores} cores, Python {platform.python_version()}, {platform.release()}")
        print(
            f"{asked.runs} runs, {asked.live} of them live; {made} made in {time.monotonic() - began:.0f} s"
        )
        if asked.browser:
            look_at(workspace)
        else:
            measure(workspace)


@dataclass(frozen=True)
class Look:
    """What one look took: seconds, of them seconds of processor, and the most memory in MB."""

    seconds: float
    processor: float
    memory: float


def measure(workspace: Workspace) -> None:
    """All that is measured of a workspace, a line each."""
    workspace.run_index.unlink(missing_ok=True)
    time.sleep(2 * TICK / 1e9)  # what has just changed is read each time
    show("runs --json, no index", [command(workspace, "--json")])
    show("runs --json", [command(workspace, "--json") for _ in range(LOOKS)])
    show("runs", [command(workspace) for _ in range(LOOKS)])
    with Dashboard(workspace.root) as server:
        server.url()
        show("Start, the server's first", [visit(server, "")])
        show("Start", [visit(server, "") for _ in range(LOOKS)])
        oldest = workspace.run_folders()[-1].name
        show("Start, the oldest run open", [visit(server, oldest) for _ in range(LOOKS)])
        index = RunIndex(workspace)
        show("search, a process's first", [taken(index.all)])
        show("search", [taken(index.all) for _ in range(LOOKS)])


def look_at(workspace: Workspace) -> None:
    """The same page in a browser, of a server that has been asked before and has no index."""
    workspace.run_index.unlink(missing_ok=True)
    with Dashboard(workspace.root) as server, chromium() as browser:
        visit(server, "")
        measure_page(browser, server, workspace.run_folders()[-1].name)


def show(name: str, looks: list[Look]) -> None:
    """The middle one of several looks."""
    seconds, processor, memory = (
        statistics.median(getattr(look, field) for look in looks)
        for field in ("seconds", "processor", "memory")
    )
    print(f"{name:27} {seconds:6.2f} s, {processor:6.2f} s of processor, {memory:4.0f} MB", flush=True)


def command(workspace: Workspace, *options: str) -> Look:
    """``scripts/run runs``, the whole process."""
    began = time.monotonic()
    process = os.posix_spawn(
        PROJECT / "scripts" / "run",
        ["scripts/run", "runs", "--workspace", str(workspace.root), *options],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(process, 0)
    if status:
        raise SystemExit(f"runs ended with {os.waitstatus_to_exitcode(status)}")
    return Look(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def visit(server: Dashboard, run: str) -> Look:
    """Until a new session's Start page is drawn."""
    before = Held.of(server)
    with Viewer(server) as viewer:
        seconds = viewer.open("", run)
    after = Held.of(server)
    return Look(seconds, after.used - before.used, after.memory)


def taken(act: Callable[[], object]) -> Look:
    """One call in this process."""
    began, before = time.monotonic(), time.process_time()
    act()
    memory = psutil.Process().memory_info().rss / 1e6
    return Look(time.monotonic() - began, time.process_time() - before, memory)


def populate(workspace: Workspace, runs: int, live: int) -> int:
    """Make what is missing of so many runs, the newest of them ``live``; returns how many were made."""
    pattern = _pattern(workspace)
    files = {file.relative_to(pattern.root): file for file in pattern.root.rglob("*") if file.is_file()}
    there = {folder.name for folder in workspace.run_folders()}
    made = 0
    for number in range(1, runs):
        run = RunPaths(workspace.runs / f"{BEGINNING + number * EVERY:%Y%m%d-%H%M%S}-person-{number}")
        at_work = number >= runs - live
        if run.id not in there:
            made += 1
            _copy(run, pattern, files, f"Person {number}", at_work)
        if at_work:
            _set_to_work(run)
    return made


def _pattern(workspace: Workspace) -> RunPaths:
    """The oldest run, made by the command line as a person makes one."""
    if not workspace.run_folders():
        subprocess.run(
            [sys.executable, "-m", "core", "tune", "--name", NAME, "--workspace", workspace.root],
            env={**os.environ, "TUNEBOARD_ENGINE": "tests.fake_engine"},
            cwd=PROJECT,
            capture_output=True,
            check=True,
        )
        made = workspace.run_folders()[0]
        made.rename(made.with_name(f"{BEGINNING:%Y%m%d-%H%M%S}-ada"))
    return RunPaths(workspace.run_folders()[-1])


def _copy(run: RunPaths, pattern: RunPaths, files: Mapping[Path, Path], name: str, at_work: bool) -> None:
    for folder in {place.parent for place in files}:
        if not (at_work and folder.parts[:1] and folder.parts[0] in NOT_YET):
            (run.root / folder).mkdir(parents=True, exist_ok=True)
    for place, file in files.items():
        if at_work and (
            place.parts[0] in NOT_YET or (place.name == "exit.json" and place.parts[0] in AT_WORK)
        ):
            continue
        if place.name in OWN:
            text = file.read_text(encoding="utf-8").replace(pattern.id, run.id)
            (run.root / place).write_text(text.replace(json.dumps(NAME), json.dumps(name)), encoding="utf-8")
        else:
            os.link(file, run.root / place)


def _set_to_work(run: RunPaths) -> None:
    """Its chain and its training are this program."""
    me, now = identify(os.getpid()).as_json(), time.time()
    for job in map(JobPaths, map(run.job, AT_WORK)):
        _write(job.tool, me)
        _write(job.supervisor, me)
        told = JobProgress(Phase.training, 40, 420, 0.1, now - 60, now, now, (now - 60, 0.0))
        _write(job.progress, asdict(told))


def _write(file: Path, value: Mapping[str, object]) -> None:
    """Without waiting for the disk, a thousand times."""
    file.write_text(json.dumps(value), encoding="utf-8")


if __name__ == "__main__":
    main()
