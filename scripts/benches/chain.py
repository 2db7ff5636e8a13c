"""The seconds of every stage of a chain, its start apart: with one worker that imports, and without.

    scripts/bench chain [--name N] [--model DIR] [--iterations N] [--ways WAY …] [--before REV] [--json FILE]
    scripts/bench chain --wider NEURONS …

Each way is a whole chain of the command line in a workspace of its own, one after the other: ``cold`` (every
stage starts anew), ``warm`` (forked from one process that has imported), and with ``--before`` that revision
of the code, in a worktree of its own. Nobody asks the base beforehand, and the starter is unpacked already.
``--wider``: the starter with so many neurons in each MLP, as a larger model (8448: 493 million parameters).

A stage's start is from the moment it is asked for to the tool's own first word; of a training to the first
iteration. ``between`` is what no stage took: the chain's own start, making the rows, judging.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from core.cli.terminal import progress
from core.jobs.job import JobPaths
from core.machine import this_machine
from core.pipeline.tune_request import ready_model
from core.steps import prepare
from core.workspace.files import read_record, write_json
from core.workspace.paths import PROJECT, Workspace

STAGES = ("base", "train", "convert", "merge", "ask")
# A program that is a command line of this project, without a worker.
COLD = """
import sys
from core.__main__ import main
from core.jobs.forks import ForkServer
def refuse(*_):
    raise OSError("measured without a worker")
ForkServer.__init__ = refuse
sys.exit(main(sys.argv[1:]))
"""
# What a library says of itself while it is imported is not the tool's word.
FIRST_WORD = re.compile(r"^(?!\[transformers\])\S", re.MULTILINE)
FIRST_ITERATION = re.compile(r"Checkpoints will be saved to|Iter\(train\)")
LOOK_SECONDS, WORKER_SECONDS = 0.02, 0.5


@dataclass
class Stage:
    """Seconds of one stage: until the tool's first word, and from there to its end. ``forked``: by a
    worker."""

    start: float
    work: float
    forked: bool


@dataclass
class Held:
    """What the worker holds: bytes in all and of its own, and the GPU's files that it has open."""

    resident: int = 0
    own: int = 0
    gpu_files: list[str] = field(default_factory=list)


@dataclass
class Chain:
    """One chain: its stages, the seconds between them and in all, what it came to, what its worker held."""

    way: str
    seconds: float
    between: float
    stages: dict[str, Stage]
    result: dict[str, Any]
    worker: Held


class Watch:
    """Looks at a chain's jobs while it runs: what was said when is written nowhere."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.words: dict[str, float] = {}
        self.forked: dict[str, bool] = {}
        self.worker = Held()
        self._looked = 0.0

    def look(self, chain: psutil.Process) -> None:
        for job in self.runs.glob("*/*/job.json"):
            if job.parent.name in STAGES:
                self._look_at(JobPaths(job.parent))
        if time.monotonic() - self._looked > WORKER_SECONDS:
            self._looked = time.monotonic()
            self._look_at_worker(chain)

    def _look_at(self, paths: JobPaths) -> None:
        name = paths.folder.name
        if name not in self.forked and (tool := read_record(paths.tool)):
            with suppress(psutil.Error):
                self.forked[name] = "worker" in psutil.Process(tool["pid"]).cmdline()
        if name not in self.words and paths.log.exists():
            text = paths.log.read_text(encoding="utf-8", errors="replace")
            if (FIRST_ITERATION if name == "train" else FIRST_WORD).search(text):
                self.words[name] = time.time()

    def _look_at_worker(self, chain: psutil.Process) -> None:
        with suppress(psutil.Error, OSError):
            for child in chain.children():
                if "worker" in child.cmdline():
                    about = child.memory_full_info()
                    self.worker.resident = max(self.worker.resident, about.rss)
                    self.worker.own = max(self.worker.own, about.uss)
                    self.worker.gpu_files = _gpu_files(child.pid)

    def stages(self) -> dict[str, Stage]:
        """Of the chain that has ended; what was not asked for is left out."""
        found = {}
        for name in STAGES:
            for job in self.runs.glob(f"*/{name}/job.json"):
                asked, ended = job.stat().st_mtime, read_record(JobPaths(job.parent).exit)
                end = float(ended["ended"]) if ended else time.time()
                word = min(self.words.get(name, end), end)
                found[name] = Stage(word - asked, end - word, self.forked.get(name, False))
        return found


def _gpu_files(pid: int) -> list[str]:
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]  # noqa: PTH115
    return sorted(link for link in links if link.startswith("/dev/nvidia"))


def measure(way: str, code: Path, workspace: Workspace, words: Sequence[str]) -> Chain:
    """Run one chain with the code in a folder. Raises RuntimeError when it fails."""
    program = ["-c", COLD] if way == "cold" else ["-m", "core"]
    command = [sys.executable, *program, "tune", "--json", "--workspace", str(workspace.root), *words]
    watch, began = Watch(workspace.runs), time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(code)}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, cwd=code, env=environment, stdout=said, stderr=told)
        chain = psutil.Process(process.pid)
        while process.poll() is None:
            watch.look(chain)
            time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - began
        texts = []
        for file in (said, told):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    if process.returncode:
        raise RuntimeError(f"{way}: exit {process.returncode}\n{texts[1][-2000:]}")
    result = json.loads(texts[0].splitlines()[-1])
    stages = watch.stages()
    between = seconds - sum(stage.start + stage.work for stage in stages.values())
    kept = {key: result.get(key) for key in ("learned", "kept", "leaked")}
    return Chain(way, seconds, between, stages, kept, watch.worker)


@contextmanager
def revision(name: str) -> Iterator[Path]:
    """The code as it was at a revision, in a folder that is gone afterwards. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "code"
        git = ["git", "-C", str(PROJECT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(code), name], check=True)
        try:
            yield code
        finally:
            subprocess.run([*git, "remove", "--force", str(code)], check=True)


def beginning(root: Path, way: str, models: Path | None) -> Workspace:
    """A workspace in which no chain has run, with the models that are there already."""
    folder = root / way.replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if models:
        shutil.copytree(models, folder / "models", copy_function=os.link)
    return Workspace.of(folder)


def table(chains: Sequence[Chain]) -> str:
    """Seconds as Markdown: start + work of each stage; a star where it was forked."""
    lines = ["| stage | " + " | ".join(chain.way for chain in chains) + " |"]
    lines.append("| --- |" + " --- |" * len(chains))
    for name in STAGES:
        lines.append(f"| {name} | " + " | ".join(_cell(chain.stages.get(name)) for chain in chains) + " |")
    for name, one in (("between", [c.between for c in chains]), ("all", [c.seconds for c in chains])):
        lines.append(f"| {name} | " + " | ".join(f"{seconds:.1f}" for seconds in one) + " |")
    return "\n".join(lines) + "\n"


def _cell(stage: Stage | None) -> str:
    return f"{stage.start:.1f} + {stage.work:.1f}{' *' if stage.forked else ''}" if stage else "-"


def about_machine() -> dict[str, Any]:
    """What seconds depend on: processor, cores, how they multiply, GPUs, versions."""
    machine, lines = this_machine(), Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = re.search(r"^model name\s*: (.+)$", lines, re.MULTILINE)
    return {
        "date": f"{datetime.now():%Y-%m-%d %H:%M}",
        "processor": model[1] if model else "unknown",
        "cores": machine.cores,
        "bf16": machine.bf16,
        "amx": "amx_bf16" in lines,
        "gpus": [gpu.name for gpu in machine.gpus],
        "load": os.getloadavg()[0],
        "versions": prepare.versions(),
    }


def report(machine: Mapping[str, Any], chains: Sequence[Chain]) -> str:
    """The table, and what it was measured on."""
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    text = f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, {gpus}\n\n{table(chains)}"
    for chain in chains:
        if chain.worker.resident:
            held = chain.worker
            files = ", ".join(held.gpu_files) or "no GPU's file"
            text += f"\n{chain.way}: the worker held {held.resident / 1e6:.0f} MB, {held.own / 1e6:.0f} MB "
            text += f"of its own, {files} open"
        text += f"\n{chain.way}: " + ", ".join(f"{key} {value}" for key, value in chain.result.items())
    return text


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench chain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", default="Ada Lovelace")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--wider", type=int, metavar="NEURONS")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--ways", nargs="+", choices=("cold", "warm"), default=["cold", "warm"])
    parser.add_argument("--before", metavar="REV")
    parser.add_argument("--workspace", type=Path, default=Path("workspace/bench-chain"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    root, models, model = asked.workspace.absolute(), None, asked.model
    if not model:
        with progress("tune") as shown:
            starter = ready_model(Workspace.of(root / "starter"), None, shown).folder
        models = starter.parent
        if asked.wider:
            model = root / "wider"
            named = (str(starter), str(model), str(asked.wider))
            subprocess.run([sys.executable, "-m", "scripts.benches.wider_model", *named], check=True)
    words = ["--name", asked.name]
    words += ["--model", str(model.absolute())] if model else []
    words += ["--iterations", str(asked.iterations)] if asked.iterations else []
    chains: list[Chain] = []
    if asked.before:
        with revision(asked.before) as code:
            chains.append(measure("before", code, beginning(root, "before", models), words))
    for way in asked.ways:
        chains.append(measure(way, PROJECT, beginning(root, way, models), words))
    machine = about_machine()
    print(report(machine, chains))
    if asked.json:
        found = {**machine, "before": asked.before, "chains": [asdict(chain) for chain in chains]}
        write_json(asked.json, found)


if __name__ == "__main__":
    main(sys.argv[1:])
