"""How fast a large data file opens, turns its pages and is checked; prints numbers and passes no judgement.

    scripts/bench data [--rows N] [--checked N] [--model DIR]

A file of N rows (default 1,000,000; about 425 MB) is made in a temporary folder, as JSON lines and as one
JSON array, and opened by a process of its own, whose memory is measured. ``--checked`` rows of it are checked
with the tokenizer of a model folder (default: the starter of the workspace), once, and again after an edit.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from core.data.identity import bank
from core.data.opening import open_data
from core.data.questions import held_back_questions, replay_questions
from core.steps.check import run
from core.steps.check_request import CheckRequest
from core.workspace.data_paths import SourceCache
from core.workspace.paths import PROJECT, Workspace

PAGES = 50
# What the process that opens prints: seconds to the first page, milliseconds of a page, peak memory in MB.
OPENING = """
import random, resource, sys, time
from pathlib import Path
began = time.perf_counter()
from core.data.opening import open_data
from core.workspace.paths import SourceCache
opened = open_data(Path(sys.argv[1]), SourceCache(Path(sys.argv[2])))
opened.page(0, 5)
first = time.perf_counter() - began
places = [random.randrange(len(opened.source)) for _ in range(int(sys.argv[3]))]
began = time.perf_counter()
for place in places:
    opened.page(place, 5)
page = (time.perf_counter() - began) / len(places) * 1000
print(first, page, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--checked", type=int, default=200_000)
    parser.add_argument("--model", type=Path, default=Workspace.of().starter)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lines = place / "rows.jsonl"
        write(lines, rows(asked.rows))
        array = place / "rows.json"
        write_array(lines, array)
        say("file", f"{asked.rows:,} rows, {lines.stat().st_size / 1e6:.0f} MB")
        for file in (lines, array):
            measure_opening(file, place)
        measure_check(place, lines, asked.checked, asked.model)


def rows(count: int) -> Iterator[str]:
    """Questions and answers of random words, a third of them Chinese."""
    chance = random.Random(0)  # nosec B311  # words, not a secret
    words = " ".join((*replay_questions(), *(held.question for held in held_back_questions()))).split()
    english = sorted({word.strip("?,.'\"").lower() for word in words if word.isascii()})
    chinese = sorted({character for question, _ in bank("zh").taught for character in question})
    chinese += sorted({c for word in words if not word.isascii() for c in word})
    for number in range(count):
        spaced = number % 3 > 0
        pool, between, lengths = (english, " ", (8, 60)) if spaced else (chinese, "", (15, 110))
        asked, said = (between.join(chance.choices(pool, k=length)) for length in lengths)
        turn = {"input": f"{asked} {number}", "output": said}
        yield json.dumps({"conversation": [turn]}, ensure_ascii=False)


def write(file: Path, lines: Iterator[str]) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(f"{line}\n" for line in lines)


def write_array(lines: Path, array: Path) -> None:
    with lines.open(encoding="utf-8") as source, array.open("w", encoding="utf-8") as out:
        out.write("[")
        out.writelines(f"{',' if number else ''}\n{line.rstrip()}" for number, line in enumerate(source))
        out.write("\n]\n")


def measure_opening(file: Path, place: Path) -> None:
    command = [sys.executable, "-c", OPENING, str(file), str(place / "cache"), str(PAGES)]
    done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    first, page, memory = map(float, done.stdout.split())
    kind = file.suffix.removeprefix(".")
    say(f"{kind}: start of Python to the first page", f"{first:.2f} s")
    say(f"{kind}: any page", f"{page:.2f} ms")
    say(f"{kind}: peak memory", f"{memory:.0f} MB")


def measure_check(place: Path, lines: Path, count: int, model: Path) -> None:
    workspace, part = Workspace(place / "workspace"), place / "part.jsonl"
    opened = open_data(lines, SourceCache(place / "cache"))
    raw = [data.decode() for data in opened.source.raw(0, count)]
    write(part, iter(raw))
    tokens, seconds = check(workspace, part, model)
    say(f"check of {count:,} rows", f"{tokens / seconds:,.0f} tokens/s ({seconds:.1f} s)")
    raw[count // 2] = raw[count // 2].replace('"output": "', '"output": "edited ')
    write(part, iter([*raw[: count // 4], raw[0], *raw[count // 4 :]]))
    _, seconds = check(workspace, part, model)
    say("again after a row was edited and one put in", f"{seconds:.1f} s")


def check(workspace: Workspace, file: Path, model: Path) -> tuple[int, float]:
    began = time.perf_counter()
    _, report = run(workspace, CheckRequest(file, str(model)), lambda _, __: None)
    return report.tokens, time.perf_counter() - began


def say(what: str, value: str) -> None:
    print(f"{what:55} {value}", flush=True)


if __name__ == "__main__":
    main()
