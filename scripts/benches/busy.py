"""What a training loses to other programs on a processor, with each number of threads; side by side.

    scripts/bench busy [--rounds N]

Products of a small model's step (30 layers of 576, 4 rows of 70 tokens, there and back) are timed in turns
with 1, 2, … threads, beside 0, 1, … busy programs, round after round, so that whatever else runs here
concerns all of them alike. The last column is what a training would have taken (core.machine.free_threads).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from core.machine import OtherWork, free_threads, usable_cores
from core.steps.step import engine_environment

LAYERS, WIDTH, INNER, TOKENS = 30, 576, 1536, 280
SETTLE = 1.0
BUSY = "while True: pass"


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many programs that do nothing but compute."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def measure(rounds: int) -> Iterator[str]:
    """The table, row by row as it is known."""
    import torch

    matrices = [
        torch.randn(a, b) / a**0.5 for _ in range(LAYERS) for a, b in ((WIDTH, INNER), (INNER, WIDTH))
    ]
    rows = torch.randn(TOKENS, WIDTH, requires_grad=True)

    def step() -> float:
        began, found = time.perf_counter(), rows
        for matrix in matrices:
            found = found @ matrix
        found.sum().backward()
        return time.perf_counter() - began

    cores = usable_cores()
    each = range(1, cores + 1)
    heads = " | ".join(f"{threads} thread{'s' * (threads > 1)}, ms" for threads in each)
    yield f"| busy programs | load before | {heads} | all / one | kept cores | threads taken |"
    yield "| --- " * (cores + 5) + "|"
    for count in range(cores + 1):
        load = os.getloadavg()[0]
        with neighbours(count):
            others = OtherWork()
            time.sleep(SETTLE)
            kept = others.cores()
            took: dict[int, list[float]] = {threads: [] for threads in each}
            for _ in range(rounds):
                for threads in each:
                    torch.set_num_threads(threads)
                    step()
                    took[threads].append(step())
        medians = [1000 * statistics.median(took[threads]) for threads in each]
        cells = " | ".join(f"{median:.0f}" for median in medians)
        ratio = f"{medians[-1] / medians[0]:.2f}"
        yield f"| {count} | {load:.0f} | {cells} | {ratio} | {kept:.1f} | {free_threads(kept)} |"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench busy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args(arguments)
    if os.environ.get("GOMP_SPINCOUNT") is None:  # read when torch is imported
        command = [sys.executable, "-P", "-m", "scripts.benches.busy", *arguments]
        os.execve(sys.executable, command, {**os.environ, **engine_environment()})  # nosec B606  # a list, no shell
    for line in measure(asked.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
