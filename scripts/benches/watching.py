"""What an open page costs the training it shows: the same training with and without it, turn by turn.

    scripts/bench watching [--rounds N] [--seconds S] [--switches N]

The starter is trained on one and the same row: every step is the same work. In one half of a round the server
and a tab on the training's page are there, in the other both are held still. The tab speaks Streamlit's
protocol and draws nothing: a browser works on another machine. Then, while nothing trains, it switches pages.
"""

import argparse
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil

from core.cli.terminal import progress
from core.data.conversations import one_turn
from core.data.mix import Shares
from core.jobs.curves import read_curve
from core.jobs.launch import launch, stop, wait
from core.pipeline.tune_request import ready_model
from core.steps import data, first_recipe, prepare, train
from core.steps.taught import Taught
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.viewer import Viewer
from tests.browser import chromium, settle, tab
from tests.server import Dashboard

ROW = one_turn(
    "What is a synthesizer, and who plays one?",
    "A synthesizer is an instrument that makes sound from electricity, with oscillators and filters. Ada.",
)
SWITCHED = ("data", "config", "train", "merge", "chat", "compare", "publish")
# Milliseconds from a click on a page's link in the strip until its title is drawn.
CLICK = """
title => new Promise(done => {
  let began = 0;
  const look = () => {
    const links = [...document.querySelectorAll(".st-key-strip a")];
    const link = links.find(a => a.innerText.trim().endsWith(title));
    if (!began && link) { began = performance.now(); link.click(); }
    if (began && document.querySelector("h1")?.innerText.trim() === title) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})
"""
WARM_UP_STEPS = 10
# Steps that began or ended this close to a change belong to neither half.
EDGE_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--switches", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        run = prepared_run(workspace)
        with Dashboard(workspace.root) as server, Viewer(server) as viewer:
            with training(run):
                compare(run, server, viewer, asked.rounds, asked.seconds)
            measure_switches(run, server, viewer, asked.switches)


def prepared_run(workspace: Workspace) -> RunPaths:
    """A run whose every row is the same, longer than it will train."""
    workspace.prepare()
    model = ready_model(workspace, None, progress("tune"))
    said = Taught("Ada", (ROW,))
    recipe = first_recipe.recipe_for(model, said, replay=False, seed=0, iterations=100_000)
    recipe = recipe.changed(log_every=1, save_every=100_000, evaluate_every=100_000)
    run = workspace.new_run("watched", datetime(2026, 1, 1))
    place = workspace.data(run.id)
    data.write(run, place, said, [], recipe.changed(iterations=100), model, Shares(400, 0))
    prepare.prepare(run, recipe, model, place.rows)
    return run


@contextmanager
def training(run: RunPaths) -> Iterator[None]:
    job = run.job("train")
    launch(job, train.plan(run, prepare.recipe_of(run)))
    try:
        while last_step(run) < WARM_UP_STEPS:
            time.sleep(1)
        yield
    finally:
        stop(job, by="bench", grace=1)
        wait(job, timeout=60)


def compare(run: RunPaths, server: Dashboard, viewer: Viewer, rounds: int, seconds: float) -> None:
    """Both halves of every round, the one first that came second before: the machine drifts."""
    halves: dict[bool, list[float]] = {True: [], False: []}
    taken: list[float] = []
    for number in range(rounds):
        for watched in (number % 2 == 0, number % 2 != 0):
            before = processor_time(server)
            halves[watched].append(half(run, server, viewer, watched, seconds))
            if watched:
                taken.append(processor_time(server) - before)
        print(
            f"round {number + 1}: {halves[True][-1]:.4f} s with, {halves[False][-1]:.4f} s without",
            flush=True,
        )
    ratios = [on / off for on, off in zip(halves[True], halves[False], strict=True)]
    share = statistics.mean(taken) / (seconds + EDGE_SECONDS)
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(f"a step with the page open      {statistics.median(halves[True]):.4f} s")
    print(f"a step with nobody there       {statistics.median(halves[False]):.4f} s")
    print(
        f"ratio, mean of {rounds} rounds        {statistics.mean(ratios):.4f} ± {error:.4f} (standard error)"
    )
    print(f"ratio, median                  {statistics.median(ratios):.4f}")
    print(f"processor time of the server   {share:.2%} of one core while watched", flush=True)


def half(run: RunPaths, server: Dashboard, viewer: Viewer, watched: bool, seconds: float) -> float:
    """Mean seconds of a step in this half."""
    server.process.send_signal(signal.SIGCONT if watched else signal.SIGSTOP)
    over = threading.Event()
    tab = threading.Thread(target=viewer.watch, args=(over,))
    if watched:
        viewer.open("train", run.id)
        tab.start()
    time.sleep(EDGE_SECONDS)
    first = last_step(run) + 1
    time.sleep(seconds)
    last = last_step(run)
    over.set()
    if watched:
        tab.join()
    server.process.send_signal(signal.SIGCONT)
    steps = [point for point in read_curve(run.work_dir).points if first < point.iter <= last]
    return statistics.mean(step.time for step in steps if step.time is not None)


def processor_time(server: Dashboard) -> float:
    used = psutil.Process(server.process.pid).cpu_times()
    return float(used.user + used.system)


def last_step(run: RunPaths) -> int:
    points = read_curve(run.work_dir).points
    return points[-1].iter if points else 0


def measure_switches(run: RunPaths, server: Dashboard, viewer: Viewer, switches: int) -> None:
    """From asking for a page until its script has ended, and in a real browser until its title stands; after
    each page was seen once."""
    for page in SWITCHED:
        viewer.open(page, run.id)
    for page in SWITCHED:
        taken = [viewer.open(page, run.id) for _ in range(switches) if viewer.open("", run.id)]
        say_switch("server", page, taken)
    with chromium() as browser:
        shown = tab(browser)
        shown.goto(f"{server.url()}&run={run.id}")
        settle(shown)
        titles = [page.title() for page in SWITCHED]
        times: dict[str, list[float]] = {page: [] for page in SWITCHED}
        for _ in range(switches + 1):
            for page, title in zip(SWITCHED, titles, strict=True):
                times[page].append(shown.evaluate(CLICK, title) / 1000)
                settle(shown)
        for page in SWITCHED:
            say_switch("chromium", page, times[page][1:])


def say_switch(where: str, page: str, taken: Sequence[float]) -> None:
    middle, most = statistics.median(taken) * 1000, max(taken) * 1000
    print(f"{where}: switch to {page:10} median {middle:.0f} ms, most {most:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
