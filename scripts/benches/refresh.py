"""What watching a training costs: prints milliseconds, bytes and shares of a core; it passes no judgement.

    scripts/bench refresh [--points N] [--watch SECONDS]

A run of N logged points (default 1,000,000) is written into a temporary workspace. Measured are a refresh of
its charts (a new point read, made small, drawn, serialised), the run of each page's script, and with
``--watch`` the processor time of a real server while a browser looks at a training that goes on.
"""

import argparse
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import plotly.io

from core.jobs.launch import stop
from core.jobs.live import LiveCurve
from core.models.folder import read_model
from core.steps import prepare
from core.workspace.paths import RunPaths
from tests.page import open_test_page
from tests.server import Dashboard
from tests.small_run import make_run, make_workspace, start_training
from ui.jobs.charts import curve_figure

REPEATS = 20
PAGES = ("data", "config", "train")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--watch", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder))
        os.environ["TUNEBOARD_HOME"] = str(workspace.root)
        run = make_run(workspace)
        scalars = write_curve(run, options.points)
        measure_refresh(run, scalars, options.points)
        measure_pages(run)
        if options.watch:
            measure_watching(make_run(workspace, datetime(2026, 1, 2)), options.watch)


def write_curve(run: RunPaths, points: int) -> Path:
    """A log of that many points as XTuner writes it."""
    folder = run.work_dir / "20260101_000000"
    (folder / "vis_data").mkdir(parents=True)
    scalars = folder / "vis_data" / "scalars.json"
    with scalars.open("w", encoding="utf-8") as file:
        file.writelines(lines(points))
    return scalars


def lines(points: int) -> Iterator[str]:
    noise = random.Random(0)  # nosec B311  # a curve, not a secret
    for count in range(1, points + 1):
        numbers = {
            "lr": 3e-4,
            "data_time": 0.0155,
            "grad_norm": round(1 + noise.random(), 4),
            "loss": round(0.4 + 2.4 * math.exp(-4 * count / points) + 0.1 * noise.random(), 4),
            "time": round(1 + noise.random() / 10, 4),
            "memory": 9800,
        }
        yield json.dumps({**numbers, "iter": count, "step": count}) + "\n"


def measure_refresh(run: RunPaths, scalars: Path, points: int) -> None:
    curve = LiveCurve(run.work_dir)
    began = time.perf_counter()
    while (found := curve.snapshot()) is None:
        pass
    say("first reading of the whole log, in a thread", f"{time.perf_counter() - began:.1f} s")
    sent = 0
    new = lines(REPEATS)

    def refresh() -> None:
        nonlocal sent, found, points
        points += 1
        with scalars.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**json.loads(next(new)), "iter": points}) + "\n")
        found = curve.snapshot()
        if found is None or found.points != points:
            raise RuntimeError("the curve has not what was written to it")
        sent = len(plotly.io.to_json(curve_figure(found, {}), validate=False))

    say(f"refresh at {points:,} points, processor time", milliseconds(refresh))
    say("sent by a refresh", f"{sent / 1000:.1f} kB")


def measure_pages(run: RunPaths) -> None:
    for name in PAGES:
        page = open_test_page(name, run.id)
        while any("…" in info.value for info in page.info):  # the curve is being read
            page.run()
        say(f"run of the page {name}", milliseconds(lambda page=page: page.run()))  # type: ignore[misc]


def measure_watching(run: RunPaths, seconds: float) -> None:
    """A training at 10 iterations a second, each of them logged, looked at by one browser."""
    from tests.browser import chromium

    recipe = prepare.recipe_of(run).changed(iterations=100_000, log_every=1)
    model = read_model(Path(recipe.model))
    prepare.prepare(run, recipe, model, Path(recipe.data))
    start_training(run, FAKE_XTUNER_SECONDS="0.1", FAKE_XTUNER_MEMORY="9800")
    try:
        with Dashboard(Path(os.environ["TUNEBOARD_HOME"]), "--no-token") as server, chromium() as opened:
            say("the server with no page open", server_load(server, seconds))
            page = opened.new_page()
            page.goto(f"{server.url()}train?run={run.id}")
            page.get_by_text("100000").first.wait_for()
            say("the server with this training's page open", server_load(server, seconds))
    finally:
        stop(run.job("train"), by="bench", grace=1)


def server_load(server: Dashboard, seconds: float) -> str:
    import psutil

    process = psutil.Process(server.process.pid)
    time.sleep(3)
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return f"{(sum(process.cpu_times()[:2]) - before) / seconds:.2%} of one core"


def milliseconds(what: Callable[[], object]) -> str:
    taken = []
    for _ in range(REPEATS):
        began = time.process_time()
        what()
        taken.append((time.process_time() - began) * 1000)
    return f"median {statistics.median(taken):.1f} ms, most {max(taken):.1f} ms"


def say(what: str, measured: str) -> None:
    print(f"{what:55} {measured}", file=sys.stdout, flush=True)


if __name__ == "__main__":
    main()
