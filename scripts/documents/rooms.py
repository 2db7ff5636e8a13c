"""The rooms of the program (packages and modules right below ``core`` and ``ui``) and their imports."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grimp

from core.workspace.paths import PROJECT
from scripts.documents.marked import first_paragraph

PAGES = "pages"
HOUSES = ("ui", "core")
# Started as a program of its own (core.steps.step.engine_job): nothing imports it.
ENGINE = "core.engine"


@dataclass(frozen=True)
class Building:
    """``floors`` from the top, as the layers contracts have them; ``imports`` are between rooms."""

    floors: tuple[tuple[str, ...], ...]
    imports: frozenset[tuple[str, str]]

    def below(self, room: str) -> set[str]:
        """What a room imports itself."""
        return {below for above, below in self.imports if above == room}

    def arrows(self) -> list[tuple[str, str]]:
        """The imports without those that follow from others: the fewest arrows that reach the same."""
        reached: dict[str, set[str]] = {}
        for floor in reversed(self.floors):
            for room in floor:
                reached[room] = {end for near in self.below(room) for end in (near, *reached[near])}
        return sorted(
            (above, near)
            for above in reached
            for near in self.below(above)
            if not any(near in reached[other] for other in self.below(above) - {near})
        )


def building() -> Building:
    """The program as it is. Raises ValueError when rooms and floors do not name the same."""
    graph = grimp.build_graph(*HOUSES, cache_dir=None)
    inside = graph.modules - {*HOUSES}  # ``from core import __version__`` is of no room
    pages = [PROJECT / "app.py", *(PROJECT / PAGES).glob("*.py")]
    imports = {
        (room_of(one), room_of(other))
        for one in inside
        for other in graph.find_modules_directly_imported_by(one) & inside
    }
    imports |= {(PAGES, room_of(other)) for page in pages for other in _imported(page, inside)}
    floors = ((PAGES,), *(floor for house in HOUSES for floor in _contract(house)))
    if {PAGES, *map(room_of, inside)} != {room for floor in floors for room in floor}:
        raise ValueError("the layers contracts in pyproject.toml do not name the rooms that there are")
    return Building(floors, frozenset((one, other) for one, other in imports if one != other))


def room_of(module: str) -> str:
    """``core.jobs.launch`` is of ``core.jobs``."""
    return ".".join(module.split(".")[:2])


def purpose(room: str) -> str:
    """What a room is for, as its file says."""
    if room == PAGES:
        return "`app.py` is the door; `pages/` has one script for each step, in the order of the work."
    stem = PROJECT.joinpath(*room.split("."))
    file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    return first_paragraph(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))))


def _contract(house: str) -> Iterator[tuple[str, ...]]:
    rules = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(rule["layers"] for rule in rules["contracts"] if rule.get("containers") == [house])
    for layer in layers:
        yield tuple(f"{house}.{name.strip()}" for name in layer.replace(":", "|").split("|"))


def _imported(page: Path, known: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(page.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in HOUSES:
            names = [f"{node.module}.{name.name}" for name in node.names]
            yield from (name if name in known else str(node.module) for name in names)
