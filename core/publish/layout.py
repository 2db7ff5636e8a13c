"""Where a bundle's files stand in a copy that a person takes along.

Of an app what is double-clicked and read first stands on top, and all that nobody has to look at in one
folder: whoever opens a memory stick has to find what to press. A hub, and a folder that is sent by Git, has
all of it side by side.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from core.publish.request import MARK, PublishRequest
from core.publish.starters import GUIDE
from core.workspace.checksums import NAME, File, hashed, line, read_checksums
from core.workspace.files import read_object

INSIDE = "app"
STARTERS = "Start-"


def placed(name: str, request: PublishRequest) -> str:
    """The place of a bundle's file below the copy's folder."""
    aside = request.what == "app" and not request.by_git
    on_top = not aside or name == GUIDE or name.startswith(STARTERS)
    return name if on_top else f"{INSIDE}/{name}"


def sums(folder: Path, files: Sequence[File], request: PublishRequest) -> list[str]:
    """The lines of the copy's SHA256SUMS, by which ``sha256sum --check`` finds every file of it from the
    folder that it stands in. ``folder``: the bundle's."""
    beside = PurePosixPath(placed(NAME, request)).parent
    return [
        line(file.sha256 or hashed(folder / file.name), os.path.relpath(placed(file.name, request), beside))
        for file in files
    ]


def read_copy(folder: Path) -> list[File]:
    """The files of a copy as they are now; one that was changed after it was made has no checksum."""
    inside = folder / INSIDE / NAME
    return read_checksums(folder, inside if inside.exists() else None)


def mark(folder: Path) -> str | None:
    """Of which run a copy is; None for any other folder. Raises DamagedFile, OSError."""
    about = read_object(folder / MARK) or read_object(folder / INSIDE / MARK)
    return str(about.get("run")) if about else None
