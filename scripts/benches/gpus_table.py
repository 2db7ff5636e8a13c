"""What ``scripts/bench gpus`` has measured, as tables and a figure for docs/performance.md."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.workspace.files import write_text
from core.workspace.paths import PROJECT

Record = Mapping[str, Any]
PART = re.compile(r"(<!-- scripts/bench gpus -->\n).*?(<!-- end -->)", re.DOTALL)
SPEEDS = (
    "run",
    "rows × tokens",
    "devices",
    "tokens/s",
    "efficiency",
    "peak GB a device",
    "first step",
    "seconds",
    "last loss",
)
MOST_WIDE = 0.8


def read(files: Sequence[Path]) -> list[Record]:
    """What stands in ``files``, a record a line; of two of one thing on one machine the later one."""
    found: dict[tuple[Any, ...], Record] = {}
    for file in files:
        for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
            one = json.loads(line)
            key = (one["kind"], one.get("name"), one.get("setting"), one["devices"], one["machine"])
            found.pop(key, None)
            found[key] = one
    return list(found.values())


def tables(records: Sequence[Record]) -> str:
    """All that was measured, machine by machine."""
    parts = []
    for machine in dict.fromkeys(one["machine"] for one in records):
        here = [one for one in records if one["machine"] == machine]
        parts.append("\n".join([*_measured_where(here), "", *_speeds(here), *_events(here)]))
    return "\n\n".join(parts)


def _measured_where(records: Sequence[Record]) -> Iterator[str]:
    versions = records[-1]["versions"]
    said = ", ".join(f"{name} {version}" for name, version in versions.items() if version != "-")
    dates = sorted({one["date"] for one in records})
    yield f"{records[0]['machine']}, {' and '.join(dates)}; {said}."


def _speeds(records: Sequence[Record]) -> Iterator[str]:
    found = [one for one in records if one["kind"] == "speed"]
    if not found:
        return
    yield f"| {' | '.join(SPEEDS)} |"
    yield f"|{' --- |' * len(SPEEDS)}"
    for one in found:
        name = f"| {one['name']} | {one['setting']} | {one['devices']} |"
        if one.get("failed"):
            yield f"{name} – | – | – | – | {one['seconds']:.0f} | – |"
            yield f"<!-- {one['name']}: {one['failed']} -->"
            continue
        share = efficiency(one, found)
        cells = (
            f"{one['tokens_per_second']:,.0f}",
            "" if share is None else f"{share:.1%}",
            f"{one['memory'] / 1e9:.1f}" if one.get("memory") else "",
            f"{one['first']:.0f} s" if one.get("first") else "",
            f"{one['seconds']:.0f}",
            f"{one['loss']:.2f} ({one['iterations']})" if one.get("loss") else "",
        )
        yield f"{name} {' | '.join(cells)} |"


def efficiency(one: Record, records: Sequence[Record]) -> float | None:
    """Its tokens a second over as many times those of one device; None where that was not measured."""
    alone = next(
        (
            other
            for other in records
            if other["kind"] == "speed"
            and (other["name"], other["setting"], other["devices"]) == (one["name"], one["setting"], 1)
            and other["machine"] == one["machine"]
            and not other.get("failed")
        ),
        None,
    )
    if alone is None or one["devices"] == 1 or one.get("failed"):
        return None
    return float(one["tokens_per_second"] / (one["devices"] * alone["tokens_per_second"]))


def _events(records: Sequence[Record]) -> Iterator[str]:
    told = [one for one in records if one["kind"] != "speed"]
    if told:
        yield ""
    yield from (f"- {_event(one)}" for one in told)


def _event(one: Record) -> str:
    """One of the other records in a sentence."""
    if one.get("failed"):
        return f"{one['kind']}: {one['failed']}"
    devices = one["devices"]
    if one["kind"] == "resume":
        there_and_back = f"{devices} → 1 → {devices} devices: {one['kept']} of {one['updates']} updates"
        beside = "from those of a training that was not stopped"
        return (
            f"Stopped and gone on in {there_and_back}; losses after that at most {one['apart']:.1e} {beside}."
        )
    if one["kind"] == "killed":
        ended = (
            f"the job had ended after {one['ended_after']:.1f} s, {one['left']} of its processes were left"
        )
        return f"Rank {one['rank']} of {devices} killed within a step: {ended}. {one['said']}"
    each = ", ".join(f"{device}: {count}" for device, count in sorted(one["by_device"].items()))
    at_a_time = f"{one['added_up'] / one['seconds']:.2f} at a time"
    took = f"took {one['seconds']:.0f} s by the queue ({each}), one after the other {one['added_up']:.0f} s"
    what = "whole runs of the starter in a sweep" if one["kind"] == "sweep" else "trainings asked for at once"
    return f"{one['trainings']} {what} {took}: {at_a_time}."


def draw(records: Sequence[Record], figure: Path) -> None:
    """Tokens a second of each run beside those of one device, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "tuneboard"
    import matplotlib.pyplot as plt

    found = [one for one in records if one["kind"] == "speed" and not one.get("failed")]
    names = list(dict.fromkeys(f"{one['name']}\n{one['setting']}" for one in found))
    counts = sorted({one["devices"] for one in found})
    shown, axes = plt.subplots(figsize=(max(5, 1.3 * len(names)), 4))
    width = MOST_WIDE / max(1, len(counts))
    for number, count in enumerate(counts):
        here = {f"{one['name']}\n{one['setting']}": one for one in found if one["devices"] == count}
        places = [names.index(name) + number * width for name in here]
        bars = axes.bar(
            places,
            [one["tokens_per_second"] for one in here.values()],
            width * 0.95,
            label=f"{count} {'device' if count == 1 else 'devices'}",
        )
        shares = [efficiency(one, found) for one in here.values()]
        axes.bar_label(bars, ["" if share is None else f"{share:.0%}" for share in shares], fontsize=8)
    axes.set_xticks([place + width * (len(counts) - 1) / 2 for place in range(len(names))], names, fontsize=8)
    axes.set(ylabel="tokens a second")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    shown.savefig(figure, format="svg", bbox_inches="tight", metadata={"Date": None})


def fill(page: Path, records: Sequence[Record]) -> None:
    """Put the tables between the two comments of ``page``, or make a page of them. Raises ValueError for a
    page of the project where not all of it was measured on GPUs."""
    if page.resolve().is_relative_to(PROJECT) and not all(one["gpus"] for one in records):
        raise ValueError(f"{page}: only what ran on GPUs is written there")
    text = (
        page.read_text(encoding="utf-8") if page.exists() else "<!-- scripts/bench gpus -->\n<!-- end -->\n"
    )
    if not PART.search(text):
        raise ValueError(f"{page}: there is no <!-- scripts/bench gpus --> … <!-- end --> in it")
    found = tables(records)
    write_text(page, PART.sub(lambda part: f"{part[1]}\n{found}\n\n{part[2]}", text))
