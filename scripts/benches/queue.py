"""What waiting in the queue costs, and whether the order stands whoever is killed.

    scripts/bench queue [--jobs N] [--seconds S] [--kills N] [--page docs/queue.md]

Many jobs wait for the processor, which one has. Measured: what each launch takes, what all waiting
supervisors compute together in a while, and what memory they have of their own. Then waiting supervisors are
killed with kill -9, at random and one after the other, the one that has the processor ends, and the jobs run.
With ``--page`` the table is written between the page's marks.
"""

import argparse
import os
import random
import re
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.process import Identity, is_alive, read_identity
from core.jobs.status import State, read_status
from core.jobs.turn import position
from core.machine import usable_cores
from core.queue.devices import Devices
from core.workspace.files import write_text
from core.workspace.paths import PROJECT
from scripts.documents.marked import table

NANOSECONDS = 1e9
PART = re.compile(r"(<!-- scripts/bench queue -->\n).*?(<!-- end -->)", re.DOTALL)
PATIENCE = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measured = measure(Path(name), asked.jobs, asked.seconds, asked.kills)
    text = table(["what", "measured"], measured)
    print(text)
    if asked.page:
        page = asked.page.read_text(encoding="utf-8")
        write_text(asked.page, PART.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page))


def measure(workspace: Path, count: int, seconds: float, kills: int) -> list[list[str]]:
    """The rows of the table."""
    holder, jobs = workspace / "runs" / "holder" / "train", jobs_in(workspace, count)
    try:
        launch(holder, JobSpec(("sleep", "100000"), PROJECT, devices=Devices()))
        took = [launched(folder) for folder in jobs]
        time.sleep(10.0)
        share, memory = waiting_share(jobs, seconds), own_memory(jobs)
        began = time.perf_counter()
        places = [position(folder) for folder in jobs[:: max(1, count // 10)]]
        looked = (time.perf_counter() - began) / len(places)
        killed = kill_some(jobs, kills)
        stop(holder, "bench", grace=1)
        began = time.monotonic()
        ended = [wait(folder, timeout=PATIENCE) for folder in jobs]
        each = (time.monotonic() - began) / count
        order = sorted(range(count), key=lambda number: ended[number].started or 0.0)
        lost = sum(status.state is not State.finished for status in ended)
        overtook = sum(order[place] != place for place in range(count))
    finally:
        for folder in (holder, *jobs):
            with suppress(Exception):
                stop(folder, "bench", grace=0)
    return [
        [f"{count} jobs wait: all of them together", f"{share:.2%} of one core ({usable_cores()} there)"],
        ["memory that each has of its own, median", f"{memory / 1e6:.1f} MB"],
        ["a launch until it stands in line, median", f"{median(took):.2f} s"],
        ["the position of one among them", f"{looked * 1000:.1f} ms"],
        [f"killed by kill -9 at random while they waited: {killed}", f"{lost} lost, {overtook} out of order"],
        ["from the end of one to the start of the next, with its own run of nothing, mean", f"{each:.2f} s"],
    ]


def jobs_in(workspace: Path, count: int) -> list[Path]:
    return [workspace / "runs" / f"{number:04d}" / "train" for number in range(count)]


def launched(folder: Path) -> float:
    began = time.perf_counter()
    launch(folder, JobSpec(("true",), PROJECT, devices=Devices()))
    return time.perf_counter() - began


def supervisors(jobs: list[Path]) -> list[Identity]:
    found = (read_identity(JobPaths(folder).supervisor) for folder in jobs)
    return [one for one in found if one and is_alive(one)]


def waiting_share(jobs: list[Path], seconds: float) -> float:
    """Of a core, by the scheduler's own account."""
    accounts = [Path(f"/proc/{one.pid}/schedstat") for one in supervisors(jobs)]
    before = sum(computed(account) for account in accounts)
    time.sleep(seconds)
    return (sum(computed(account) for account in accounts) - before) / NANOSECONDS / seconds


def computed(account: Path) -> int:
    return int(account.read_text(encoding="ascii").split()[0])


def own_memory(jobs: list[Path]) -> float:
    """Bytes that no other process shares."""
    kept = []
    for one in supervisors(jobs):
        text = Path(f"/proc/{one.pid}/smaps_rollup").read_text(encoding="ascii")
        kept.append(1024 * sum(map(int, re.findall(r"^Private_\w+: +(\d+)", text, re.MULTILINE))))
    return median(kept)


def kill_some(jobs: list[Path], kills: int) -> int:
    """The first among them, whose place another one has to see to; returns how many were killed."""
    dice, killed = random.Random(7), 0  # nosec B311  # which are killed
    for folder in [jobs[0], *dice.sample(jobs[1:], min(kills, len(jobs)) - 1)]:
        one = read_identity(JobPaths(folder).supervisor)
        if one and is_alive(one) and read_status(folder).state is State.waiting:
            os.kill(one.pid, signal.SIGKILL)
            killed += 1
        time.sleep(dice.random() / 4)
    return killed


if __name__ == "__main__":
    main()
