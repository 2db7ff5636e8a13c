"""Many at once: browser sessions on one server, each watching one of several jobs that run.

    scripts/bench crowd [--sessions N] [--jobs N] [--minutes M]

The jobs are real, with their supervisors; what trains in them only writes what XTuner writes, so that the
server's work is measured and not theirs. Each session speaks Streamlit's protocol and draws nothing. A
refresh is late by the seconds from its being due until its last message has come. An error is also a tab
that the server let go of, and a sentence in red on a page.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from core.jobs.launch import stop, wait
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.viewer import Viewer
from tests.server import Dashboard
from tests.small_run import make_run, make_workspace, start_training

STEP_SECONDS = "0.3"
LOOKS = 10
PAGES = ("train", "start", "config", "")


@dataclass(frozen=True)
class Held:
    """What the server holds: MB of memory, open files, threads; and the processor seconds it has used."""

    memory: float
    files: int
    threads: int
    used: float

    @classmethod
    def of(cls, server: Dashboard) -> "Held":
        process = psutil.Process(server.process.pid)
        times = process.cpu_times()
        memory = process.memory_info().rss / 1e6
        return cls(memory, process.num_fds(), process.num_threads(), times.user + times.system)

    def __str__(self) -> str:
        return f"{self.memory:6.0f} MB  {self.files:4} files  {self.threads:4} threads"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=5.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder))
        runs = train_at_once(workspace, asked.jobs)
        try:
            with Dashboard(workspace.root) as server:
                crowd(server, runs, asked.sessions, asked.minutes * 60)
        finally:
            for run in runs:
                stop(run.job("train"), by="bench", grace=1)
                wait(run.job("train"), timeout=30)


def train_at_once(workspace: Workspace, jobs: int) -> list[RunPaths]:
    runs = [
        make_run(workspace, datetime(2026, 1, 1, 0, number), iterations=100_000) for number in range(jobs)
    ]
    for run in runs:
        start_training(run, FAKE_XTUNER_SECONDS=STEP_SECONDS)
    return runs


def crowd(server: Dashboard, runs: Sequence[RunPaths], sessions: int, seconds: float) -> None:
    """All sessions at once for so long, then a minute after the last has closed."""
    server.url()
    print(f"nobody there      {Held.of(server)}", flush=True)
    over, late, failed = threading.Event(), list[float](), list[str]()
    tabs = [
        threading.Thread(
            target=sit, args=(server, runs[n % len(runs)], PAGES[n % len(PAGES)], over, late, failed)
        )
        for n in range(sessions)
    ]
    for tab in tabs:
        tab.start()
    began, before = time.monotonic(), Held.of(server)
    for look in range(LOOKS):
        time.sleep(max(0.0, began + seconds * (look + 1) / LOOKS - time.monotonic()))
        print(f"{time.monotonic() - began:5.0f} s           {Held.of(server)}", flush=True)
    used = (Held.of(server).used - before.used) / (time.monotonic() - began)
    over.set()
    for tab in tabs:
        tab.join()
    time.sleep(60)
    print(f"a minute after    {Held.of(server)}")
    print(f"{len(late)} refreshes by {sessions} sessions, {len(failed)} errors {failed[:3]}")
    if late:
        cuts = statistics.quantiles(late, n=100)
        print(f"late by           median {cuts[49]:.2f} s, 95 % {cuts[94]:.2f} s, most {max(late):.2f} s")
    print(f"the server takes  {used:.0%} of one core")


def sit(
    server: Dashboard,
    run: RunPaths,
    page: str,
    over: threading.Event,
    late: list[float],
    failed: list[str],
) -> None:
    try:
        with Viewer(server) as viewer:
            viewer.open(page, run.id)
            viewer.watch(over)
            late += viewer.late
            failed += viewer.complaints
            if not over.is_set():
                failed.append(f"closed: {page}")
    except Exception as error:
        failed.append(repr(error))


if __name__ == "__main__":
    main()
