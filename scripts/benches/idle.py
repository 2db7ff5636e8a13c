"""What is done over and over while nobody looks, and must cost next to nothing.

    scripts/bench idle [--seconds S] [--points N] [--runs N]

A supervisor whose tool sleeps; a curve of many points, read on and looked at again; the last lines of a log
of 5 GB; the list of all runs; the dashboard from its start to the address it prints.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from core.jobs.curves import CurveReader
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.process import read_identity
from core.jobs.tail import last_lines
from core.run_list import list_runs
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, Workspace
from tests.server import Dashboard

NANOSECONDS = 1e9
SETTLE_SECONDS = 0.5
HUGE_LOG_BYTES = 5 << 30
STEPS = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        share = supervisor_share(folder / "job", asked.seconds)
        print(f"a supervisor                   {share:.4%} of one core (aim: below 0.1 %)", flush=True)
        measure_curve(folder / "work_dir", asked.points)
        log = folder / "log"
        with log.open("wb") as file:
            file.truncate(HUGE_LOG_BYTES)
            file.seek(0, os.SEEK_END)
            file.write(b"\nlast\nwords\n")
        print(f"last lines of a log of 5 GB    {taken(lambda: last_lines(log, 2)) * 1000:.1f} ms")
        measure_runs(Workspace(folder / "workspace"), asked.runs)
        began = time.monotonic()
        with Dashboard(folder / "other" / "workspace") as server:
            server.url()
        print(f"the dashboard's start          {time.monotonic() - began:.1f} s, its end included")


def taken(act: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    began = time.process_time()
    act()
    return time.process_time() - began


def supervisor_share(job: Path, seconds: float) -> float:
    """The share of a core, by the scheduler's own account in nanoseconds."""
    launch(job, JobSpec(("sleep", "1000"), PROJECT, {}, "bench", ""))
    supervisor = read_identity(JobPaths(job).supervisor)
    if supervisor is None:
        raise SystemExit("the supervisor did not start")
    account = Path(f"/proc/{supervisor.pid}/schedstat")
    time.sleep(SETTLE_SECONDS)
    before = int(account.read_text(encoding="ascii").split()[0])
    time.sleep(seconds)
    after = int(account.read_text(encoding="ascii").split()[0])
    stop(job, by="bench", grace=1)
    wait(job, timeout=60)
    return (after - before) / NANOSECONDS / seconds


def measure_curve(work_dir: Path, points: int) -> None:
    """A poll of the first and of the last part, and one with nothing new."""
    file = work_dir / "20260101_000000" / "vis_data" / "scalars.json"
    file.parent.mkdir(parents=True)
    reader, polls, part = CurveReader(work_dir), [], points // STEPS
    for begin in range(0, part * STEPS, part):
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(
                json.dumps({"lr": 1e-4, "loss": 1.0, "time": 0.5, "iter": number, "step": number}) + "\n"
                for number in range(begin, begin + part)
            )
        polls.append(taken(reader.poll))
    print(f"{part} points of a curve       first {polls[0] * 1000:.0f} ms, last {polls[-1] * 1000:.0f} ms")
    print(f"a look when nothing is new     {taken(reader.poll) * 1000:.1f} ms", flush=True)


def measure_runs(workspace: Workspace, count: int) -> None:
    for number in range(count):
        run = workspace.new_run("x", datetime(2026, 1, 1) + timedelta(days=number))
        paths = JobPaths(run.job("train"))
        paths.folder.mkdir()
        write_json(paths.spec, JobSpec(("true",), PROJECT, {}, "bench", "").as_json())
        write_json(paths.exit, {"code": 0, "signal": None, "reason": "finished", "started": 0, "ended": 1})
    listed = taken(lambda: list_runs(workspace))
    print(f"the list of {count} runs           {listed * 1000:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
