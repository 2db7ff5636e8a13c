"""``docs/architecture.md``: the picture, the rooms, the files of a job and of the workspace."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType

from core.data.sets import SetPaths
from core.errors import TuneboardError
from core.jobs.job import JobPaths
from core.jobs.status import State
from core.workspace import data_paths, import_paths, paths, publish_paths
from core.workspace.import_paths import ImportPaths
from core.workspace.paths import DataPaths, QueuePaths, RunPaths, SweepPaths, Workspace
from core.workspace.publish_paths import PublishPaths
from scripts.documents import drawing, rooms
from scripts.documents.marked import filled, first_paragraph, table

PAGE, PICTURE = "docs/architecture.md", "docs/pictures/architecture.svg"
TITLE = "The rooms of Tuneboard on their floors; an arrow is an import, and all of them run down"


def pages() -> dict[str, str]:
    """The page and its picture."""
    building = rooms.building()
    parts = {
        "rooms": _rooms(building),
        "job folder": _job_files(),
        "states": _states(),
        "workspace": _places(),
    }
    return {PICTURE: _picture(building), PAGE: filled(PAGE, parts)}


def _picture(building: rooms.Building) -> str:
    kinds = {room: "ui" for floor in building.floors for room in floor if not room.startswith("core.")}
    return drawing.draw(building.floors, building.arrows(), {**kinds, rooms.ENGINE: "apart"}, TITLE)


def _rooms(building: rooms.Building) -> str:
    rows = []
    for floor in building.floors:
        for room in sorted(floor):
            below = sorted(
                building.below(room), key=lambda near: (near.split(".")[0] != room.split(".")[0], near)
            )
            imports = " ".join(name.removeprefix(f"{room.split('.')[0]}.") for name in below)
            rows.append([f"`{room}`", rooms.purpose(room), imports or "–"])
    return table(["room", "what it is for", "imports"], rows)


STATES = {
    State.waiting: "`job.json` is there, and a supervisor that waits for its devices or is on its "
    "way, or a place in line that is kept for the next one",
    State.running: "the process of `tool.json` is alive: its id with its start time, because ids are reused",
    State.finished: "`exit.json` says `finished`; where the supervisor was killed, the tool in `done.json`",
    State.failed: "`exit.json` says anything else: `failed`, `out of memory`, `memory limit`, `disk full`, "
    "`not started`",
    State.stopped: "`exit.json` says `stopped`: somebody asked for it, whatever the tool's exit code",
    State.lost: "no `exit.json`, no `done.json`, no process alive: killed, or the machine was restarted",
}


def _job_files() -> str:
    return table(["file", "what it is"], [_row(JobPaths, *found) for found in _named_paths(JobPaths(Path()))])


def _states() -> str:
    if {*STATES} != {*State}:
        raise ValueError(f"say in {__name__}.STATES what {sorted({*STATES} ^ {*State})} means")
    return table(["state", "when"], [[state.value, STATES[state]] for state in State])


def _places() -> str:
    """Every path that ``core.workspace`` joins, with what its docstring says it is."""
    workspace, run = Workspace(Path()), RunPaths(Path("runs/RUN"))
    folders = (
        workspace,
        run,
        PublishPaths(run),
        DataPaths(Path("data/NAME")),
        SetPaths(Path("sets/NAME")),
        ImportPaths(Path("models/.NAME.import"), Path("models/NAME")),
        SweepPaths(Path("sweeps/NAME")),
        QueuePaths(Path("queue/HOST")),
    )
    found: list[tuple[object, str, Path]] = [
        (type(folder), name, path) for folder in folders for name, path in _paths(folder)
    ]
    for module in (paths, data_paths, import_paths, publish_paths):
        found += [(module, name, path) for name, path in _places_of(module, workspace)]
    rows = [_row(*one) for one in sorted(found, key=lambda found: str(found[2]))]
    return table(["path", "what it is"], rows)


def _row(place: object, name: str, path: Path) -> list[str]:
    """Raises ValueError where nothing says what a file is."""
    said = first_paragraph(getattr(place, name).__doc__)
    if not said:
        raise ValueError(f"{place} {name} has no docstring: say what {path} is")
    return [f"`{path}`", said]


def _named_paths(paths: object) -> Iterator[tuple[str, Path]]:
    for name, found in vars(type(paths)).items():
        if isinstance(found, property) and isinstance(path := getattr(paths, name), Path):
            yield name, path


def _paths(paths: object) -> Iterator[tuple[str, Path]]:
    """Also those of methods that only join names: what they are asked with stands in capitals."""
    yield from ((name, path) for name, path in _named_paths(paths) if path != getattr(paths, "root", None))
    for name, method in inspect.getmembers(paths, inspect.ismethod):
        yield from _asked(name, method)


def _places_of(module: ModuleType, workspace: Workspace) -> Iterator[tuple[str, Path]]:
    for name, function in inspect.getmembers(
        module, lambda found: inspect.isfunction(found) and found.__module__ == module.__name__
    ):
        if next(iter(inspect.signature(function).parameters), "") == "workspace":
            yield from _asked(name, partial(function, workspace))


def _asked(name: str, function: Callable[..., object]) -> Iterator[tuple[str, Path]]:
    signature = inspect.signature(function)
    given = signature.parameters.values()
    if signature.return_annotation is None or name.startswith("_"):  # it does something
        return
    if all(part.annotation in {str, int} for part in given):
        with suppress(TuneboardError):  # it looks for something that is not there
            found = function(*(part.name for part in given))
            path = found if isinstance(found, Path) else getattr(found, "root", None)
            if isinstance(path, Path):
                yield name, _in_capitals(path, [part.name for part in given])


def _in_capitals(path: Path, given: Sequence[str]) -> Path:
    text = str(path)
    for name in given:
        text = re.sub(rf"\b{name.replace('_', '-')}\b", name.upper(), text)
    return Path(text)
