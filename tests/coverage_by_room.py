"""The table of ``scripts/test --coverage``: how much of each room the tests ran, by lines and by branches.

python -m tests.coverage_by_room FILE      a file of ``coverage json``
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")
# A room's own files below this share are named under the table.
LOW = 0.5


def room_of(file: str) -> str:
    """``core/data`` of ``core/data/formats/shapes.py``; ``core`` of a file that lies there by itself."""
    parts = Path(file).parts
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def share(covered: int, of: int) -> str:
    return f"{covered / of:6.1%}" if of else "     –"


def main(file: str) -> None:
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    low = []
    for name, found in sorted(json.loads(Path(file).read_text(encoding="utf-8"))["files"].items()):
        counts = {key: int(found["summary"].get(key, 0)) for key in COUNTS}
        rooms[room_of(name)].update(counts)
        if counts["covered_lines"] < LOW * counts["num_statements"]:
            low.append(f"{name} {share(counts['covered_lines'], counts['num_statements']).strip()}")
    rooms["all"] = sum(rooms.values(), Counter())
    print(f"{'room':20} {'lines':>7} {'covered':>8} {'branches':>9} {'covered':>8}")
    for room, counts in rooms.items():
        lines, branches = counts["num_statements"], counts["num_branches"]
        print(
            f"{room:20} {lines:7} {share(counts['covered_lines'], lines):>8} "
            f"{branches:9} {share(counts['covered_branches'], branches):>8}"
        )
    if low:
        print("Below half: " + ", ".join(low))


if __name__ == "__main__":
    main(sys.argv[1])
