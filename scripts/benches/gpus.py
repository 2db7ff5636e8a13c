"""One training on several devices of this machine: tokens a second beside one device, memory on each, going
on with more or fewer of them, a process that is killed, and trainings that wait for devices in the queue.

    scripts/bench gpus [--devices 1,2] [--runs NAME,…] [--setting 8x512] [--json FILE] [--shape NAME] …
    scripts/bench gpus --small --json FILE
    scripts/bench gpus --read FILE [FILE …] [--figure FILE] [--page docs/performance.md]

A model of random weights (by default of InternLM-7B's shape; ``--layers`` and the like make it smaller) is
written into a temporary workspace; every row is a training of its own processes, as the train page starts it.
Each device has the same batch, so that the efficiency is tokens a second over N times those of one device
with the same settings in the same session; its row may be of another call with the same ``--json``. Rows are
packed, so that each token counts. Of the fast path the speed is its own meter's at the end, of XTuner alone
the median of the logged iterations after the first ``SKIPPED``. Memory is torch's peak on the first device.
``sweep`` is of the starter: whole chains, its own rows and proofs.

Each row is added to ``--json`` as it ends, so that a machine that is taken away costs one row; ``--patience``
ends one that stands still. ``--read`` makes tables and figure of such files; into a page of this project go
only those of GPUs.

Without a GPU the devices are processes, which divide the cores: nothing is faster there, but all of it runs,
with ``--small`` in minutes.
"""

import argparse
import json
import math
import os
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from core.cli.terminal import progress
from core.data.conversations import write_rows
from core.errors import TuneboardError
from core.jobs.curves import CurveReader, read_curve
from core.jobs.failure import why_failed
from core.jobs.job import JobPaths
from core.jobs.launch import launch, stop, wait
from core.jobs.process import read_identity
from core.jobs.progress import job_progress
from core.jobs.status import State, Status, is_live, read_status
from core.jobs.turn import line_in
from core.machine import this_machine
from core.models.folder import Model
from core.pipeline.tune import make_data
from core.pipeline.tune_request import TuneRequest
from core.queue.line import Line
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps import dividing, prepare, resuming, train
from core.steps.step import raise_unless_finished
from core.sweep.conduct import Conductor
from core.sweep.job import view
from core.sweep.sweep import begin, planned
from core.workspace.paths import RunPaths, Workspace
from scripts.benches.gpu import first, texts
from scripts.benches.gpus_table import draw, fill, read, tables
from scripts.benches.memory import MIB, add_shape_options, enough_rows, make_model

SKIPPED = 8
BF16: Mapping[str, Any] = {"quantization": "none"}
QLORA: Mapping[str, Any] = {"quantization": "nf4", "activation_checkpointing": True}
PLAIN: Mapping[str, Any] = {"accelerate": "off"}
FULL: Mapping[str, Any] = {
    "method": "full",
    "activation_checkpointing": True,
    "lr": 1e-5,
    "target_modules": (),
    "accelerate": "off",
}
# By name; those on one device as well, but for what does not fit it.
RUNS: Mapping[str, Mapping[str, Any]] = {
    "bf16_fast": BF16,
    "qlora_fast": QLORA,
    "bf16_plain": {**BF16, **PLAIN},
    "bf16_zero2": {**BF16, "deepspeed": "zero2"},
    "bf16_zero3": {**BF16, "deepspeed": "zero3"},
    "qlora_plain": {**QLORA, **PLAIN},
    "qlora_zero2": {**QLORA, "deepspeed": "zero2"},
    "full_zero3": {**FULL, "deepspeed": "zero3"},
}
TOGETHER_ONLY = {"full_zero3"}
# Not quantized; without a GPU they are trained in float32.
ON_A_PROCESSOR = ("bf16_fast", "bf16_plain", "bf16_zero2", "bf16_zero3", "full_zero3")
# What is nothing but a checkpoint of all weights and their moments is not written.
UNSAVED = {"full_zero3"}
FAST = {"bf16_fast", "qlora_fast"}
# Of a run whose losses are compared, and after how many updates it is stopped the first time and the second.
UPDATES, STOPS = 120, (8, 16)
TRAININGS = 8
# Of a sweep: parts of the rate and multiples of the iterations that the starter's recipe has.
RATES, LENGTHS = (0.25, 0.5, 0.75, 1.0), (1, 2)
SMALL: Mapping[str, Any] = {
    "layers": 2,
    "hidden": 128,
    "inner": 256,
    "vocabulary": 1024,
    "setting": "2x64",
    "iterations": 12,
    "rank": 4,
}


@dataclass(frozen=True)
class Bench:
    """Where it is measured, and how."""

    workspace: Workspace
    model: Model
    options: argparse.Namespace

    @property
    def devices(self) -> int:
        """The most that are measured."""
        return max(map(int, self.options.devices))

    def recipe(self, devices: int, values: Mapping[str, Any]) -> Recipe:
        batch, _, length = self.options.setting.partition("x")
        cuda = bool(this_machine().gpus)
        base = Recipe(
            model=str(self.model.folder),
            data="rows.jsonl",
            template="qwen_chat",
            device="cuda" if cuda else "cpu",
            precision="bf16" if cuda else "fp32",
            rank=self.options.rank,
            iterations=self.options.iterations,
            batch_size=int(batch),
            max_length=int(length),
            log_every=10 if cuda else 1,
            save_every=self.options.iterations,
            pack=True,
            compile="layers" if cuda else "none",
            padding_free=False,
            devices=devices,
        )
        return base.changed(**values)

    def prepared(self, recipe: Recipe, name: str, fast: bool = False) -> RunPaths:
        """A run that is ready to train; ``fast`` makes a processor take the fast path too."""
        run = self.workspace.new_run(name, datetime.now())
        rows = self.workspace.data(run.id).rows
        write_rows(rows, texts(recipe.ranks * enough_rows(recipe), same=False))
        prepare.prepare(run, recipe, self.model, rows)
        config = run.config.read_text(encoding="utf-8")
        if fast and recipe.device == "cpu":
            run.config.write_text(
                config.replace("\nacceleration = None\n", "\nacceleration = {'padding_free': False}\n")
            )
        return run

    def train(self, run: RunPaths, until: int | None = None) -> float:
        """Train to the end, or kill it after iteration ``until``; the seconds it took. Raises StepFailed, and
        TimeoutError for one that stands still."""
        job, began = run.job("train"), time.monotonic()
        launch(job, train.plan(run, prepare.recipe_of(run)))
        if until is not None:
            await_iteration(run, until, self.options.patience)
            stop(job, by="bench", grace=0)
        status = wait(job, timeout=self.options.patience)
        if is_live(job):
            stop(job, by="bench", grace=5)
            wait(job)
            raise TimeoutError(f"not done after {self.options.patience} s")
        if until is None or status.state is not State.stopped:
            raise_unless_finished("train", job, status)
        return time.monotonic() - began


def main() -> None:
    asked = _options()
    if not asked.read:
        _measure(asked)
    records = read(asked.read or [file for file in [asked.json] if file and file.exists()])
    if asked.read:
        print(tables(records))
    if asked.figure:
        draw(records, asked.figure)
    if asked.page:
        fill(asked.page, records)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_shape_options(parser)
    gpus = this_machine().gpus
    runs = [*(RUNS if gpus else ON_A_PROCESSOR), *EVENTS]
    if not gpus:
        runs.remove("sweep")
    parser.add_argument("--devices", type=_numbers, default=[1, max(2, len(gpus))], metavar="N,…")
    parser.add_argument("--runs", default=",".join(runs), metavar="NAME,…")
    parser.add_argument("--setting", default="8x512", metavar="BATCHxLENGTH")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--small", action="store_true", help="a tiny model and few iterations")
    parser.add_argument("--folder", metavar="DIR", help="where the model is made, kept for the next time")
    parser.add_argument("--patience", type=float, default=280, metavar="SECONDS", help="for each training")
    parser.add_argument("--json", type=Path, help="a line for each row, added as it ends")
    parser.add_argument("--read", nargs="+", type=Path, default=[], help="only tell what these files hold")
    parser.add_argument("--figure", type=Path, help="tokens a second, as SVG")
    parser.add_argument("--page", type=Path, help="put the tables between its two comments")
    if parser.parse_args().small:
        parser.set_defaults(**SMALL)
    return parser.parse_args()


def _numbers(said: str) -> list[int]:
    return [int(number) for number in said.split(",")]


def _measure(options: argparse.Namespace) -> None:
    gpus = this_machine().gpus
    most = max(options.devices)
    machine = f"{len(gpus)} × {gpus[0].name}" if gpus else f"{most} processes on a processor"
    about = {
        "machine": machine,
        "gpus": bool(gpus),
        "date": datetime.now().date().isoformat(),
        "versions": prepare.versions(),
    }
    measured_here = []
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace.of(options.folder or temporary)
        bench = Bench(workspace, make_model(workspace, options), options)
        for name in filter(None, options.runs.split(",")):
            found = told(bench, name) if name in EVENTS else scaled(bench, name)
            for record in found:
                whole = {**about, "setting": options.setting, **record}
                if options.json:
                    with options.json.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(whole) + "\n")
                measured_here.append(whole)
                print(json.dumps(record), flush=True)
    print(tables(measured_here))


def scaled(bench: Bench, name: str) -> Iterator[dict[str, Any]]:
    """A row for each number of devices."""
    for devices in bench.options.devices:
        if devices == 1 and name in TOGETHER_ONLY:
            continue
        values, until = dict(RUNS[name]), None
        if name in UNSAVED:
            until = bench.options.iterations
            values |= {"iterations": 10 * until, "save_every": 10 * until}
        record: dict[str, Any] = {"kind": "speed", "name": name, "devices": devices}
        began = time.monotonic()
        try:
            run = bench.prepared(bench.recipe(devices, values), f"{name} {devices}", name in FAST)
            seconds = bench.train(run, until)
        except (TuneboardError, TimeoutError) as error:
            yield {**record, "failed": _in_a_line(error), "seconds": time.monotonic() - began}
            continue
        yield {**record, "seconds": seconds, **measured(run)}


def measured(run: RunPaths) -> dict[str, float | None]:
    """Tokens a second on all devices; torch's peak in bytes, where there is one; seconds to the first step;
    and the last loss that was logged, by which a way that computes something else is seen."""
    recipe = prepare.recipe_of(run)
    reader = CurveReader(run.work_dir)
    reader.poll()
    columns = {name: values.tolist() for name, values in reader.columns().items()}
    peaks = [value * MIB for value in columns.get("memory", []) if not math.isnan(value)]
    own = [value for value in columns.get("tokens_per_second", []) if not math.isnan(value)]
    seconds = statistics.median(columns["time"][SKIPPED // recipe.log_every + 1 :] or columns["time"])
    speed = own[-1] if own else recipe.rows_at_once * recipe.max_length / seconds
    return {
        "tokens_per_second": speed,
        "memory": max(peaks, default=None),
        "first": first(run, seconds),
        "loss": columns["loss"][-1],
        "iterations": int(columns["iter"][-1]),
    }


def told(bench: Bench, name: str) -> Iterator[dict[str, Any]]:
    """The row of one of the ``EVENTS``."""
    record, began = {"kind": name, "devices": bench.devices}, time.monotonic()
    try:
        found = EVENTS[name](bench)
    except (TuneboardError, TimeoutError, ValueError) as error:
        found = {"failed": _in_a_line(error)}
    yield {**record, "seconds": time.monotonic() - began, **found}


def resumed(bench: Bench) -> dict[str, Any]:
    """All devices, then one, then all again: the losses beside those of one training that was not stopped."""
    values = {**BF16, "log_every": 1, "iterations": UPDATES, "save_every": UPDATES, "lr": 1e-4}
    recipe = bench.recipe(bench.devices, values)
    whole, run = bench.prepared(recipe, "whole"), bench.prepared(recipe, "resumed")
    bench.train(whole)
    for devices, until in zip((bench.devices, 1, bench.devices), (*STOPS, None), strict=True):
        _go_on(bench, run, devices, until)
    losses = [{point.iter: point.loss for point in read_curve(one.work_dir).points} for one in (whole, run)]
    # One device logs a part of an update, so that only what all of them did after it compares.
    if (late := _logged_last(run))[0] <= STOPS[-1]:
        raise ValueError("it was over before it was stopped: take a larger model")
    apart = max(abs((losses[0][at] or 0) - (losses[1][at] or 0)) for at in late)
    kept = resuming.resumable(run)
    return {"updates": UPDATES, "kept": kept.iteration if kept else 0, "apart": apart, "losses": losses}


def _logged_last(run: RunPaths) -> list[int]:
    """The iterations that the last start of a training logged."""
    log = max(run.work_dir.glob("*/vis_data/scalars.json"))
    return [json.loads(line)["step"] for line in log.read_text(encoding="utf-8").splitlines() if line]


def _go_on(bench: Bench, run: RunPaths, devices: int, until: int | None) -> None:
    """On so many devices, up to the end or until an update is done."""
    dividing.put_on(run, devices)
    now, last, job = prepare.in_line(run), resuming.going_on(run), run.job("train")
    launch(job, train.plan(run, now, last.checkpoint if last else None))
    if until is not None:
        await_iteration(run, until * now.gradient_accumulation_steps, bench.options.patience)
        stop(job, by="bench")
    status = wait(job, timeout=bench.options.patience)
    if until is None or status.state is not State.stopped:
        raise_unless_finished("train", job, status)


def killed(bench: Bench) -> dict[str, Any]:
    """SIGKILL of the last process within a step."""
    rank = bench.devices - 1
    recipe = bench.recipe(bench.devices, {**BF16, "iterations": 200, "save_every": 200, "pack": False})
    run = bench.prepared(recipe, "killed")
    job = run.job("train")
    launch(job, train.plan(run, prepare.recipe_of(run)))
    await_iteration(run, 3, bench.options.patience)
    tool = read_identity(JobPaths(job).tool)
    there = psutil.Process(tool.pid).children(recursive=True) if tool else []
    victims = [one for one in there if _rank_of(one) == rank]
    began = time.monotonic()
    for victim in victims:
        os.kill(victim.pid, signal.SIGKILL)
    status = wait(job, timeout=bench.options.patience)
    why, ended_after = why_failed(job, status), time.monotonic() - began
    if not victims:
        raise ValueError(f"no process of rank {rank}: {why.text('en') if why else status.state}")
    left = sum(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in there)
    said = _in_a_line(why.text("en")) if why else str(status.state)
    return {"rank": rank, "ended_after": ended_after, "left": left, "said": said}


def _rank_of(process: psutil.Process) -> int | None:
    """Of one that trains."""
    try:
        return int(process.environ()["RANK"]) if "train" in process.cmdline() else None
    except (psutil.Error, KeyError):
        return None


def queued(bench: Bench) -> dict[str, Any]:
    """Several trainings of one device each, asked for at once: the queue gives each the next free one."""
    runs = [
        bench.prepared(bench.recipe(1, {**BF16, "lr": 1e-5 * (number + 1)}), f"queued {number}")
        for number in range(TRAININGS)
    ]
    began, on = time.monotonic(), dict[str, str]()
    for run in runs:
        launch(run.job("train"), train.plan(run, prepare.recipe_of(run)))
    line = line_in(bench.workspace.root)
    while any(is_live(run.job("train")) for run in runs):
        on |= _devices_of(line)
        if time.monotonic() - began > TRAININGS * bench.options.patience:
            break
        time.sleep(0.2)
    seconds = time.monotonic() - began
    ended = [read_status(run.job("train")) for run in runs]
    if bad := [run.id for run, status in zip(runs, ended, strict=True) if status.state is not State.finished]:
        raise ValueError(f"not finished: {', '.join(bad)}")
    return _at_once(ended, seconds, on)


def swept(bench: Bench) -> dict[str, Any]:
    """A sweep of the starter as the command line makes it, each trial a chain with its proof: by what the
    recipe of the page comes to with other rates and lengths."""
    base = make_data(bench.workspace, TuneRequest("Lin Xiaoman"), progress("tune"))
    recipe = prepare.recipe_of(base)
    over = [f"lr={','.join(str(recipe.lr * part) for part in RATES)}"]
    over += [f"iterations={','.join(str(round((recipe.iterations or 0) * times)) for times in LENGTHS)}"]
    place = begin(bench.workspace, planned(base, recipe, tuple(over), prune=False))
    shown = progress("sweep")
    shown.stage("sweep")
    conductor = Conductor(bench.workspace, place, shown)
    line, began, on = line_in(bench.workspace.root), time.monotonic(), dict[str, str]()
    while conductor.look():
        on |= _devices_of(line)
        conductor.rest()
    seconds = time.monotonic() - began
    trials = view(place).trials
    if bad := [trial.run for trial in trials if trial.state != "finished"]:
        raise ValueError(f"not finished: {', '.join(bad)}")
    ended = [read_status(bench.workspace.run(trial.run).job(CHAIN)) for trial in trials]
    found = [
        {**trial.values, **trial.notes, "seconds": status.took}
        for trial, status in zip(trials, ended, strict=True)
    ]
    return {**_at_once(ended, seconds, on), "trials": found}


def _devices_of(line: Line) -> dict[str, str]:
    """Which devices each run has now."""
    return {entry.job.parent.name: " + ".join(entry.devices) for entry in line.entries() if entry.devices}


def _at_once(ended: Sequence[Status], seconds: float, on: Mapping[str, str]) -> dict[str, Any]:
    """What jobs came to that were asked for at once: how many, in how many ``seconds``, how many one after
    the other, and how many each device had, of those that they were ``on``."""
    spent = sum(status.took or 0.0 for status in ended)
    return {"trainings": len(ended), "seconds": seconds, "added_up": spent, "by_device": Counter(on.values())}


EVENTS: Mapping[str, Callable[[Bench], dict[str, Any]]] = {
    "killed": killed,
    "resume": resumed,
    "queue": queued,
    "sweep": swept,
}


def await_iteration(run: RunPaths, iteration: int, patience: float) -> None:
    """Until so many are done, or the job has ended. Raises TimeoutError; the job is ended then."""
    job, deadline = run.job("train"), time.monotonic() + patience
    while is_live(job):
        now = job_progress(job)
        if now and now.phase == "training" and (now.done or 0) >= iteration:
            return
        if time.monotonic() > deadline:
            stop(job, by="bench", grace=5)
            wait(job)
            raise TimeoutError(f"iteration {iteration} not reached after {patience} s")
        time.sleep(0.05)


def _in_a_line(said: object) -> str:
    return " ".join(str(said).split())[:400]


if __name__ == "__main__":
    main()
