"""How right the time left of a chain is: recorded chains are replayed to what says it, tenth by tenth.

    scripts/bench left [FILE …] [--record RUN --workspace DIR --to FILE]

A recording says when each stage of a chain began and ended, and when it was how far. It is replayed twice:
on a machine that knows nothing (the costs are guessed for two cores that multiply bfloat16), and on one that
knows the other recorded chains. ``--record`` watches a chain that runs now and writes such a file at its end.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from core.jobs.progress import PaceMarks
from core.jobs.status import State
from core.pace import Cost
from core.pipeline import chain_stages
from core.pipeline.chain_stages import STAGES, ChainProgress, Stage
from core.steps.expected import CORE, SEEN, STARTER, STARTS, asked_tokens, trained_tokens
from core.steps.prepare import recipe_of
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace

RECORDED = PROJECT / "tests" / "recorded" / "time_left"
TENTHS = tuple(tenth / 10 for tenth in range(10))
LOOK_SECONDS = 1.0
# What was recorded was made of the starter on such a machine; how many tokens the proof of a name writes.
PARAMETERS, CORES, ASK_TOKENS = 134_515_008, 2, 10_550


@dataclass(frozen=True)
class Recording:
    """A chain that was watched, from ``watched`` on: all times in seconds from its start; ``load`` is the
    machine's mean load, ``slower`` how many times as long everything took by other programs, from when on,
    and ``asked`` how many tokens its proof may write."""

    name: str
    date: str
    load: float
    tokens: float
    seconds: float
    stages: Mapping[str, Mapping[str, Any]]
    watched: float = 0.0
    slower: Sequence[tuple[float, float]] = ()
    asked: float = ASK_TOKENS

    @classmethod
    def read(cls, file: Path) -> "Recording":
        found = json.loads(file.read_text(encoding="utf-8"))
        about = (found["date"], found["load"], found["tokens"], found["seconds"], found["stages"])
        more = {name: found[name] for name in ("watched", "slower", "asked") if name in found}
        return cls(file.stem, *about, **more)

    def slower_at(self, now: float) -> float:
        """How many times as long everything takes then by other programs, as far as that was recorded."""
        return next((times for at, times in reversed(self.slower) if at <= now), 1.0)

    def slowed(self, began: float, ended: float) -> float:
        """The same as a mean over some time."""
        looks = range(int(began), max(int(ended), int(began) + 1))
        return 1 / statistics.fmean(1 / self.slower_at(at) for at in looks)

    def left(self, costs: Mapping[str, Cost], now: float) -> float:
        """The seconds that are said to be left then."""
        return chain_stages.clock_of(self.at(now), costs, 0.0, lambda: now, self.slower_at(now)).seconds()

    def at(self, now: float) -> list[Stage]:
        """What could be seen of it then."""
        return [self._stage(name, now) for name in STAGES if name in self.stages]

    def _stage(self, name: str, now: float) -> Stage:
        found = self.stages[name]
        if found["began"] > now:
            return Stage(name, None, 0.0, "", False, None, None)
        if found["ended"] <= now:
            slowed = self.slowed(found["began"], found["ended"])
            return Stage(name, State.finished, 1.0, "", False, found["began"], found["ended"], slowed=slowed)
        seen = [(at, share) for at, share in found["reached"] if at <= now and share]
        if not seen:
            return Stage(name, State.running, 0.0, "", False, found["began"], found["began"])
        marks = PaceMarks()
        for mark in seen:
            marks.add(*mark)
        heard, share = seen[-1]
        return Stage(
            name, State.running, share, "", False, found["began"], heard, marks.first, marks.lately()
        )


def guessed(recording: Recording) -> dict[str, Cost]:
    """What its stages cost where nobody has measured."""
    starts, found = STARTS["cpu"], {}
    amounts = {
        "train": 4 * PARAMETERS * recording.tokens / CORE["train"][0],
        "answers": 2 * PARAMETERS * recording.asked / CORE["answers"][0],
    }
    for name in recording.stages:
        kind = {"ask": "answers", "base": "answers"}.get(name, name)
        if kind == "starter":
            found[name] = Cost(0.0, STARTER, kind=kind)
            continue
        found[name] = Cost(starts[kind], amounts.get(kind, 0.0) / CORES, False, SEEN[kind], kind)
    return found


def known(recording: Recording, earlier: Sequence[Recording]) -> dict[str, Cost]:
    """What its stages cost by those of the other chains: their medians, a training's in proportion
    to its tokens."""
    found = guessed(recording)
    for name in recording.stages:
        took = []
        for other in (one for one in earlier if name in one.stages):
            began, ended = other.stages[name]["began"], other.stages[name]["ended"]
            seconds = (ended - began) / other.slowed(began, ended)
            start = min(found[name].start, seconds / 2)
            more = recording.tokens / other.tokens if name == "train" else 1.0
            took.append(start + (seconds - start) * more)
        if took:
            whole = statistics.median(took)
            start = min(found[name].start, whole / 2)
            found[name] = replace(found[name], start=start, work=whole - start, measured=True)
    return found


def errors(recording: Recording, costs: Mapping[str, Cost]) -> list[float | None]:
    """By how much what is said differs from what is left, as a share of that, at each tenth of the way; None
    before it was watched."""
    found: list[float | None] = []
    for tenth in TENTHS:
        now = tenth * recording.seconds
        if now < recording.watched:
            found.append(None)
            continue
        found.append(recording.left(costs, now) / (recording.seconds - now) - 1)
    return found


def table(recordings: Sequence[Recording]) -> str:
    """The errors as Markdown."""
    lines = ["| chain | load | took | known | " + " | ".join(f"{tenth:.0%}" for tenth in TENTHS) + " |"]
    lines.append("| --- | --- | --- | --- |" + " --- |" * len(TENTHS))
    for one in recordings:
        earlier = [other for other in recordings if other is not one]
        for label, costs in (("nothing", guessed(one)), ("earlier runs", known(one, earlier))):
            cells = " | ".join("" if error is None else f"{error:+.0%}" for error in errors(one, costs))
            lines.append(f"| {one.name} | {one.load:.0f} | {one.seconds:.0f} s | {label} | {cells} |")
    return "\n".join(lines) + "\n"


def record(workspace: Workspace, run: RunPaths) -> dict[str, Any]:
    """Watch the chain of ``run`` until it ends."""
    stages: dict[str, dict[str, Any]] = {}
    slower: list[tuple[float, float]] = []
    loads, began, watched = [], 0.0, None
    while True:
        progress, now = chain_stages.read_progress(workspace, run), time.time()
        loads.append(os.getloadavg()[0])
        began = began or next((stage.began for stage in progress.stages if stage.began), now)
        watched = now if watched is None else watched
        _note(stages, progress, began)
        if (running := progress.running) and running.kept is not None:
            slower.append((round(now - began, 1), running.slower))
        if not progress.live:
            break
        time.sleep(LOOK_SECONDS)
    return {
        "date": f"{date.today():%Y-%m-%d}",
        "load": round(statistics.mean(loads), 1),
        "tokens": round(trained_tokens(run, recipe_of(run))),
        "seconds": round(now - began, 1),
        "asked": round(asked_tokens(run, "ask")),
        "watched": round(watched - began, 1),
        "slower": slower,
        "stages": stages,
    }


def _note(stages: dict[str, dict[str, Any]], progress: ChainProgress, began: float) -> None:
    for stage in progress.stages:
        if stage.needless or not stage.began:
            continue
        noted = stages.setdefault(stage.name, {"began": round(stage.began - began, 1), "reached": []})
        if stage.heard and stage.state is State.finished:
            noted["ended"] = round(stage.heard - began, 1)
        elif stage.heard and stage.share:
            mark = [round(stage.heard - began, 1), round(stage.share, 4)]
            if mark not in noted["reached"][-1:]:
                noted["reached"].append(mark)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench left", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--record", metavar="RUN")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--to", type=Path)
    asked = parser.parse_args(arguments)
    if asked.record:
        workspace = Workspace.of(asked.workspace)
        write_json(asked.to, record(workspace, workspace.run(asked.record)))
        return
    files = asked.files or sorted(RECORDED.glob("*.json"))
    print(table([Recording.read(file) for file in files]))


if __name__ == "__main__":
    main(sys.argv[1:])
